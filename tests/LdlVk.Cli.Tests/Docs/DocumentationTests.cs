using System.Text.RegularExpressions;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests.Docs;

/// <summary>What README and docs name exists: paths, commands, flags. docs/cli.md lists every command and flag.</summary>
public sealed partial class DocumentationTests
{
    /// <summary>Flags of the scripts that the docs speak of, which are no commands of ldlvk.</summary>
    private static readonly string[] ScriptFlags = ["--quick", "--no-install", "--filter", "--perf", "--check", "--tilings", "--rate", "--serve", "--limit"];

    /// <summary>Flags of other programs that the docs name by themselves.</summary>
    private static readonly string[] OtherPrograms = ["--remote_rm_url"];

    public static TheoryData<string> Files => [.. MarkdownFile.Names];

    [Theory]
    [MemberData(nameof(Files))]
    public void Links_lead_to_files(string name)
    {
        string folder = Path.GetDirectoryName(Repository.Path(name))!;
        string[] broken = [.. new MarkdownFile(name).Links.Where(link => !Path.Exists(Path.Combine(folder, link)))];
        Assert.True(broken.Length == 0, $"{name} links to what is not there: {string.Join(", ", broken)}");
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void Paths_in_code_exist(string name)
    {
        MarkdownFile file = new(name);
        // A path is what begins with one of the repository's folders or is a script at its root; what a command writes is in capitals or elsewhere.
        string[] missing = [.. file.InlineCode.Concat(file.CodeLines).SelectMany(code => PathPattern().Matches(code)).Select(m => m.Groups[1].Value.TrimEnd('.', ','))
            .Where(path => !Placeholder().IsMatch(path)).Distinct().Where(path => !Exists(path))];
        Assert.True(missing.Length == 0, $"{name} names paths that are not there: {string.Join(", ", missing)}");
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void Commands_and_flags_exist(string name)
    {
        MarkdownFile file = new(name);
        List<string> wrong = [];
        foreach (string code in file.InlineCode.Concat(file.CodeLines))
        {
            foreach (Match call in CallPattern().Matches(code))
            {
                string command = call.Groups[1].Value;
                if (command.Length > 0 && FlagTables.Commands.All(c => c.Name != command)) wrong.Add($"ldlvk {command}");
                else wrong.AddRange(FlagPattern().Matches(call.Groups[2].Value).Select(m => m.Groups[1].Value).Except(FlagTables.FlagsOf(command.Length == 0 ? null : command)).Select(f => $"ldlvk {command} {f}"));
            }
        }

        // A flag by itself is one of any command, or of a script.
        wrong.AddRange(file.InlineCode.Where(code => code.StartsWith("--", StringComparison.Ordinal))
            .SelectMany(code => FlagPattern().Matches(code)).Select(m => m.Groups[1].Value).Except(FlagTables.FlagsOf(null)).Except(ScriptFlags).Except(OtherPrograms));
        Assert.True(wrong.Count == 0, $"{name} names what ldlvk has not: {string.Join(", ", wrong.Distinct())}");
    }

    [Fact]
    public void The_command_line_is_listed_whole()
    {
        MarkdownFile file = new("docs/cli.md");
        foreach ((string what, string content) in FlagTables.Commands.Select(c => ($"flags of {c.Name}", FlagTables.Of(c)))
            .Prepend(("common flags", FlagTables.OfCommonFlags())).Prepend(("commands", FlagTables.OfCommands())))
        {
            if (content.Length == 0) continue;
            if (MarkdownFile.Updates) file.WriteGenerated(what, content);
            else Assert.True(file.Generated(what) == content, $"docs/cli.md does not have the {what} as they are. LDLVK_UPDATE_DOCS=1 dotnet test tests/LdlVk.Cli.Tests writes them.");
        }
    }

    [Fact]
    public void The_quickstart_in_the_docs_is_the_program_that_is_built()
    {
        string sample = File.ReadAllText(Repository.Path("samples", "Quickstart", "Program.cs")).ReplaceLineEndings("\n");
        Assert.Equal(sample, Assert.Single(new MarkdownFile("docs/getting-started.md").Blocks("csharp")));
        Assert.InRange(sample.Split('\n').Length, 1, 36);
        foreach (string line in Assert.Single(new MarkdownFile("README.md").Blocks("csharp")).Split('\n', StringSplitOptions.RemoveEmptyEntries))
            Assert.Contains($"{line}\n", sample, StringComparison.Ordinal);
    }

    /// <summary>eng/package runs it too, with the packages and by the words of the page.</summary>
    [Fact]
    public void The_program_of_the_page_about_CSharp_is_the_one_that_is_built() =>
        Assert.Equal(
            File.ReadAllText(Repository.Path("samples", "Evaluation", "Program.cs")).ReplaceLineEndings("\n"),
            Assert.Single(new MarkdownFile("docs/csharp.md").Blocks("csharp")));

    [Fact]
    public void The_front_door_is_short() => Assert.InRange(File.ReadAllLines(Repository.Path("README.md")).Length, 1, 150);

    [Theory]
    [MemberData(nameof(Files))]
    public void The_project_speaks_of_itself_alone(string name) =>
        Assert.DoesNotMatch(new Regex(@"\.\./shared|/work/|/root/|DESIGN §|\bissue \d", RegexOptions.IgnoreCase), new MarkdownFile(name).Text);

    private static bool Exists(string path) =>
        path.Contains('*', StringComparison.Ordinal)
            ? Path.GetDirectoryName(path) is { } folder && Directory.Exists(Repository.Path(folder)) && Directory.EnumerateFileSystemEntries(Repository.Path(folder), Path.GetFileName(path)).Any()
            : Path.Exists(Repository.Path(path.TrimEnd('/')));

    [GeneratedRegex(@"(?:^|[\s(=])(?:\./)?((?:src|tests|docs|bench|eng|deploy|samples|shaders|models|clients|\.ci|\.github)/[\w./*-]+)")]
    private static partial Regex PathPattern();

    [GeneratedRegex(@"NAME|/bin/|/obj/|<|…")]
    private static partial Regex Placeholder();

    [GeneratedRegex(@"(?:^ *|\$ |[|&] |lab-directml )(?:\./)?ldlvk(?:\.cmd)?(?: ([a-z][a-z-]*|)|$)((?:(?!\bldlvk\b)[^|&;])*)")]
    private static partial Regex CallPattern();

    [GeneratedRegex(@"(?:^|[\s|\[/,])(--[a-z][a-z_-]*)")]
    private static partial Regex FlagPattern();
}
