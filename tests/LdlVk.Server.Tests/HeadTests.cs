using System.Text.Json;
using LdlVk.Testing;

namespace LdlVk.Server.Tests;

/// <summary>Models that give more than a score, or a score of each step, as the endpoints give them.</summary>
public sealed class HeadTests
{
    /// <summary>Clients of several servers see by it whether scores can be compared: what changes a score changes it, a copy does not.</summary>
    [Fact]
    public async Task Info_says_what_scores_depend_on()
    {
        using TempFolder copy = new TempFolder().WithModel(Repository.Path("models", "ldl-mini")), other = new TempFolder().WithModel(copy.Path);
        byte[] weights = File.ReadAllBytes(other["model.safetensors"]);
        weights[^1000] ^= 1;
        File.WriteAllBytes(other["model.safetensors"], weights);
        string mini = Repository.Path("models", "ldl-mini");
        RewardModelOptions fp16 = new() { Device = "cpu", Weights = WeightFormat.Fp16 };
        (string Model, string Settings, string Machine) first = await InfoAsync(mini, fp16);
        Assert.Matches("^[0-9a-f]{32}$", first.Model);
        Assert.StartsWith($"model {first.Model}, weights fp16, ", first.Settings, StringComparison.Ordinal);
        Assert.Matches("^ldlvk [0-9.a-z-]+, device cpu [a-z0-9]+$", first.Machine);
        Assert.Equal(first, await InfoAsync(copy.Path, fp16 with { BatchTokens = 64 }));
        Assert.NotEqual(first.Model, (await InfoAsync(other.Path, fp16)).Model);
        string[] settings =
        [
            first.Settings,
            (await InfoAsync(mini, fp16 with { Weights = WeightFormat.Int8 })).Settings,
            (await InfoAsync(mini, fp16 with { Truncate = true })).Settings,
            (await InfoAsync(mini, fp16 with { ChatTemplate = "none" })).Settings,
            (await InfoAsync(mini, fp16 with { SystemMessages = SystemMessages.Merge })).Settings,
            (await InfoAsync(mini, fp16 with { ForeignMarkers = ForeignMarkers.Refuse })).Settings,
            (await InfoAsync(mini, fp16, Api.Options with { SpecialTokens = SpecialTokens.Tokens })).Settings,
            (await InfoAsync(other.Path, fp16)).Settings,
        ];
        Assert.Distinct(settings);

        static async Task<(string Model, string Settings, string Machine)> InfoAsync(string folder, RewardModelOptions options, ServerOptions? server = null)
        {
            using RewardModel model = RewardModel.Load(folder, options);
            await using Api api = await Api.StartAsync(model, server);
            JsonElement info = (await api.GetAsync("info")).Ok;
            return (info.GetProperty("model_sha").GetString()!, info.GetProperty("settings").GetString()!, info.GetProperty("machine").GetString()!);
        }
    }

    /// <summary>A program may remove what it has downloaded for a model: it is on the device.</summary>
    [Fact]
    public async Task A_server_starts_where_the_files_of_its_model_are_gone()
    {
        using TempFolder folder = new TempFolder().WithModel(Repository.Path("models", "ldl-mini"));
        using RewardModel model = RewardModel.Load(folder.Path, new RewardModelOptions { Device = "cpu" });
        foreach (string file in Directory.GetFiles(folder.Path)) File.Delete(file);
        await using Api api = await Api.StartAsync(model);
        Assert.Equal(JsonValueKind.Null, (await api.GetAsync("info")).Ok.GetProperty("settings").ValueKind);
        Assert.Equal(200, (await api.PostAsync("v1/rewards", new { prompt = "a", response = "b" })).Status);
    }

