using System.Buffers.Binary;
using System.Text.Json;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Model;
using LdlVk.Runtime.Model.Heads;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Checkpoints;

/// <summary>The reference's own checkpoints: their configs, tensors and heads, checked against the reference's outputs.</summary>
public sealed class GoldenCheckpointTests
{
    public static TheoryData<string> LdlCases => ["a_f32_sliding", "b_bf16_sharded", "c_bf16_outliers", "d_f16_gate_softmax", "e_bf16_batch"];

    [Theory]
    //          case                 hidden layers heads kv dim ffn vocab ε  θ  scalar cap window
    [InlineData("a_f32_sliding", ElementType.Fp32, 64, 4, 4, 2, 16, 128, 512, 1e-6f, 10000, 24, 50, 8)]
    [InlineData("b_bf16_sharded", ElementType.Bf16, 96, 5, 4, 2, 32, 192, 640, 1e-6f, 10000, 24, 50, 16)]
    [InlineData("c_bf16_outliers", ElementType.Bf16, 64, 4, 4, 2, 16, 128, 384, 1e-6f, 10000, 16, 50, 8)]
    [InlineData("d_f16_gate_softmax", ElementType.Fp16, 72, 3, 8, 2, 16, 160, 400, 1e-5f, 1000, 40, 30, 12)]
    [InlineData("e_bf16_batch", ElementType.Bf16, 96, 4, 8, 4, 16, 144, 512, 1e-6f, 10000, 12, 50, 8)]
    public void Config_and_element_type(
        string name, ElementType type, int hidden, int layers, int heads, int kv, int dim, int ffn, int vocab, float epsilon, double theta, double scalar, float cap, int window)
    {
        using Checkpoint checkpoint = Open(name);
        Assert.Equal(type, checkpoint.SourceType);
        Assert.Equal(
            new BackboneConfig
            {
                Architecture = Architecture.Gemma2,
                HiddenSize = hidden, Layers = layers, Heads = heads, KeyValueHeads = kv, HeadDimension = dim, IntermediateSize = ffn, VocabularySize = vocab,
                MaxPositions = 512, RmsNormEpsilon = epsilon, RopeTheta = theta, QueryPreAttentionScalar = scalar, AttentionSoftcap = cap, SlidingWindow = window,
            },
            checkpoint.Config);
        Assert.Equal((220, 22, 10), (Ldl(checkpoint).Objectives, Ldl(checkpoint).Attributes, Ldl(checkpoint).Bins));
        Assert.Equal(name == "d_f16_gate_softmax" ? 2 : 0, Ldl(checkpoint).GateTemperature);
    }

    /// <summary>All data in the safetensors files is backbone, so file sizes less headers must be what is counted.</summary>
    [Theory]
    [MemberData(nameof(LdlCases))]
    public void Backbone_bytes_are_the_files_data(string name)
    {
        long data = 0;
        foreach (string path in Directory.GetFiles(Folder(name), "*.safetensors"))
        {
            byte[] file = File.ReadAllBytes(path);
            data += file.Length - 8 - BinaryPrimitives.ReadInt64LittleEndian(file);
        }
        using Checkpoint checkpoint = Open(name);
        Assert.Equal(data, checkpoint.BackboneBytes);
        Assert.Equal(Folder(name), checkpoint.Folder);
    }

    /// <summary>The reference's first residual is the embedding rows times √hidden = 8.</summary>
    [Fact]
    public void Embedding_rows_are_the_references()
    {
        using JsonDocument goldens = Json("a_f32_sliding", "goldens.json"), trace = Json("a_f32_sliding", "trace.json");
        using Checkpoint checkpoint = Open("a_f32_sliding");
        CheckpointTensor table = checkpoint.Tensor("embed_tokens.weight", 512, 64);
        float[] row = new float[64];
        int compared = 0;
        foreach (JsonElement input in goldens.RootElement.GetProperty("inputs").EnumerateArray())
        {
            if (!trace.RootElement.TryGetProperty(input.GetProperty("name").GetString()!, out JsonElement tensors)) continue;
            byte[] residual = Convert.FromBase64String(tensors.GetProperty("residual.embedding").GetProperty("base64").GetString()!);
            int at = 0;
            foreach (JsonElement id in input.GetProperty("input_ids").EnumerateArray().SelectMany(ids => ids.EnumerateArray()))
            {
                table.Read(id.GetInt32() * 64L, row);
                foreach (float value in row) Assert.Equal(BinaryPrimitives.ReadDoubleLittleEndian(residual.AsSpan(8 * at++)), 8.0 * value);
                compared++;
            }
        }
        Assert.True(compared > 10);
    }

