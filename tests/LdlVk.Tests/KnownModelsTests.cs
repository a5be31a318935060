using System.Buffers.Binary;
using System.Text.Json;
using System.Text.Json.Nodes;
using LdlVk.Runtime.Model;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>The table of published models, how a folder is recognized, and how its scores are compared.</summary>
public sealed class KnownModelsTests : IDisposable
{
    private static readonly string Mini = Repository.Path("models", "ldl-mini");

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Each_fact_has_a_source()
    {
        Assert.Equal(KnownModels.All.Count, KnownModels.All.Select(model => model.Repository).Distinct(StringComparer.OrdinalIgnoreCase).Count());
        foreach (KnownModel model in KnownModels.All)
        {
            Assert.Matches("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", model.Repository);
            foreach (PublishedFact? fact in (PublishedFact?[])[model.Head, model.Reads, model.Template, model.License])
                Assert.False(fact is not null && (fact.Value.Length == 0 || fact.Source.Length == 0));
            Assert.True(model.Shape is null || model.Shape.Source.Length > 0);
            Assert.All(model.Examples, example => Assert.NotEmpty(example.Source));
        }
    }

    [Theory]
    [InlineData("Skywork/Skywork-Reward-Gemma-2-27B", 9.1875, -17.875)]
    [InlineData("Skywork/Skywork-Reward-Llama-3.1-8B", 12.625, -15.25)]
    [InlineData("Skywork/Skywork-Reward-V2-Llama-3.1-8B", 23.0, 3.59375)]
    [InlineData("internlm/internlm2-20b-reward", 0.767578125, -2.22265625)]
    [InlineData("Qwen/WorldPM-72B", 0.6298332214355469, -1.6425328254699707)]
    public void Published_scores_are_those_of_the_cards_and_models_of_one_shape_stay_apart(string repository, double better, double worse)
    {
        KnownModel model = KnownModels.All.Single(known => known.Repository == repository);
        Assert.Equal([better, worse], model.Examples.Select(example => example.Score));
        foreach (KnownModel other in KnownModels.All.Where(m => m != model && m.Shape == model.Shape && m.HeadTensor == model.HeadTensor && m.Examples.Count > 0))
            Assert.Contains(model.Examples.Zip(other.Examples), pair => Math.Abs(pair.First.Score - pair.Second.Score) > 2 * Tolerance(pair.First, WeightFormat.Fp16));

        double Tolerance(PublishedScore example, WeightFormat weights) =>
            ModelVerification.Tolerance(example, Math.Max(Math.Abs(better), Math.Abs(worse)), model.Shape!.Layers, weights);
    }

    [Fact]
    public void The_tolerance_follows_the_arithmetic_of_both_runs()
    {
        PublishedScore bf16 = new(new Conversation("a", "b"), 23, PublishedPrecision.Bf16, "here"), fp16 = bf16 with { Precision = PublishedPrecision.Fp16 };
        // √64 / 512 of 23, and half a unit of the last place, 23/256.
        Assert.Equal(0.359375 + 0.08984375, ModelVerification.Tolerance(bf16, 23, 32, WeightFormat.Fp32), 1e-12);
        Assert.Equal((0.359375 / 8) + (23.0 / 2048), ModelVerification.Tolerance(fp16, 23, 32, WeightFormat.Fp32), 1e-12);
        double[] all = [.. Enum.GetValues<WeightFormat>().Select(format => ModelVerification.Tolerance(bf16, 23, 32, format))];
        Assert.Equal(all.Order(), all);
        // A run by other software gave 23.125 and 3.578125 for the same texts.
        Assert.True(all[0] > 0.125);
    }

    [Fact]
    public async Task Scores_within_the_tolerance_pass_and_others_fail()
    {
        using RewardModel model = await RewardModel.LoadAsync(Mini, new RewardModelOptions { Device = "cpu" });
        Conversation conversation = new("What is the sea?", "A large body of salt water.");
        double score = model.Score(conversation).Score;
        KnownModel known = new("a/b", "gemma2", "", new BackboneShape(1, 1, 1, 1, "here")) { Examples = [new(conversation, score + 0.001, PublishedPrecision.Bf16, "here"), new(conversation, score + 1, PublishedPrecision.Bf16, "here")] };
        IReadOnlyList<VerifiedScore> scores = ModelVerification.Run(known, model);
        Assert.Equal([true, false], scores.Select(s => s.Passes));
        Assert.Equal(score, scores[0].Score);

        known = known with { Examples = [new(new Conversation([new Message("nobody", "a")]), 1, PublishedPrecision.Bf16, "here")] };
        VerifiedScore failed = Assert.Single(ModelVerification.Run(known, model));
        Assert.NotNull(failed.Error);
        Assert.False(failed.Passes);
    }

