using System.CommandLine;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Datasets.Lines;
using LdlVk.Datasets.Resuming;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk merge</c>: joins the results of all parts, in the order of the input.</summary>
internal static class MergeCommand
{
    private const string Notes = """
        The parts are files of ldlvk score --shard in any order, each with its FILE.run.json beside it. The command verifies that they are
        all parts of one input, scored with the same model, settings, kind of device, driver and version, complete and unchanged (SHA-256);
        otherwise it writes nothing. Parts that are Parquet need --output FILE.parquet; lines can be joined to Parquet too.
        """;

    public static Command Create(Terminal terminal)
    {
        Argument<string[]> parts = new("PART") { Description = "Files of results, one for each part.", Arity = ArgumentArity.OneOrMore };
        Option<string?> output = TextFlags.CreateTableOutput();
        Command command = new NotedCommand("merge", "Join the results of ldlvk score --shard.", Notes);
        command.Arguments.Add(parts);
        Option<bool> anyMachine = ResumeFlags.CreateAnyMachine();
        command.Options.Add(output);
        command.Options.Add(anyMachine);
        command.SetAction((call, cancellationToken) =>
        {
            PartialResults results = PartialResults.Open(call.GetValue(parts)!, ResumeFlags.Accepts(call, anyMachine, terminal));
            using OutputFile file = terminal.OpenOutput(call.GetValue(output), output.Name, isResults: true);
            long lines = results.Merge(file, cancellationToken);
            file.Complete(cancellationToken);
            terminal.Say(
                $"{Readable.Plural(lines, "result")} of {Readable.Plural(results.Count, "part")}"
                + $"{(results.Failed > 0 ? $", {results.Failed} of them errors" : "")}.");
            return Task.FromResult(ExitCode.Success);
        });
        return command;
    }
}
