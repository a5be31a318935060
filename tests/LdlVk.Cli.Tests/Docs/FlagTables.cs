using System.CommandLine;
using System.Text;

namespace LdlVk.Cli.Tests.Docs;

/// <summary>The tables of docs/cli.md, from the commands themselves.</summary>
internal static class FlagTables
{
    /// <summary>A flag that so many commands describe in the same words is listed once, for all of them.</summary>
    private const int CommonFrom = 3;

    private static readonly Command Root = CommandLine.CreateRoot(Output.Terminal.OfProcess());

    /// <summary>The commands.</summary>
    public static IReadOnlyList<Command> Commands { get; } = [.. Root.Subcommands];

    /// <summary>The flags of a command, or of any for null.</summary>
    public static HashSet<string> FlagsOf(string? command) =>
        [.. Commands.Where(c => command is null || c.Name == command).SelectMany(c => c.Options).Concat(Root.Options).SelectMany(o => o.Aliases.Prepend(o.Name))];

    /// <summary>A table of all commands.</summary>
    public static string OfCommands() => Table("command", "what it does", Commands.Select(c => ($"`{c.Name}{Arguments(c)}`", c.Description!)));

    /// <summary>A table of the flags that several commands share; where they describe one in several ways, it is listed once.</summary>
    public static string OfCommonFlags() => Table("flag", "what it does", Common().GroupBy(g => g.Key.Item1).Select(same => (
        Flag(same.Select(g => g.First().Option).MaxBy(option => option.HelpName?.Length ?? 0)!),
        string.Join(" ", same.Select(g => $"{Described(g.First().Option)} *{string.Join(", ", g.Select(p => p.Command.Name))}*")))));

    /// <summary>A command's own flags; empty if it has none.</summary>
    public static string Of(Command command)
    {
        HashSet<Option> common = [.. Common().SelectMany(g => g).Select(p => p.Option)];
        Option[] own = [.. command.Options.Where(o => !common.Contains(o) && !o.Hidden)];
        return own.Length == 0 ? "" : Table("flag", "what it does", own.Select(o => (Flag(o), Described(o))));
    }

    private static List<IGrouping<(string, string?), (Command Command, Option Option)>> Common() =>
        [.. Commands.SelectMany(c => c.Options.Where(o => !o.Hidden).Select(o => (Command: c, Option: o)))
            .GroupBy(p => (p.Option.Name, p.Option.Description)).Where(g => g.Count() >= CommonFrom)];

    private static string Arguments(Command command) =>
        string.Concat(command.Arguments.Select(a => a.Arity.MinimumNumberOfValues == 0 ? $" [{a.HelpName ?? a.Name}]" : $" {a.HelpName ?? a.Name}"));

    private static string Flag(Option option) => option.HelpName is { } value ? $"`{option.Name} {value}`" : $"`{option.Name}`";

    private static string Described(Option option) => option.Required ? $"{option.Description} Required." : option.Description!;

    private static string Table(string left, string right, IEnumerable<(string Left, string Right)> rows)
    {
        StringBuilder table = new($"| {left} | {right} |\n|---|---|\n");
        foreach ((string a, string b) in rows) table.Append($"| {Cell(a)} | {Cell(b)} |\n");
        return table.ToString();

        static string Cell(string text) => text.Replace("|", "\\|", StringComparison.Ordinal).Replace("<", "&lt;", StringComparison.Ordinal);
    }
}
