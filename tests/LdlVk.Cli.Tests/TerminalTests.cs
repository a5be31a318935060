using System.Diagnostics;
using System.Text;
using LdlVk.Cli.Output;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>What a terminal shows: results and progress on one screen, narrow windows, terminals without Unicode.</summary>
public sealed class TerminalTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(80, "C.UTF-8")]
    [InlineData(30, "C.UTF-8")]
    [InlineData(5, "C.UTF-8")]
    [InlineData(30, "C")]
    public async Task Progress_never_stands_beside_a_result_and_takes_one_line(int columns, string locale)
    {
        string input = _folder.Write("in.jsonl", string.Concat(Enumerable.Range(0, 600).Select(i => $"{{\"id\":\"{i}\",\"prompt\":\"a {i}\",\"response\":\"b\"}}\n")));
        string written = await OnTerminalAsync(columns, locale, $"score --model '{Cli.Mini}' --device cpu --batch-tokens 200 --input '{input}'");
        (List<string> lines, int widest) = Show(written);
        string[] results = [.. lines.Where(line => line.Contains("\"id\"", StringComparison.Ordinal))];
        Assert.Equal(600, results.Length);
        Assert.All(results, line => Assert.Matches("""^\{"id":"\d+","score":-?[\d.E-]+,"tokens":\d+\}$""", line));
        Assert.Single(lines, line => line.StartsWith("600 texts, ", StringComparison.Ordinal));
        Assert.Single(lines, line => line.Contains("600 lines read as ", StringComparison.Ordinal));
        Assert.Equal(602, lines.Count);
        Assert.InRange(widest, 1, columns - 1);
        if (locale == "C") Assert.DoesNotContain(written, c => c > '~');
    }

    [Fact]
    public async Task A_terminal_without_Unicode_gets_similar_signs()
    {
        string plain = await OnTerminalAsync(100, "C", "demo --device cpu"), unicode = await OnTerminalAsync(100, "C.UTF-8", "demo --device cpu");
        Assert.DoesNotContain(plain, c => c > '~');
        Assert.Contains("####", plain, StringComparison.Ordinal);
        Assert.Contains("███", unicode, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true, null, null, "de_DE.UTF-8")]
    [InlineData(true, null, "C.utf8", "C")]
    [InlineData(false, "C", "C.utf8", "C.utf8")]
    [InlineData(false, "", null, "POSIX")]
    [InlineData(false, null, null, null)]
    [InlineData(false, null, null, "de_DE.ISO-8859-1")]
    public void The_locale_says_whether_a_terminal_shows_Unicode(bool shows, string? all, string? type, string? language) =>
        Assert.Equal(shows, PlainText.IsUnicode(name => name switch { "LC_ALL" => all, "LC_CTYPE" => type, _ => language }));

    [Fact]
    public void Signs_become_similar_ones_of_ASCII() =>
        Assert.Equal("a... 3x4 ## ? ? \"q\"", Encoding.ASCII.GetString(PlainText.Ascii.GetBytes("a… 3×4 ██ ü 👍 “q”")));

    private static async Task<string> OnTerminalAsync(int columns, string locale, string arguments)
    {
        if (!File.Exists("/usr/bin/script")) Assert.Skip("There is no program script, which makes a terminal.");
        string command = $"stty cols {columns} rows 30; exec dotnet '{Path.Combine(AppContext.BaseDirectory, "LdlVk.Cli.dll")}' {arguments}";
        ProcessStartInfo start = new("/usr/bin/script", ["-qefc", command, "/dev/null"])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, StandardOutputEncoding = Encoding.UTF8,
        };
        foreach (string name in (string[])["LC_CTYPE", "LANG", "NO_COLOR"]) start.Environment.Remove(name);
        start.Environment["LC_ALL"] = locale;
        start.Environment["VK_DRIVER_FILES"] = "/nonexistent.json";
        using Process process = Process.Start(start)!;
        string output = await process.StandardOutput.ReadToEndAsync().WaitAsync(TimeSpan.FromSeconds(60));
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
        return output;
    }

    /// <summary>The lines that are on the screen at the end, and the widest progress line before them.</summary>
    private static (List<string> Lines, int Widest) Show(string written)
    {
        written = written.Replace("\u001b[?1h\u001b=", "", StringComparison.Ordinal); // how .NET begins with a terminal
        List<string> lines = [];
        StringBuilder line = new();
        int widest = 0;
        for (int i = 0; i < written.Length; i++)
        {
            if (string.CompareOrdinal(written, i, "\r\u001b[K", 0, 4) == 0)
            {
                widest = Math.Max(widest, line.Length);
                line.Clear();
                i += 3;
            }
            else if (written[i] == '\n')
            {
                lines.Add(line.ToString());
                line.Clear();
            }
            else if (written[i] != '\r') line.Append(written[i]);
        }

        if (line.Length > 0) lines.Add(line.ToString());
        return (lines, widest);
    }
}
