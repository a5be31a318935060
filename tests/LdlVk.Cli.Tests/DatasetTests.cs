using System.IO.Compression;
using System.Text;
using LdlVk.Datasets.Lines;
using LdlVk.Datasets.Resuming;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>Data sets: compressed input, runs that go on where another ended, parts of an input and their merger.</summary>
[Trait("Duration", "Long")]
public sealed class DatasetTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("gzip")]
    [InlineData("two gzip members")]
    [InlineData("gzip and zeros")]
    [InlineData("gzip with all that a header can have, and an empty member")]
    [InlineData("zstd")]
    [InlineData("zstd behind a frame to be skipped")]
    public async Task Compressed_input_is_recognized_whatever_its_name(string how)
    {
        byte[] plain = Encoding.UTF8.GetBytes(Input(20));
        Outcome want = await ScoreAsync(Write("plain", plain));
        byte[] packed = how switch
        {
            "gzip" => Gzip(plain),
            "gzip and zeros" => [.. Gzip(plain), .. new byte[700]],
            // RFC 1952: flags 2 + 4 + 8 + 16; time, level and system; an extra field of 3 bytes, a name, a comment, two bytes of checksum.
            "gzip with all that a header can have, and an empty member" =>
                [0x1f, 0x8b, 8, 30, .. new byte[6], 3, 0, 7, 0, 7, .. "name\0comment\0"u8, 0, 0, .. Gzip(plain)[10..], 0x1f, 0x8b, 8, .. new byte[7], 3, .. new byte[9]],
            "zstd" => Zstd(plain),
            "zstd behind a frame to be skipped" => [0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4, .. Zstd(plain)],
            _ => [.. Gzip(plain[..100]), .. Gzip(plain[100..])],
        };
        Assert.Equal((0, want.Out), await ScoreAsync(Write("packed", packed)) is var got ? (got.Code, got.Out) : default);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Damaged_archives_are_named(bool gzip)
    {
        byte[] packed = gzip ? Gzip(Encoding.UTF8.GetBytes(Input(200))) : Zstd(Encoding.UTF8.GetBytes(Input(200)));
        byte[] spoiled = (byte[])packed.Clone();
        for (int i = packed.Length / 2; i < (packed.Length / 2) + 20; i++) spoiled[i] ^= 0xff;
        foreach ((string name, byte[] bytes) in new[] { ("cut", packed[..(packed.Length / 2)]), ("spoiled", spoiled) })
        {
            Outcome outcome = await ScoreAsync(Write(name, bytes));
            Assert.Equal(1, outcome.Code);
            Assert.Contains($"{_folder[name]} is damaged, or not all of it is there", outcome.Error, StringComparison.Ordinal);
        }
    }

    /// <summary>What is behind the first part of a file, or of two parts, must not be lost in silence.</summary>
    [Fact]
    public async Task Archives_are_read_to_their_end_or_named()
    {
        byte[] first = Gzip(Encoding.UTF8.GetBytes(Input(3))), second = Gzip(Encoding.UTF8.GetBytes(Input(3))), zstd = Zstd(Encoding.UTF8.GetBytes(Input(3)));
        byte[] spoiled = [.. first, (byte)(second[0] ^ 1), .. second[1..]];
        (string, byte[])[] files =
        [
            ("header", spoiled), ("header-cut", [.. first, .. second[..5]]), ("magic-cut", [.. first, .. second[..1]]), ("end-cut", [.. first, .. second[..^1]]),
            ("garbage", [.. first, .. "more"u8]), ("checksum", [.. first[..^8], (byte)(first[^8] ^ 1), .. first[^7..]]), ("length", [.. first[..^1], 1]),
            ("zstd-garbage", [.. zstd, .. "more"u8]), ("zstd-magic-cut", [.. zstd, .. zstd[..3]]),
        ];
        foreach ((string name, byte[] bytes) in files)
        {
            Outcome outcome = await ScoreAsync(Write(name, bytes));
            Assert.True(outcome.Code == 1, $"{name}: {outcome.Code}");
            Assert.Contains($"{_folder[name]} is damaged, or not all of it is there", outcome.Error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_run_that_is_killed_goes_on_to_the_same_file()
    {
        string input = Write("in.jsonl", Encoding.UTF8.GetBytes(Input(400))), output = _folder["out"];
        Outcome want = await ScoreAsync(input);
        string[] flags = ["score", "--model", Cli.Mini, "--device", "cpu", "--input", input, "--output", output, "--resume", "--batch-tokens", "64"];
        int unfinished = 0;
        for (int i = 0; i < 4; i++)
        {
            using var process = Cli.Start(null, flags);
            // As soon as it has written down that there is more than before, or is through.
            long before = Length(output + ".journal");
            while (!process.HasExited && (!File.Exists(output + ".journal") || Length(output + ".journal") <= Math.Max(before, 300))) await Task.Delay(5, TestContext.Current.CancellationToken);
            process.Kill();
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
            if (!File.Exists(output)) unfinished++;
        }

        Assert.InRange(unfinished, 1, 4);
        Outcome last = await Cli.RunProcessAsync(null, flags);
        Assert.Equal((0, want.Out), (last.Code, File.ReadAllText(output)));
        Assert.Equal(["in.jsonl", "out", "out.run.json"], _folder.Names);
        Outcome again = await Cli.RunAsync(flags);
        Assert.Equal((0, ""), (again.Code, again.Out));
        Assert.Contains("is complete: 400 results", again.Error, StringComparison.Ordinal);

        static long Length(string path) => File.Exists(path) ? new FileInfo(path).Length : 0;
    }

    [Fact]
    public async Task What_does_not_belong_together_is_refused()
    {
        string input = Write("in", Encoding.UTF8.GetBytes(Input(3))), other = Write("other", Encoding.UTF8.GetBytes(Input(4)[1..])), output = _folder["out"];
        Assert.Equal(0, (await ScoreAsync(input, "--output", output, "--resume")).Code);
        (await ScoreAsync(other, "--output", output, "--resume")).Fails(2, "results of other lines", output);

        File.Move(output, output + ".partial");
        byte[] partial = File.ReadAllBytes(output + ".partial");
        RunRecord record = RunRecord.Read(output)!;
        File.Delete(output + ".partial");
        using (LineSource source = LineSource.Open(input))
        using (ResumableFile begun = ResumableFile.Open(output, record.Identity, Shard.Whole, resume: true, (_, _) => { }))
        {
            begun.Stream.Write(partial);
            foreach (InputLine line in source.Lines(Shard.Whole, 0, "")) begun.Wrote(new ScoredLine(line, [], null));
        }

        (await ScoreAsync(input, "--output", output, "--shard", "0/1")).Fails(2, "did not finish", "--resume");
        (await ScoreAsync(input, "--output", output, "--resume", "--details")).Fails(2, "other settings", "no details", ", details");
        (await ScoreAsync(input, "--output", output, "--resume", "--shard", "1/2")).Fails(2, "part 0/1, not 1/2");
        (await ScoreAsync(other, "--output", output, "--resume", "--quiet")).Fails(2, "not of the lines that --input has now");
        Assert.Equal(0, (await ScoreAsync(input, "--output", output, "--resume")).Code);
        Assert.Equal(partial, File.ReadAllBytes(output));

        File.WriteAllText(output + RunRecord.Suffix, "{\"lines\":");
        (await ScoreAsync(input, "--output", output, "--resume")).Fails(2, "out.run.json is damaged");
        (await ScoreAsync(input, "--resume")).Fails(2, "--output FILE");
        (await Cli.RunAsync("score", "--model", Cli.Mini, "--prompt", "a", "--response", "b", "--resume", "--output", output)).Fails(2, "--input FILE.jsonl");
        (await ScoreAsync(input, "--output", output, "--shard", "2/2")).Fails(2, "counted from 0", "1/2");
        foreach (string wrong in (string[])["1", "1/0", "a/b", "-1/2", "1/2/3"]) (await ScoreAsync(input, "--output", output, $"--shard={wrong}")).Fails(2, "--shard", "0/8");
    }

    [Fact]
    public async Task Parts_make_the_whole()
    {
        string input = Write("in", Encoding.UTF8.GetBytes(Input(600, id: false)));
        Outcome want = await ScoreAsync(input);
        string[] parts = [_folder["c"], _folder["a"], _folder["b"]];
        for (int i = 0; i < parts.Length; i++) Assert.Equal(0, (await ScoreAsync(input, "--output", parts[i], "--shard", $"{i}/3")).Code);
        Assert.Equal([256, 256, 88], parts.Select(part => File.ReadLines(part).Count()));
        Outcome merged = await Cli.RunAsync(["merge", .. parts.Order()]);
        Assert.Equal((0, want.Out), (merged.Code, merged.Out));
        Assert.Contains("600 results of 3 parts", merged.Error, StringComparison.Ordinal);

        string output = _folder["merged"];
        (await Cli.RunAsync("merge", parts[0], parts[2], "--output", output)).Fails(2, "Of 3 parts 1 is missing");
        (await Cli.RunAsync(["merge", .. parts, parts[0], "--output", output])).Fails(2, "Part 0/3 is there 2 times");
        (await Cli.RunAsync("merge", input, "--output", output)).Fails(2, "not a complete part", "resume it");
        (await Cli.RunAsync("merge", _folder["none"], "--output", output)).Fails(2, "There is no file");
        byte[] sound = File.ReadAllBytes(parts[1]);
        foreach (byte[] spoiled in (byte[][])[sound[..^1], [.. sound, (byte)'\n'], [.. sound[..50], (byte)(sound[50] ^ 1), .. sound[51..]], []])
        {
            File.WriteAllBytes(parts[1], spoiled);
            (await Cli.RunAsync(["merge", .. parts, "--output", output])).Fails(2, parts[1], "has been changed");
        }

        Assert.Equal(0, (await ScoreAsync(Write("in", Encoding.UTF8.GetBytes(Input(601, id: false))), "--output", parts[1], "--shard", "1/3")).Code);
        (await Cli.RunAsync(["merge", .. parts, "--output", output])).Fails(2, "different inputs");
        Assert.False(File.Exists(output));
    }

    private static string Input(int lines, bool id = true)
    {
        StringBuilder text = new();
        for (int i = 0; i < lines; i++)
            text.Append($"{{{(id ? $"\"id\":\"q{i}\"," : "")}\"prompt\":\"Which is number {i / 3}?\",\"response\":\"{string.Concat(Enumerable.Repeat("one ", 1 + (i % 5)))}\"}}\n");
        return text.ToString();
    }

    private string Write(string name, byte[] bytes)
    {
        File.WriteAllBytes(_folder[name], bytes);
        return _folder[name];
    }

    private static Task<Outcome> ScoreAsync(string input, params string[] flags) => Cli.RunAsync(["score", "--model", Cli.Mini, "--device", "cpu", "--input", input, .. flags]);

    private static byte[] Gzip(byte[] bytes)
    {
        using MemoryStream stream = new();
        using (GZipStream gzip = new(stream, CompressionLevel.Optimal)) gzip.Write(bytes);
        return stream.ToArray();
    }

    private static byte[] Zstd(byte[] bytes)
    {
        using ZstdSharp.Compressor compressor = new();
        return compressor.Wrap(bytes).ToArray();
    }
}
