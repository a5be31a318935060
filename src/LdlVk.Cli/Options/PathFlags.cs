using System.CommandLine;
using System.CommandLine.Parsing;
using LdlVk.Cli.Output;
using LdlVk.Datasets.Files;
using LdlVk.Datasets.Lines;
using LdlVk.Datasets.Resuming;
using LdlVk.Runtime.Files;

namespace LdlVk.Cli.Options;

/// <summary>
/// The flags and arguments of all commands that name files: the command line checks before every command that no output is an input.
/// </summary>
internal static class PathFlags
{
    /// <summary>Files that are read.</summary>
    private static readonly string[] Inputs =
        ["--input", "--api-key-file", "--token-file", "--template", "REFERENCE.json", "ACTUAL.json", "PART"];

    /// <summary>Folders of models.</summary>
    private static readonly string[] Models = ["--model", "--adapter", "SRC", "MODEL"];

    /// <summary>Files that are written.</summary>
    private static readonly string[] Outputs = ["--output", "--report", "--trace", "--trace-events"];

    /// <summary>Commands whose --output may be Parquet.</summary>
    private static readonly string[] WritesParquet = ["score", "merge"];

    /// <summary>Folders that are written, which the commands check by themselves; and names that are no paths.</summary>
    private static readonly string[] Others = ["DST", "DIR", "REPO", "NAME"];

    /// <summary>Settings that may name another folder of a model, as model=DIR, or of an adapter, as adapter=DIR.</summary>
    private static readonly string[] Settings = ["--baseline", "--candidate"];

    /// <summary>All names of flags and arguments that name files.</summary>
    public static IEnumerable<string> All => [.. Inputs, .. Models, .. Outputs, .. Others, .. Settings];

    /// <summary>Checks the paths of a call.</summary>
    /// <exception cref="UsageException">An output is an input, a file of the model, or another output.</exception>
    public static void Check(ParseResult call, Terminal terminal)
    {
        Command command = call.CommandResult.Command;
        bool resumable = IsGiven(call, "--resume") || IsGiven(call, "--shard");
        OutputPaths paths = new();
        foreach ((string name, string path) in command.Options.SelectMany(option => Values(call, option))
            .Concat(command.Arguments.SelectMany(argument => Values(call, argument))))
        {
            if (Models.Contains(name)) paths.AddModel(name, path);
            if (Settings.Contains(name))
                foreach (string part in path.Split(','))
                    foreach (string key in (string[])["model=", "adapter="])
                        if (part.StartsWith(key, StringComparison.Ordinal)) paths.AddModel(name, part[key.Length..]);
            if (Inputs.Contains(name)) AddInput(paths, name, path, terminal);
            if (Outputs.Contains(name)) CheckForm(command, name, path);
            // "-" and the descriptor of standard output are standard output itself, which is checked below.
            if (Outputs.Contains(name) && path.Length > 0 && !IsStandardOutput(path, terminal))
                paths.AddOutput(
                    name, path, resumable && name == "--output" ? ResumableFile.FilesBeside(path) : OutputFile.FilesBeside(path));
        }

        if (terminal.Files.TryGetValue(1, out FileIdentity standard)) paths.AddOutput("standard output", standard);
        paths.Check();
    }

    private static void CheckForm(Command command, string name, string path)
    {
        if (!path.EndsWith(".parquet", StringComparison.OrdinalIgnoreCase)) return;
        if (name == "--output" && WritesParquet.Contains(command.Name)) return;
        throw new UsageException(
            $"{name} {path}: ldlvk {command.Name} writes no Parquet there. Give a file of another name; the --output of "
            + $"{string.Join(" and ", WritesParquet.Select(writer => "ldlvk " + writer))} may be Parquet.");
    }

    private static void AddInput(OutputPaths paths, string name, string path, Terminal terminal)
    {
        if (path == "-")
        {
            if (terminal.Files.TryGetValue(0, out FileIdentity standard)) paths.AddInput("standard input", standard);
            return;
        }

        if (path.Length == 0) return;
        paths.AddInput(name, path);
        if (name == "PART") paths.AddInput(name, path + RunRecord.Suffix);
    }

    private static bool IsStandardOutput(string path, Terminal terminal) =>
        path == "-"
        || (OutputFile.IsDescriptor(path) && terminal.Files.TryGetValue(1, out FileIdentity file) && FileIdentity.Of(path) == file);

    private static bool IsGiven(ParseResult call, string option) =>
        call.CommandResult.Command.Options.FirstOrDefault(o => o.Name == option) is { } found
        && call.GetResult(found) is { Implicit: false };

    private static IEnumerable<(string Name, string Value)> Values(ParseResult call, Symbol symbol)
    {
        SymbolResult? result = call.GetResult(symbol);
        IReadOnlyList<Token> tokens = result switch
        {
            OptionResult option => option.Tokens,
            ArgumentResult argument => argument.Tokens,
            _ => [],
        };
        return tokens.Select(token => (symbol.Name, token.Value));
    }
}