    /// <summary>
    /// The heads, run in double on the reference's hidden states, give the reference's rewards and weights: names, order, offsets,
    /// element types, temperature and all (one case has every tensor in one storage, one has bf16 heads, one a softmax over the gates).
    /// </summary>
    [Theory]
    [MemberData(nameof(LdlCases))]
    public void Heads_give_the_references_rewards_and_weights(string name)
    {
        using Checkpoint checkpoint = Open(name);
        using JsonDocument goldens = Json(name, "goldens.json");
        LdlHead heads = Ldl(checkpoint);
        int rows = 0;
        foreach (JsonElement input in goldens.RootElement.GetProperty("inputs").EnumerateArray())
        {
            JsonElement f64 = input.GetProperty("f64");
            for (int row = 0; row < f64.GetProperty("hidden").GetArrayLength(); row++, rows++)
            {
                double[] hidden = Doubles(f64.GetProperty("hidden")[row]);
                double[] gates = Run(heads.Gating, hidden), rewards = Run(heads.Regression, hidden);
                if (heads.GateTemperature > 0) gates = Softmax([.. gates.Select(g => g / heads.GateTemperature)]);
                AssertClose(Doubles(f64.GetProperty("weights")[row]), gates);
                for (int a = 0; a < heads.Attributes; a++)
                    AssertClose(Doubles(f64.GetProperty("rewards")[row][a]), Softmax(rewards[(a * heads.Bins)..((a + 1) * heads.Bins)]));
            }
        }
        Assert.True(rows > 3);
    }

    [Fact]
    public void Tensors_are_found_with_and_without_the_prefix_and_named_when_missing()
    {
        // a's files have the prefix model., b's have not.
        foreach (string name in (string[])["a_f32_sliding", "b_bf16_sharded"])
        {
            using Checkpoint checkpoint = Open(name);
            int hidden = checkpoint.Config.HiddenSize;
            Assert.Equal([hidden], checkpoint.Tensor("norm.weight").Shape);
            Assert.Equal("norm.weight", checkpoint.Tensor("norm.weight", hidden).Name);
            AssertSays(() => checkpoint.Tensor("layers.99.x.weight"), "layers.99.x.weight", checkpoint.Folder);
            AssertSays(() => checkpoint.Tensor("norm.weight", 2, 3), "norm.weight", "[2, 3]", $"[{hidden}]", checkpoint.Folder);
        }
    }

    [Fact]
    public void The_embedded_model_opens()
    {
        using Checkpoint checkpoint = Checkpoint.Open(Repository.Path("models", "ldl-mini"));
        Assert.Equal((256, 4, 4096, 64), (checkpoint.Config.HiddenSize, checkpoint.Config.Layers, checkpoint.Config.VocabularySize, checkpoint.Config.SlidingWindow));
        Assert.Equal((220, 22, 10, 0f), (Ldl(checkpoint).Objectives, Ldl(checkpoint).Attributes, Ldl(checkpoint).Bins, Ldl(checkpoint).GateTemperature));
        Assert.Equal([(128, 256), (128, 128), (22, 128)], Ldl(checkpoint).Gating.Select(layer => (layer.Outputs, layer.Inputs)));
    }

