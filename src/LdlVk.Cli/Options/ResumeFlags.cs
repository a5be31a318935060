using System.CommandLine;
using LdlVk.Cli.Output;
using LdlVk.Datasets.Lines;

namespace LdlVk.Cli.Options;

/// <summary>The flags of runs that go on where another ended, and of those that score a part of a data set.</summary>
internal sealed class ResumeFlags
{
    private readonly Option<string?> _shard = new("--shard")
    {
        Description =
            "Score one part of the input, to distribute it over several machines: 0/8 is the first of 8 parts. "
            + "Needs --output FILE; ldlvk merge joins the parts.",
        HelpName = "I/N",
    };

    private readonly Option<bool> _resume = new("--resume")
    {
        Description =
            "Continue an interrupted run that used the same flags. "
            + "Needs --output FILE; the results so far are in FILE.partial.",
    };

    private readonly Option<bool> _anyMachine = CreateAnyMachine();

    /// <summary>--any-machine.</summary>
    public static Option<bool> CreateAnyMachine() => new("--any-machine")
    {
        Description =
            "Accept results of another kind of device, another driver or another version of ldlvk. The model and all settings must be the "
            + "same; the scores may differ in their last bits.",
    };

    /// <summary>Adds these flags to a command.</summary>
    public void AddTo(Command command)
    {
        command.Options.Add(_resume);
        command.Options.Add(_shard);
        command.Options.Add(_anyMachine);
    }

    /// <summary>Whether one of the flags is given.</summary>
    /// <exception cref="UsageException">A flag is given without those that it needs.</exception>
    public bool AreGiven(ParseResult call)
    {
        if (call.GetValue(_anyMachine) && !Resumes(call))
            throw new UsageException("--any-machine is about the results of an earlier run. Add --resume, or leave it out.");
        return Resumes(call) || call.GetValue(_shard) is not null;
    }

    /// <summary>Whether an interrupted run is continued.</summary>
    public bool Resumes(ParseResult call) => call.GetValue(_resume);

    /// <summary>Returns the part of the input.</summary>
    /// <exception cref="UsageException">It is malformed.</exception>
    public Shard Shard(ParseResult call)
    {
        try
        {
            return call.GetValue(_shard) is { } shard ? Datasets.Lines.Shard.Parse(shard) : Datasets.Lines.Shard.Whole;
        }
        catch (UsageException e)
        {
            throw new UsageException($"--shard {e.Notice}", e);
        }
    }

    /// <summary>Returns what happens to results of another machine.</summary>
    public Action<string> AcceptsMachine(ParseResult call, Terminal terminal) => Accepts(call, _anyMachine, terminal);

    /// <summary>Returns what happens to results of other machines: a note, or an error that names the flag.</summary>
    public static Action<string> Accepts(ParseResult call, Option<bool> anyMachine, Terminal terminal) => difference =>
    {
        if (!call.GetValue(anyMachine))
            throw new UsageException($"{difference} {anyMachine.Name} accepts that; otherwise score all of it on one kind of machine.");
        terminal.Say(difference);
    };
}
