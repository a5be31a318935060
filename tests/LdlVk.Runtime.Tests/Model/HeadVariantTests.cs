using System.Text.Json.Nodes;
using LdlVk.Runtime.Model;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Model;

/// <summary>The family goldens' heads with other config.json files: absent and null fields, other values, the user's choice.</summary>
public sealed class HeadVariantTests : IDisposable
{
    private readonly TempFolder _temp = new();

    public void Dispose() => _temp.Dispose();

    [Theory]
    [InlineData("armorm_llama", "gated", 19)]
    [InlineData("qrm_llama", "gated", 19)]
    [InlineData("qrm_gemma2", "gated", 5)]
    [InlineData("urm_llama", "urm", 5)]
    public void Attributes_have_their_published_names(string name, string head, int attributes)
    {
        using Checkpoint checkpoint = Checkpoint.Open(Folder(name));
        Assert.Equal((head, attributes), (checkpoint.Head.Name, checkpoint.Head.Attributes));
        Assert.Equal(attributes, checkpoint.Head.AttributeNames.Count);
        Assert.Equal("helpsteer-helpfulness", checkpoint.Head.AttributeNames[0]);
    }

    /// <summary>As many objectives as ArmoRM's need not be ArmoRM's.</summary>
    [Theory]
    [InlineData("armorm_llama", "{\"architectures\":[\"MyRewardModel\"]}", "objective 0")]
    [InlineData("armorm_llama", "{\"architectures\":null}", "objective 0")]
    [InlineData("qrm_llama", "{\"architectures\":[\"LlamaForRewardModelWithGating31\"]}", "helpsteer-helpfulness")]
    [InlineData("qrm_gemma2", "{\"architectures\":[\"LlamaForRewardModelWithGating\"]}", "objective 0")]
    [InlineData("urm_llama", "{\"architectures\":[\"LlamaForSequenceClassification\"]}", "attribute 0")]
    [InlineData("urm_llama", "{\"id2label\":{\"4\":\"e\",\"0\":\"honesty\",\"1\":\"b\",\"2\":\"c\",\"3\":\"d\"}}", "honesty")]
    [InlineData("urm_llama", "{\"id2label\":{\"0\":\"LABEL_0\",\"1\":\"b\",\"2\":\"c\",\"3\":\"d\",\"4\":\"e\"}}", "helpsteer-helpfulness")]
    [InlineData("urm_llama", "{\"id2label\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}", "helpsteer-helpfulness")]
    public void Attributes_of_another_model_have_its_own_names_or_numbers(string name, string change, string first)
    {
        using Checkpoint checkpoint = Checkpoint.Open(With(name, config =>
        {
            foreach ((string field, JsonNode? value) in JsonNode.Parse(change)!.AsObject()) config[field] = value?.DeepClone();
        }));
        Assert.Equal((first, checkpoint.Head.Attributes), (checkpoint.Head.AttributeNames[0], checkpoint.Head.AttributeNames.Count));
    }

    [Theory]
    [InlineData("llama_value_head_norm", "normalize_reward")]
    [InlineData("llama_score_head", "do_normalize")]
    public void Statistics_alone_do_not_normalize(string name, string field)
    {
        using (Checkpoint normalized = Checkpoint.Open(Folder(name))) Assert.Contains(field, normalized.Head.Summary);
        foreach (JsonNode? value in (JsonNode?[])[false, null])
        {
            using Checkpoint raw = Checkpoint.Open(With(name, config => config[field] = value?.DeepClone()));
            Assert.DoesNotContain("normalized", raw.Head.Summary);
        }

        using Checkpoint absent = Checkpoint.Open(With(name, config => config.Remove(field)));
        Assert.DoesNotContain("normalized", absent.Head.Summary);
    }

    [Theory]
    [InlineData("llama_score_head", "normalize_reward", "OpenRLHF")]
    [InlineData("llama_v_head", "do_normalize", "safe-rlhf")]
    public void A_normalization_of_another_head_is_refused(string name, string field, string owner) =>
        Assert.Contains(owner, Refused(With(name, config =>
        {
            config.Remove("do_normalize");
            config[field] = true;
        })));

    [Fact]
    public void A_standard_deviation_of_zero_is_refused() =>
        Assert.Contains("std", Refused(With("llama_value_head_norm", config => config["std"] = 0)));

    [Fact]
    public void A_language_model_is_never_taken_for_a_reward_model()
    {
        string message = Assert.Throws<CheckpointException>(() => Checkpoint.Open(Folder("llama_logit0"))).Message;
        Assert.Contains("Head = logit:N", message);
        using Checkpoint chosen = Checkpoint.Open(Folder("llama_logit0"), head: "logit:3");
        Assert.Contains("token 3", chosen.Head.Summary);
        using Checkpoint tied = Checkpoint.Open(With("llama_logit0", config => config["tie_word_embeddings"] = true), head: "logit:0");
        Assert.Equal(chosen.Head.Parameters, tied.Head.Parameters);
    }

