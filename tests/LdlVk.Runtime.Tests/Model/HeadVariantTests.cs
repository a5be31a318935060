using System.Text.Json.Nodes;
using LdlVk.Runtime.Conversion;
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

    /// <summary>Inner layers are square here and in the published models, so shapes do not show that one is missing.</summary>
    [Theory]
    [InlineData("urm_llama", "weights.fc.0.", "before 2")]
    [InlineData("urm_llama", "weights.fc.2.", "between 0 and 4")]
    [InlineData("qwen2_prm", "score.0.", "before 2")]
    [InlineData("qwen2_mlp", "score.0.", "before 2")]
    [InlineData("qrm_llama", "gating.layers.2.", "none before layers.3")]
    [InlineData("qrm_llama", "gating.layers.5.", "none before layers.6")]
    [InlineData("qrm_gemma2", "gating.layers.6.", "none before layers.8")]
    [InlineData("qrm_llama", "reward_transform_matrix", "no tensor reward_transform_matrix")]
    [InlineData("armorm_llama", "reward_transform_matrix", "no tensor reward_transform_matrix")]
    [InlineData("armorm_llama", "gating.layers.1.", "hidden layers")]
    [InlineData("armorm_llama", "gating.layers.1.bias", "no tensor layers.1.bias")]
    public void A_head_that_lacks_a_tensor_is_refused(string name, string missing, string says)
    {
        string whole = Without(name, null);
        Checkpoint.Open(whole).Dispose();
        Assert.Contains(says, Refused(Without(name, missing)));
    }

    [Fact]
    public void A_class_that_scores_steps_and_a_head_that_scores_texts_are_both_named()
    {
        string folder = With("qwen3_linear", config => config["architectures"] = new JsonArray("Qwen3ForProcessRewardModel"));
        Assert.Contains("Choose Head = steps or Head = score", Refused(folder));
        foreach (string choice in (string[])["steps", "score"])
        {
            using Checkpoint chosen = Checkpoint.Open(folder, head: choice);
            Assert.Equal(choice, chosen.Head.Name);
        }
    }

    [Fact]
    public void A_prefix_of_no_tensor_beside_another_head_is_refused()
    {
        string folder = With("llama_value_head_norm", config => config["value_head_prefix"] = "scorer");
        string message = Refused(folder);
        Assert.Contains("value_head_prefix of config.json says \"scorer\"", message);
        Assert.Contains("Head = value_head", message);
        Checkpoint.Open(folder, head: "value_head").Dispose();
    }

    [Fact]
    public void Tensors_that_nothing_reads_are_listed()
    {
        Assert.All(
            (string[])["qwen3_linear", "skywork_o1_prm", "internlm2_reward", "qrm_llama", "llama_v_head", "gemma3_text_linear"],
            name =>
            {
                using Checkpoint whole = Checkpoint.Open(Folder(name));
                Assert.Empty(whole.UnusedTensors);
            });
        using Checkpoint other = Checkpoint.Open(Without("qwen3_linear", null, "classifier.weight"));
        Assert.Equal(["classifier.weight"], other.UnusedTensors);
    }

    [Theory]
    [InlineData("base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight")]
    [InlineData("score.lora_A.weight")]
    [InlineData("lm_head.lora_B.weight")]
    public void An_adapter_that_was_not_merged_is_refused(string name) =>
        Assert.Contains("lora_", Refused(Without("qwen3_linear", null, name)));

    /// <summary>A copy in one file, in fp32, without the tensors whose names begin so, and with another.</summary>
    private string Without(string name, string? missing, string? further = null)
    {
        string folder = _temp[$"{name}-{Guid.NewGuid():N}"];
        Directory.CreateDirectory(folder);
        File.Copy(Path.Combine(Folder(name), "config.json"), Path.Combine(folder, "config.json"));
        OtherHead.Tensor[] more = further is null ? [] : [new OtherHead.Tensor(further, [2], new float[2])];
        OtherHead.WriteTensors(
            Path.Combine(folder, "model.safetensors"),
            [.. OtherHead.ReadAll(Folder(name)).Where(t => missing is null || !t.Name.StartsWith(missing, StringComparison.Ordinal)), .. more]);
        return folder;
    }

    /// <summary>The choice of a head is part of what a converted folder is: nothing in its tensors tells steps from texts.</summary>
    [Theory]
    [InlineData("llama_v_head", "steps", "v_head")]
    [InlineData("skywork_o1_prm", "v_head.summary", "steps")]
    [InlineData("llama_logit0", "logit:3", null)]
    public void A_converted_folder_keeps_the_head_that_was_chosen(string name, string choice, string? other)
    {
        Converter.Run(Folder(name), _temp["converted"], WeightFormat.Int8, head: choice);
        string expected;
        using (Checkpoint original = Checkpoint.Open(Folder(name), head: choice)) expected = original.Head.Summary;
        using (Checkpoint converted = Checkpoint.Open(_temp["converted"])) Assert.Equal(expected, converted.Head.Summary);
        if (other is null) return;
        using Checkpoint overridden = Checkpoint.Open(_temp["converted"], head: other);
        Assert.NotEqual(expected, overridden.Head.Summary);
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
