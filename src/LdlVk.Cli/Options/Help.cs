using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace LdlVk.Cli.Options;

/// <summary>A command with notes that its own help prints.</summary>
internal sealed class NotedCommand(string name, string description, string notes) : Command(name, description)
{
    /// <summary>The notes, printed after the flags.</summary>
    public string Notes => notes;
}

/// <summary>The default help, followed by the command's notes.</summary>
internal sealed class NotedHelp : SynchronousCommandLineAction
{
    private readonly HelpAction _help = new();

    /// <inheritdoc/>
    public override int Invoke(ParseResult parseResult)
    {
        int code = _help.Invoke(parseResult);
        if (parseResult.CommandResult.Command is NotedCommand command)
            parseResult.InvocationConfiguration.Output.WriteLine(command.Notes + Environment.NewLine);
        return code;
    }
}