    /// <summary>Skywork-Reward-Gemma-2: the backbone of LDL's, and one linear layer without bias.</summary>
    [Fact]
    public void A_linear_head_on_Gemma_2()
    {
        using Checkpoint checkpoint = Open("s_skywork_bf16");
        Assert.Equal((Architecture.Gemma2, 96, 4), (checkpoint.Config.Architecture, checkpoint.Config.HiddenSize, checkpoint.Config.Layers));
        HeadLayer layer = Assert.Single(Assert.IsType<ScoreHead>(checkpoint.Head).Network);
        Assert.Equal((1, 96), (layer.Outputs, layer.Inputs));
        Assert.Null(layer.Bias);
    }

    /// <summary>INF-ORM-Llama3.1.</summary>
    [Fact]
    public void A_head_of_two_layers_on_Llama()
    {
        using Checkpoint checkpoint = Open("i_inform_bf16");
        Assert.Equal(
            new BackboneConfig
            {
                Architecture = Architecture.Llama, HiddenSize = 64, Layers = 4, Heads = 4, KeyValueHeads = 2, HeadDimension = 16, IntermediateSize = 160, VocabularySize = 512,
                MaxPositions = 512, RmsNormEpsilon = 1e-5f, RopeTheta = 500000, RopeScaling = new Llama3RopeScaling(8, 1, 4, 32), QueryPreAttentionScalar = 16,
            },
            checkpoint.Config);
        Assert.Equal([(64, 64, 64), (1, 64, 1)], Assert.IsType<ScoreHead>(checkpoint.Head).Network.Select(layer => (layer.Outputs, layer.Inputs, (int)layer.Bias!.Count)));
    }

    /// <summary>A config of one family with the tensors of another.</summary>
    [Fact]
    public void Tensors_of_another_family_are_refused_with_both_names()
    {
        using TempFolder swapped = new TempFolder().CopyGolden("i_inform_bf16");
        swapped.Write("config.json", File.ReadAllText(Path.Combine(Folder("s_skywork_bf16"), "config.json")));
        AssertSays(() => Checkpoint.Open(swapped.Path), "layers.0.pre_feedforward_layernorm.weight", "gemma2", "look like Llama");
        using TempFolder turned = new TempFolder().CopyGolden("s_skywork_bf16");
        turned.Write("config.json", File.ReadAllText(Path.Combine(Folder("i_inform_bf16"), "config.json")));
        AssertSays(() => Checkpoint.Open(turned.Path), "layers.0.post_feedforward_layernorm.weight", "llama", "look like Gemma-2");
    }

    private static string Folder(string name) => Repository.Path("tests", "data", "goldens", name);

    private static Checkpoint Open(string name) => Checkpoint.Open(Folder(name));

    private static JsonDocument Json(string name, string file) => JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Folder(name), file)));

    private static double[] Doubles(JsonElement list) => [.. list.EnumerateArray().Select(value => value.GetDouble())];

    private static void AssertSays(Action action, params string[] says)
    {
        string message = Assert.Throws<CheckpointException>(action).Message;
        foreach (string part in says) Assert.Contains(part, message);
    }

    /// <summary>A perceptron with LeakyReLU(0.01) between its layers.</summary>
    private static double[] Run(IReadOnlyList<HeadLayer> layers, double[] x)
    {
        foreach (HeadLayer layer in layers)
        {
            float[] weight = new float[layer.Outputs * layer.Inputs], bias = new float[layer.Outputs];
            layer.Weight.Read(0, weight);
            layer.Bias!.Read(0, bias);
            double[] y = new double[layer.Outputs];
            for (int n = 0; n < y.Length; n++)
            {
                y[n] = bias[n];
                for (int k = 0; k < x.Length; k++) y[n] += weight[(n * x.Length) + k] * x[k];
                if (layer != layers[^1] && y[n] < 0) y[n] *= 0.01;
            }
            x = y;
        }
        return x;
    }

    private static double[] Softmax(double[] x)
    {
        double[] e = [.. x.Select(v => Math.Exp(v - x.Max()))];
        return [.. e.Select(v => v / e.Sum())];
    }

    private static void AssertClose(double[] expected, double[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], actual[i], 1e-11);
    }

    private static LdlHead Ldl(Checkpoint checkpoint) => Assert.IsType<LdlHead>(checkpoint.Head);
}
