using System.Text.Json;
using LdlVk.Testing;

namespace LdlVk.Server.Tests;

/// <summary>Models that give more than a score, or a score of each step, as the endpoints give them.</summary>
public sealed class HeadTests
{
    [Fact]
    public async Task Steps_come_with_every_reward_and_with_rendered_ids()
    {
        GoldenRow row = FamilyGoldens.Read("qwen2_prm").Inputs[0].Rows[0];
        using RewardModel model = Load("qwen2_prm");
        await using Api api = await Api.StartAsync(model);
        var item = new { input_ids = row.Ids, step_positions = row.StepPositions };
        JsonElement entry = (await api.PostAsync("/v1/rewards", item)).Json.GetProperty("data")[0];
        float[] steps = Numbers(entry.GetProperty("steps"));
        Assert.All(row.Reference.Steps!.Zip(steps), pair => Assert.Equal(pair.First, pair.Second, 2e-4));
        Assert.Equal(steps.Aggregate(1.0, (a, b) => a * b), entry.GetProperty("score").GetDouble(), 1e-6);
        JsonElement rendered = (await api.PostAsync("/render", new { input_ids = row.Ids, step_positions = row.StepPositions, ids = true })).Json.GetProperty("data")[0];
        Assert.Equal(row.StepPositions!, rendered.GetProperty("step_positions").EnumerateArray().Select(p => p.GetInt32()));
        Reply setting = await api.PostAsync("/v1/rewards", new { input_ids = row.Ids, step_positions = row.StepPositions, aggregate = "min" });
        Assert.Equal(422, setting.Status);
        Assert.Contains("aggregate is set where the server is started", setting.Json.ToString(), StringComparison.Ordinal);
        Reply without = await api.PostAsync("/v1/rewards", new { input_ids = row.Ids });
        Assert.Equal(422, without.Status);
        Assert.Contains("no steps", without.Json.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Details_have_the_attributes_of_gated_heads()
    {
        GoldenRow row = FamilyGoldens.Read("armorm_llama").Inputs[0].Rows[0];
        using RewardModel model = Load("armorm_llama");
        await using Api api = await Api.StartAsync(model);
        JsonElement entry = (await api.PostAsync("/v1/rewards", new { input_ids = row.Ids, details = true })).Json.GetProperty("data")[0];
        Assert.All(row.Reference.Gating!.Zip(Numbers(entry.GetProperty("weights"))), pair => Assert.Equal(pair.First, pair.Second, 2e-4));
        Assert.Equal(19, Numbers(entry.GetProperty("attributes")).Length);
        Assert.Equal(19, Numbers(entry.GetProperty("adjusted")).Length);
        JsonElement names = (await api.GetAsync("/v1/models")).Json.GetProperty("data")[0].GetProperty("attributes");
        Assert.Equal("code-readability", names[18].GetString());
        Assert.Equal(422, (await api.PostAsync("/v1/rewards", new { input_ids = (int[])[1, 2, 3] })).Status);
    }

    private static RewardModel Load(string name) => RewardModel.Load(
        Path.Combine(FamilyGoldens.Folder, name), new RewardModelOptions { Device = "cpu", Weights = WeightFormat.Fp32 });

    private static float[] Numbers(JsonElement list) => [.. list.EnumerateArray().Select(number => number.GetSingle())];
}
