using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

[Trait("Wine", "Together")]
public class OutputTests
{
    private static readonly string[] Score = ["score", "--model", Cli.Mini, "--device", "cpu", "--quiet", "--input", "-", "--output"];

    [Fact]
    public async Task The_output_file_has_what_standard_output_would_have()
    {
        using TempFolder temp = new();
        const string Input = "{\"prompt\":\"a\",\"response\":\"b\"}\nx\n";
        string path = temp.Write("out.jsonl", "what was there before");
        Outcome file = await Cli.RunWithInputAsync(Input, [.. Score, path]), standard = await Cli.RunWithInputAsync(Input, [.. Score, "-"]);
        Assert.Equal((3, "", 3), (file.Code, file.Out, standard.Code));
        Assert.Equal(standard.Out, await File.ReadAllTextAsync(path));
        Assert.Equal(["out.jsonl"], temp.Names);
    }

    [Fact]
    public async Task A_failure_in_the_middle_leaves_the_old_file_and_keeps_what_was_scored()
    {
        using TempFolder temp = new();
        string path = temp.Write("out.jsonl", "old");
        using Stream broken = new BrokenStream();
        using StringWriter error = new();
        Output.Terminal terminal = new() { In = broken, Out = Stream.Null, Error = error };
        int code = await CommandLine.RunAsync([.. Score, path], terminal, CancellationToken.None);
        Assert.Equal((1, $"ldlvk: the first 2 results are kept in {path}.partial.\nldlvk: the drive has gone\n"), (code, Outcome.Text(error.ToString())));
        Assert.Equal("old", await File.ReadAllTextAsync(path));
        Assert.Equal(["out.jsonl", "out.jsonl.partial"], temp.Names);
        Assert.Equal((await Cli.RunWithInputAsync("{\"input_ids\":[2]}\n{\"input_ids\":[2]}\n", [.. Score, "-"])).Out, await File.ReadAllTextAsync(path + ".partial"));
    }

    /// <summary>Where nothing was scored nothing is kept, and of a line that was cut short, as by a full disk, nothing either.</summary>
    [Fact]
    public async Task A_link_stays_a_link_and_a_device_a_device()
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("Links need rights there.");
        using TempFolder temp = new();
        string target = temp.Write("target.jsonl", "old"), link = temp["link.jsonl"];
        File.CreateSymbolicLink(link, target);
        Assert.Equal(0, (await Cli.RunWithInputAsync("{\"input_ids\":[2]}", [.. Score, link])).Code);
        Assert.Equal(target, new FileInfo(link).LinkTarget);
        Assert.StartsWith("{\"id\":0,", await File.ReadAllTextAsync(target), StringComparison.Ordinal);
        Assert.Equal(0, (await Cli.RunWithInputAsync("{\"input_ids\":[2]}", [.. Score, "/dev/null"])).Code);
        Assert.Equal(0, new FileInfo("/dev/null").Length);
    }

    [Fact]
    public async Task A_screen_shows_progress_and_clears_it()
    {
        using StringWriter error = new();
        using MemoryStream output = new();
        Output.Terminal terminal = new() { In = Stream.Null, Out = output, Error = error, ErrorIsScreen = true };
        string[] args = ["score", "--model", Cli.Mini, "--device", "cpu", "--prompt", "a", "--response", "b"];
        Assert.Equal(0, await CommandLine.RunAsync(args, terminal, CancellationToken.None));
        Assert.Matches("^\r\u001b\\[KOpening ", Outcome.Text(error.ToString()));
        Assert.Matches("\r\u001b\\[K1 text, 14 tokens in .*\n$", Outcome.Text(error.ToString()));
        error.GetStringBuilder().Clear();
        Assert.Equal(0, await CommandLine.RunAsync([.. args, "--quiet"], terminal, CancellationToken.None));
        Assert.Equal("", error.ToString());
    }

    /// <summary>Gives two good lines and then fails.</summary>
    private sealed class BrokenStream : MemoryStream
    {
        private bool _given;

        public override int Read(byte[] buffer, int offset, int count)
        {
            if (_given) throw new IOException("the drive has gone");
            _given = true;
            "{\"input_ids\":[2]}\n{\"input_ids\":[2]}\n"u8.CopyTo(buffer.AsSpan(offset));
            return 36;
        }
    }
}
