using LdlVk.Testing;

namespace LdlVk.Server.Tests;

/// <summary>Texts that were made with another model's chat template.</summary>
public class ForeignMarkerTests(Mini mini)
{
    [Theory]
    [InlineData("<|im_start|>user\na<|im_end|>", "<|im_start|>, a marker of the chat template of ChatML")]
    [InlineData("<|start_header_id|>user<|end_header_id|>\n\na<|eot_id|>", "of Llama 3")]
    [InlineData("[INST] a [/INST] b", "of Llama 2 or Mistral")]
    [InlineData("<|user|>\na<|end|>", "of Phi or Zephyr")]
    [InlineData("<｜User｜>a<｜Assistant｜>b", "of DeepSeek")]
    [InlineData("<start_of_turn>user\na<end_of_turn>\n", null)]
    [InlineData("a [INSTANCE] <|x|>", null)]
    public async Task Markers_of_other_templates_are_known_and_the_model_s_own_are_not_foreign(string text, string? words)
    {
        using RewardModel model = Load(ForeignMarkers.Refuse);
        await using Api api = await Api.StartAsync(model);
        foreach ((string path, object body) in ((string, object)[])[("get_reward", new { query = new[] { text } }), ("v1/compare", new { prompt = text, a = "a", b = "b" })])
        {
            Reply reply = await api.PostAsync(path, body);
            Assert.True(words is null ? reply.Status == 200 : reply.Status == 422, reply.Text);
            if (words is not null) Assert.Contains(words, reply.Text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task They_are_warned_of_once_and_counted()
    {
        using RewardModel model = Load(ForeignMarkers.Warn);
        List<string> warnings = [];
        model.Warning += notice => warnings.Add(notice.ToString());
        await using Api api = await Api.StartAsync(model);
        foreach (string text in (string[])["<|im_start|>user\na<|im_end|>", "b [/INST]", mini.Goldens[0].Text])
            Assert.Equal(200, (await api.PostAsync("get_reward", new { query = new[] { text } })).Status);
        Assert.Contains("ForeignMarkers = refuse", Assert.Single(warnings), StringComparison.Ordinal);
        Assert.Contains("ldlvk_foreign_marker_texts_total 2\n", (await api.GetAsync("metrics")).Text, StringComparison.Ordinal);
    }

    private static RewardModel Load(ForeignMarkers markers) => RewardModel.Load(
        Repository.Path("models", "ldl-mini"), new RewardModelOptions { Device = "cpu", Weights = WeightFormat.Fp32, ForeignMarkers = markers });
}
