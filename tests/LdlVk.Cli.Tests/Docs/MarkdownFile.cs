using System.Text.RegularExpressions;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests.Docs;

/// <summary>One of the repository's Markdown files: its links, its code, and the parts that are generated.</summary>
internal sealed partial class MarkdownFile(string name)
{
    /// <summary>Set to 1, tests write what they would compare: the generated tables and the samples' output.</summary>
    public static bool Updates => Environment.GetEnvironmentVariable("LDLVK_UPDATE_DOCS") == "1";

    /// <summary>All files that a reader of the project meets.</summary>
    public static IEnumerable<string> Names =>
        ((string[])["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "bench/README.md", "deploy/README.md"])
        .Concat(Directory.EnumerateFiles(Repository.Path("docs"), "*.md").Select(f => $"docs/{System.IO.Path.GetFileName(f)}"))
        .Order(StringComparer.Ordinal);

    /// <summary>The name from the repository's root on.</summary>
    public string Name => name;

    /// <summary>Where it is.</summary>
    public string Path { get; } = Repository.Path(name);

    /// <summary>Its text; lines end with \n.</summary>
    public string Text { get; } = File.ReadAllText(Repository.Path(name)).ReplaceLineEndings("\n");

    /// <summary>Where its links to files lead, without fragments.</summary>
    public IEnumerable<string> Links => LinkPattern().Matches(Text).Select(m => m.Groups[1].Value.Split('#')[0]).Where(l => l.Length > 0 && !l.Contains("://", StringComparison.Ordinal));

    /// <summary>Its code between backticks, outside of fenced blocks.</summary>
    public IEnumerable<string> InlineCode => InlinePattern().Matches(FencePattern().Replace(Text, "")).Select(m => m.Groups[1].Value);

    /// <summary>The lines of its fenced blocks.</summary>
    public IEnumerable<string> CodeLines => FencePattern().Matches(Text).SelectMany(m => m.Groups[2].Value.Split('\n'));

    /// <summary>The content of its fenced blocks of a language.</summary>
    public string[] Blocks(string language) => [.. FencePattern().Matches(Text).Where(m => m.Groups[1].Value == language).Select(m => m.Groups[2].Value)];

    /// <summary>What stands between <c>&lt;!-- generated: WHAT --&gt;</c> and <c>&lt;!-- end --&gt;</c>; null if that is not there.</summary>
    public string? Generated(string what)
    {
        Match match = GeneratedPart(what).Match(Text);
        return match.Success ? match.Groups[2].Value : null;
    }

    /// <summary>Writes a generated part anew.</summary>
    public void WriteGenerated(string what, string content) =>
        File.WriteAllText(Path, GeneratedPart(what).Replace(File.ReadAllText(Path), m => m.Groups[1].Value + content + m.Groups[3].Value));

    private static Regex GeneratedPart(string what) => new($@"(<!-- generated: {Regex.Escape(what)} -->\n)(.*?)(<!-- end -->)", RegexOptions.Singleline);

    [GeneratedRegex(@"\]\(([^)\s]+)\)")]
    private static partial Regex LinkPattern();

    [GeneratedRegex(@"`([^`\n]+)`")]
    private static partial Regex InlinePattern();

    [GeneratedRegex(@"^```([a-z]*)\n(.*?)^```$", RegexOptions.Singleline | RegexOptions.Multiline)]
    private static partial Regex FencePattern();
}
