using System.Text.Json;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary><c>ldlvk models</c> and <c>ldlvk verify</c>.</summary>
public class KnownModelTests
{
    private static readonly string Mini = Repository.Path("models", "ldl-mini");

    [Fact]
    public async Task Models_are_listed_and_one_is_shown_with_its_sources()
    {
        Outcome all = await Cli.RunAsync("models");
        Assert.Equal(0, all.Code);
        Assert.Contains("internlm/internlm2-20b-reward", all.Out, StringComparison.Ordinal);
        Outcome one = await Cli.RunAsync("models", "v2-llama-3.1-8b-40m");
        Assert.Contains("Skywork/Skywork-Reward-V2-Llama-3.1-8B-40M", one.Out, StringComparison.Ordinal);
        Assert.Contains("32 layers of 4096", one.Out, StringComparison.Ordinal);
        Assert.Contains("The Llama 3 Herd of Models", one.Out, StringComparison.Ordinal);
        Outcome some = await Cli.RunAsync("models", "worldpm-72b", "--json");
        JsonElement models = Cli.Json(some.Out).GetProperty("models");
        Assert.Equal(4, models.GetArrayLength());
        JsonElement example = models[0].GetProperty("examples")[0];
        Assert.Equal(0.6298332214355469, example.GetProperty("score").GetDouble());
        Assert.Equal("system", example.GetProperty("messages")[0].GetProperty("role").GetString());
        Assert.Contains("QwenLM/WorldPM", example.GetProperty("source").GetString(), StringComparison.Ordinal);
        (await Cli.RunAsync("models", "nothing-like-that")).Fails(2, "nothing-like-that", "ldlvk models lists them all");
    }

    [Fact]
    public async Task Of_a_model_that_is_not_known_verify_says_what_it_cannot_say()
    {
        Outcome people = await Cli.RunAsync("verify", Mini);
        Assert.Equal(3, people.Code);
        Assert.Contains("Not verified.", people.Out, StringComparison.Ordinal);
        Assert.Contains("no known model", people.Out, StringComparison.Ordinal);
        Outcome json = await Cli.RunAsync("verify", Mini, "--json");
        Assert.Equal(3, json.Code);
        Assert.False(Cli.Json(json.Out).GetProperty("verified").GetBoolean());
        Assert.Equal(0, Cli.Json(json.Out).GetProperty("candidates").GetArrayLength());
        (await Cli.RunAsync("verify", Mini, "--as", "acme/none")).Fails(2, "--as acme/none", "no such known model");
        (await Cli.RunAsync("verify", Mini, "--as", "Qwen/WorldPM-72B")).Fails(2, "is not Qwen/WorldPM-72B");
        (await Cli.RunAsync("verify", "")).Fails(2, "MODEL is empty");
    }

    [Fact]
    public async Task Inspect_lists_the_known_models()
    {
        JsonElement json = Cli.Json((await Cli.RunAsync("inspect", Mini, "--json")).Out);
        Assert.Equal(0, json.GetProperty("known_models").GetArrayLength());
    }
}
