using System.Text.Json;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>Models that give a score alone, through the commands that show more of others.</summary>
public class OtherModelTests
{
    [Theory]
    [InlineData("s_skywork_bf16", "Gemma-2 with a linear head (Skywork-Reward-Gemma-2)", "gemma2-score")]
    [InlineData("i_inform_bf16", "Llama with a head of two layers (INF-ORM-Llama3.1)", "llama-score")]
    public async Task Inspect_names_the_family(string name, string family, string architecture)
    {
        string folder = Goldens.Read(name).Folder;
        Outcome people = await Cli.RunAsync("inspect", folder);
        Assert.Equal(0, people.Code);
        Assert.Contains(family, people.Out, StringComparison.Ordinal);
        Assert.Contains("the score alone", people.Out, StringComparison.Ordinal);
        JsonElement json = Cli.Json((await Cli.RunAsync("inspect", folder, "--json")).Out);
        Assert.Equal(architecture, json.GetProperty("architecture").GetString());
        Assert.False(json.TryGetProperty("attributes", out _));
    }

    [Theory]
    [InlineData("s_skywork_bf16")]
    [InlineData("i_inform_bf16")]
    public async Task Details_of_a_score_alone_are_the_score(string name)
    {
        GoldenRow row = Goldens.Read(name).Inputs[0].Rows[0];
        Outcome outcome = await Cli.RunWithInputAsync(
            $"{{\"input_ids\":[{string.Join(',', row.Ids)}]}}\n", "score", "--model", Goldens.Read(name).Folder, "--device", "cpu", "--weights", "fp32", "--input", "-", "--details");
        Assert.Equal(0, outcome.Code);
        JsonElement line = Assert.Single(outcome.Lines);
        Assert.Equal(["id", "score", "tokens"], line.EnumerateObject().Select(p => p.Name));
        Assert.Equal(row.Reference.Score, line.GetProperty("score").GetDouble(), 2e-4);
    }

    /// <summary>Conversion keeps the head, and the converted folder gives the original's score in that format.</summary>
    [Theory]
    [InlineData("s_skywork_bf16")]
    [InlineData("i_inform_bf16")]
    public async Task A_converted_folder_scores_as_its_original(string name)
    {
        using TempFolder temp = new();
        string folder = Goldens.Read(name).Folder, ids = $"{{\"input_ids\":[{string.Join(',', Goldens.Read(name).Inputs[0].Rows[0].Ids)}]}}\n";
        Assert.Equal(0, (await Cli.RunAsync("convert", folder, temp["m"], "--weights", "int8")).Code);
        Outcome original = await Cli.RunWithInputAsync(ids, "score", "--model", folder, "--device", "cpu", "--weights", "int8", "--input", "-");
        Outcome converted = await Cli.RunWithInputAsync(ids, "score", "--model", temp["m"], "--device", "cpu", "--input", "-");
        Assert.Equal((0, original.Out), (converted.Code, converted.Out));
    }
}