    [Fact]
    public void A_folder_is_recognized_by_its_shape_and_head_whatever_its_name_is()
    {
        WriteLlama1B("score.weight");
        using (Checkpoint checkpoint = Checkpoint.Open(_folder.Path))
            Assert.Equal(["Skywork/Skywork-Reward-V2-Llama-3.2-1B"], KnownModels.Matching(checkpoint).Select(model => model.Repository));
        WriteLlama1B("value_head.weight");
        using (Checkpoint checkpoint = Checkpoint.Open(_folder.Path)) Assert.Empty(KnownModels.Matching(checkpoint));
        using (Checkpoint checkpoint = Checkpoint.Open(Mini)) Assert.Empty(KnownModels.Matching(checkpoint));
    }

    /// <summary>The sizes of allenai/OLMo-2-1124-7B-RM's config.json, with heads and KV heads alike, in a file with a hole for weights.</summary>
    [Fact]
    public void OLMo_2_is_recognized()
    {
        JsonObject config = new()
        {
            ["model_type"] = "olmo2", ["hidden_size"] = 4096, ["num_hidden_layers"] = 32, ["num_attention_heads"] = 32, ["num_key_value_heads"] = 32,
            ["intermediate_size"] = 11008, ["vocab_size"] = 1000, ["hidden_act"] = "silu", ["rms_norm_eps"] = 1e-6, ["rope_theta"] = 500000, ["rope_scaling"] = null,
        };
        List<(string, int[])> tensors = [("model.embed_tokens.weight", [1000, 4096]), ("model.norm.weight", [4096]), ("score.weight", [1, 4096])];
        for (int layer = 0; layer < 32; layer++)
        {
            string at = $"model.layers.{layer}.";
            foreach (string norm in (string[])["post_attention_layernorm", "post_feedforward_layernorm", "self_attn.q_norm", "self_attn.k_norm"])
                tensors.Add((at + norm + ".weight", [4096]));
            foreach (char matrix in "qkvo") tensors.Add(($"{at}self_attn.{matrix}_proj.weight", [4096, 4096]));
            tensors.AddRange([(at + "mlp.gate_proj.weight", [11008, 4096]), (at + "mlp.up_proj.weight", [11008, 4096]), (at + "mlp.down_proj.weight", [4096, 11008])]);
        }

        Write(config.ToJsonString(), tensors);
        using Checkpoint checkpoint = Checkpoint.Open(_folder.Path);
        Assert.Equal(["allenai/OLMo-2-1124-7B-RM"], KnownModels.Matching(checkpoint).Select(model => model.Repository));
    }

    /// <summary>Writes the header of a model of 1.2 billion weights, with a hole in the place of the weights.</summary>
    private void WriteLlama1B(string head)
    {
        const int Hidden = 2048, Ffn = 8192, Keys = 512, Vocabulary = 1000;
        string config = $$"""{"model_type":"llama","hidden_size":{{Hidden}},"num_hidden_layers":16,"num_attention_heads":32,"num_key_value_heads":8,"head_dim":64,"intermediate_size":{{Ffn}},"vocab_size":{{Vocabulary}},"hidden_act":"silu"}""";
        List<(string Name, int[] Shape)> tensors = [("model.embed_tokens.weight", [Vocabulary, Hidden]), ("model.norm.weight", [Hidden]), (head, [1, Hidden])];
        for (int layer = 0; layer < 16; layer++)
        {
            string at = $"model.layers.{layer}.";
            tensors.AddRange([
                (at + "input_layernorm.weight", [Hidden]), (at + "post_attention_layernorm.weight", [Hidden]), (at + "self_attn.q_proj.weight", [Hidden, Hidden]),
                (at + "self_attn.k_proj.weight", [Keys, Hidden]), (at + "self_attn.v_proj.weight", [Keys, Hidden]), (at + "self_attn.o_proj.weight", [Hidden, Hidden]),
                (at + "mlp.gate_proj.weight", [Ffn, Hidden]), (at + "mlp.up_proj.weight", [Ffn, Hidden]), (at + "mlp.down_proj.weight", [Hidden, Ffn])]);
        }

        Write(config, tensors);
    }

    private void Write(string config, List<(string Name, int[] Shape)> tensors)
    {
        _folder.Write("config.json", config);
        long offset = 0;
        byte[] header = JsonSerializer.SerializeToUtf8Bytes(tensors.ToDictionary(t => t.Name, t => new
        {
            dtype = "BF16",
            shape = t.Shape,
            data_offsets = (long[])[offset, offset += 2 * t.Shape.Aggregate(1L, (a, b) => a * b)],
        }));
        byte[] length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
        using FileStream file = File.Create(_folder["model.safetensors"]);
        file.Write(length);
        file.Write(header);
        file.SetLength(8 + header.Length + offset);
    }
}
