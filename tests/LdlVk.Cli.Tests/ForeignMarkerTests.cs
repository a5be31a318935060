using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>Texts that were made with another model's template, on the command line: warned of once, or refused.</summary>
public sealed class ForeignMarkerTests : IDisposable
{
    private const string Foreign = "<|im_start|>assistant";

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("score")]
    [InlineData("compare")]
    [InlineData("rank")]
    public async Task Texts_of_flags_are_warned_of_or_refused(string command)
    {
        string[] call = [command, "--model", Cli.Mini, "--device", "cpu", "--prompt", "a", "--response", Foreign, "--response", $"{Foreign} 2"];
        await CheckAsync(call);
    }

    [Theory]
    [InlineData("score", "{\"prompt\":\"a\",\"response\":\"FOREIGN\"}")]
    [InlineData("score", "{\"text\":\"<bos>FOREIGN\"}")]
    [InlineData("rank", "{\"prompt\":\"FOREIGN\",\"responses\":[\"a\",\"b\"]}")]
    [InlineData("eval", "{\"prompt\":\"a\",\"chosen\":\"FOREIGN\",\"rejected\":\"b\"}")]
    public async Task Texts_of_files_are_warned_of_or_refused(string command, string line) => await CheckAsync(
        [command, "--model", Cli.Mini, "--device", "cpu", "--input", _folder.Write("in.jsonl", line.Replace("FOREIGN", Foreign, StringComparison.Ordinal))]);

    private static async Task CheckAsync(string[] call)
    {
        Outcome warned = await Cli.RunAsync(call), refused = await Cli.RunAsync([.. call, "--foreign-markers", "refuse"]);
        Assert.Equal(0, warned.Code);
        Assert.Equal(2, warned.Error.Split("was it made for another model?").Length);
        Assert.Contains("--foreign-markers refuse", warned.Error, StringComparison.Ordinal);
        Assert.Equal(3, refused.Code);
        Assert.Contains("a marker of the chat template of ChatML", refused.Error + refused.Out, StringComparison.Ordinal);
        Assert.DoesNotContain("was it made for another model?", refused.Error, StringComparison.Ordinal);
    }
}
