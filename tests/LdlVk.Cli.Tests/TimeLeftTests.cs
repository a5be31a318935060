using LdlVk.Cli.Output;
using LdlVk.Datasets.Lines;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>Progress: how much is done and how long the rest takes.</summary>
public sealed class TimeLeftTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_rest_takes_as_long_as_what_was_done()
    {
        ManualClock clock = new();
        TimeLeft left = new(clock);
        left.Begin();
        Assert.Equal("", left.ToString());
        left.Done(0.5); // what an earlier run did, and the first line
        clock.Now += TimeSpan.FromSeconds(60);
        Assert.Equal("", left.ToString());
        left.Done(0.6);
        Assert.Equal(", 60 % done, 4 min left", left.ToString());
        clock.Now += TimeSpan.FromSeconds(60);
        left.Done(1);
        Assert.Equal(", 100 % done, 0 s left", left.ToString());
        left.Done(null);
        Assert.Equal("", left.ToString());
    }

    [Theory]
    [InlineData(0.2, "1 s")]
    [InlineData(89, "89 s")]
    [InlineData(100, "2 min")]
    [InlineData(3 * 3600 + 1230, "3 h 20 min")]
    [InlineData(53 * 3600, "2 d 5 h")]
    public void Times_are_said_as_people_say_them(double seconds, string words) => Assert.Equal(words, TimeLeft.Describe(TimeSpan.FromSeconds(seconds)));

    [Theory]
    [InlineData("plain")]
    [InlineData("gzip")]
    public void Lines_know_their_share_of_the_input(string how)
    {
        string text = string.Concat(Enumerable.Range(0, 40_000).Select(i => $"{{\"prompt\":\"{i * 7919L % 100_003}\",\"response\":\"b\"}}\n"));
        string path = _folder.Write("in", text);
        if (how == "gzip")
        {
            using FileStream file = File.Create(path);
            using System.IO.Compression.GZipStream gzip = new(file, System.IO.Compression.CompressionLevel.Fastest);
            gzip.Write(System.Text.Encoding.UTF8.GetBytes(text));
        }

        using LineSource source = LineSource.Open(path);
        double[] shares = [.. source.Lines().Select(line => line.Share!.Value)];
        for (int i = 0; i < shares.Length; i++) Assert.Equal((i + 1.0) / shares.Length, shares[i], how == "plain" ? 0.01 : 0.1);
        Assert.InRange(shares[^1], 0.99, 1);
    }
}