    [Theory]
    [InlineData("logit:281")]
    [InlineData("logit:-1")]
    [InlineData("logit:")]
    [InlineData("score")]
    public void A_head_that_is_not_there_is_refused(string head) =>
        Assert.Throws<UsageException>(() => Checkpoint.Open(Folder("llama_logit0"), head: head).Dispose());

    [Theory]
    [InlineData("gating_token_pattern", "[]")]
    [InlineData("gating_token_pattern", "\"a\"")]
    [InlineData("gating_temperature", "0")]
    [InlineData("num_objectives", "18")]
    [InlineData("num_quantiles", "2")]
    [InlineData("gating_n_hidden", "2")]
    [InlineData("gating_n_hidden", "4")]
    [InlineData("gating_hidden_dim", "33")]
    [InlineData("gating_n_hidden", "\"3\"")]
    public void A_field_of_the_gates_that_cannot_be_is_refused(string field, string value) =>
        Refused(With("armorm_llama", config => config[field] = JsonNode.Parse(value)));

    /// <summary>The published models' pattern is outside the little vocabulary.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Without_a_pattern_the_published_one_is_used(bool isNull) => Assert.Contains("128009", Refused(With("armorm_llama", config =>
    {
        config.Remove("gating_token_pattern");
        if (isNull) config["gating_token_pattern"] = null;
    })));

    [Fact]
    public void The_gate_is_read_at_the_last_pattern()
    {
        using Checkpoint checkpoint = Checkpoint.Open(Folder("armorm_llama"));
        int[] pattern = [.. checkpoint.Head.GatePattern];
        Assert.Equal([8, 13], checkpoint.ReadPositions([1, .. pattern, 2, 3, .. pattern, 4]));
        string message = Assert.Throws<InputException>(() => checkpoint.ReadPositions([1, .. pattern.SkipLast(1), 2])).Message;
        Assert.Contains(string.Join(" ", pattern), message);
    }

    [Fact]
    public void Steps_are_refused_where_texts_are_scored_and_where_they_are_none()
    {
        using (Checkpoint score = Checkpoint.Open(Folder("llama_v_head")))
            Assert.Throws<InputException>(() => score.ReadPositions([1, 2, 3], [1]));
        using Checkpoint steps = Checkpoint.Open(Folder("llama_v_head"), head: "steps");
        Assert.Equal([1, 2], steps.ReadPositions([1, 2, 3, 4], [1, 2]));
        foreach (int[]? wrong in (int[]?[])[null, [], [4], [-1], [2, 1], [1, 1]])
            Assert.Throws<InputException>(() => steps.ReadPositions([1, 2, 3, 4], wrong));
    }

    [Fact]
    public void The_prefix_of_config_json_names_the_head()
    {
        Assert.Contains("no reward head", Refused(With("llama_score_head", config => config.Remove("do_normalize"), "score_head", "my_scorer_")));
        using Checkpoint named = Checkpoint.Open(With("llama_score_head", config =>
        {
            config.Remove("do_normalize");
            config["value_head_prefix"] = "my_scorer_";
        }, "score_head", "my_scorer_"));
        Assert.Equal("score", named.Head.Name);
    }

    private static string Folder(string name) => Path.Combine(FamilyGoldens.Folder, name);

    private static string Refused(string folder) => Assert.ThrowsAny<LdlVkException>(() => Checkpoint.Open(folder).Dispose()).Message;

    /// <summary>A copy with another config.json, and with a name in the files' headers replaced by one of equal length.</summary>
    private string With(string name, Action<JsonObject> change, string? old = null, string? @new = null)
    {
        string folder = _temp[$"{name}-{Guid.NewGuid():N}"];
        Directory.CreateDirectory(folder);
        foreach (string path in Directory.GetFiles(Folder(name))) File.Copy(path, Path.Combine(folder, Path.GetFileName(path)));
        string config = Path.Combine(folder, "config.json");
        JsonObject json = JsonNode.Parse(File.ReadAllText(config))!.AsObject();
        change(json);
        File.WriteAllText(config, json.ToJsonString());
        if (old is null) return folder;
        string weights = Path.Combine(folder, "model.safetensors");
        byte[] bytes = File.ReadAllBytes(weights), from = System.Text.Encoding.ASCII.GetBytes($"\"{old}."), to = System.Text.Encoding.ASCII.GetBytes($"\"{@new}.");
        // A longer name takes the header's padding, so both must be as long.
        int at = bytes.AsSpan().IndexOf(from);
        Assert.True(at > 0);
        to.AsSpan(0, Math.Min(from.Length, to.Length)).CopyTo(bytes.AsSpan(at));
        File.WriteAllBytes(weights, bytes);
        return folder;
    }
}