    /// <summary>Texts are refused with the way on, and without the folder's path, which is the server's own business.</summary>
    [Fact]
    public async Task Without_a_tokenizer_token_ids_are_scored_and_texts_are_not()
    {
        using TempFolder folder = new TempFolder().WithModel(Repository.Path("models", "ldl-mini"));
        File.Delete(folder["tokenizer.json"]);
        using RewardModel model = RewardModel.Load(folder.Path, new RewardModelOptions { Device = "cpu" });
        await using Api api = await Api.StartAsync(model);
        Assert.Equal(200, (await api.PostAsync("v1/rewards", new { input_ids = new[] { 2, 5, 6 } })).Status);
        // /render says of each text what is wrong with it.
        foreach ((string path, int status, object body) in ((string, int, object)[])[("v1/rewards", 422, new { prompt = "a", response = "b" }), ("get_reward", 422, new { query = new[] { "a" } }),
            ("classify", 400, new { input = "a" }), ("tokenize", 400, new { prompt = "a" }), ("render", 200, new { prompt = "a", response = "b" })])
        {
            Reply reply = await api.PostAsync(path, body);
            Assert.Equal((path, status), (path, reply.Status));
            if (status != 200) Assert.Contains("neither tokenizer.json nor tokenizer.model, so only input_ids can be scored", reply.Text, StringComparison.Ordinal);
            Assert.DoesNotContain(folder.Path, reply.Text, StringComparison.Ordinal);
        }
    }

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
        foreach (object ignored in (object[])[
            new { input = row.Ids, step_positions = row.StepPositions }, new { input = row.Ids, steps = (string[])["a"] },
            new { input = row.Ids, attention_mask = row.Ids.Select(_ => 0) }, new { input = row.Ids, position_ids = row.Ids }])
            Assert.InRange((await api.PostAsync("/pooling", ignored)).Status, 400, 422);
        Assert.Equal(200, (await api.PostAsync("/v1/rewards", new { input_ids = row.Ids, step_positions = row.StepPositions, attention_mask = row.Ids.Select(_ => 1) })).Status);
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

    /// <summary>As vLLM's <c>token_classify</c>: attention is causal, so a token's value is the score of the text that ends with it.</summary>
    [Theory]
    [InlineData("llama_linear")]
    [InlineData("qwen2_mlp")]
    [InlineData("mistral_linear")]
    [InlineData("gemma3_text_linear")]
    [InlineData("llama_value_head_norm")]
    public async Task The_value_of_each_token_is_the_score_of_the_text_up_to_it(string name)
    {
        using RewardModel model = Load(name);
        Assert.True(model.ScoresTokens);
        await using Api api = await Api.StartAsync(model);
        int[][] texts = [.. FamilyGoldens.Read(name).Inputs.SelectMany(input => input.Rows).OrderByDescending(row => row.Ids.Length)
            .Select(row => row.Ids[..Math.Min(row.Ids.Length, 40)]).Take(2), [5]];
        JsonElement data = (await api.PostAsync("/v1/pooling", new { input = texts, task = "token_classify" })).Ok.GetProperty("data");
        int compared = 0;
        for (int t = 0; t < texts.Length; t++)
        {
            float[] values = [.. data[t].GetProperty("data").EnumerateArray().Select(token => Assert.Single(Numbers(token)))];
            Assert.Equal(texts[t].Length, values.Length);
            for (int i = 0; i < values.Length; i++)
            {
                // A classifier of transformers does not read at a padding token.
                int[] prefix = texts[t][..(i + 1)];
                if (model.ReadPosition(prefix) != i) continue;
                Assert.Equal(BitConverter.SingleToInt32Bits(model.Score(prefix).Score), BitConverter.SingleToInt32Bits(values[i]));
                compared++;
            }
        }

        Assert.True(compared > 40, $"{compared}");
        // Beside it in one batch, a text without a task has its one score.
        JsonElement whole = (await api.PostAsync("/pooling", new { input = texts })).Ok.GetProperty("data");
        Assert.Equal(model.Score(texts[0]).Score, Numbers(whole[0].GetProperty("data"))[0]);
    }

    [Theory]
    [InlineData("armorm_llama")]
    [InlineData("urm_llama")]
    [InlineData("qrm_gemma2")]
    public async Task A_head_with_attributes_has_no_value_of_each_token(string name)
    {
        using RewardModel model = Load(name);
        await using Api api = await Api.StartAsync(model);
        Reply reply = await api.PostAsync("/pooling", new { input = (int[])[1, 2], task = "token_classify" });
        Assert.Equal(400, reply.Status);
        Assert.Contains("task is token_classify, and this model gives one score for a whole text", reply.Json.ToString(), StringComparison.Ordinal);
    }

    private static RewardModel Load(string name) => RewardModel.Load(
        Path.Combine(FamilyGoldens.Folder, name), new RewardModelOptions { Device = "cpu", Weights = WeightFormat.Fp32 });

    private static float[] Numbers(JsonElement list) => [.. list.EnumerateArray().Select(number => number.GetSingle())];
}
