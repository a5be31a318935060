using System.Text.Json.Nodes;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Conversion;
using LdlVk.Runtime.Model;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Checkpoints.Adapters;

/// <summary>
/// DoRA, updates of the embedding table, and biases that were trained with an adapter. The oracle is PEFT's merge in float64
/// (tuners/lora/variants.py, tuners/lora/layer.py).
/// </summary>
public sealed class AdapterKindTests : IDisposable
{
    private const string Module = "base_model.model.model.", Table = "embed_tokens.weight";

    private readonly MadeAdapter _made = new();

    public void Dispose() => _made.Dispose();

    [Theory]
    [InlineData("i_inform_bf16", "")]
    [InlineData("s_skywork_bf16", ".default")]
    [InlineData("s_skywork_bf16", ".weight")]
    public void DoRA_gives_each_row_the_norm_that_it_learned(string golden, string ending)
    {
        _made.Write(golden);
        AddMagnitudes(ending);
        _made.Config["use_rslora"] = true;
        _made.Save();
        using Checkpoint original = Open(null), merged = Open();
        foreach ((string name, int[] shape) in BackboneTensors.Of(original.Config).Where(t => MadeAdapter.Targets.Any(target => t.Name.Contains(target, StringComparison.Ordinal))))
        {
            string module = Module + name[..^".weight".Length];
            float[] a = _made.Tensors[module + ".lora_A.weight"].Values, b = _made.Tensors[module + ".lora_B.weight"].Values, m = _made.Tensors[$"{module}.lora_magnitude_vector{ending}"].Values;
            double[] want = Updated(original.Tensor(name).ReadAll(), a, b, shape[0], shape[1], MadeAdapter.Alpha / Math.Sqrt(MadeAdapter.Rank));
            for (int row = 0; row < shape[0]; row++)
            {
                Span<double> values = want.AsSpan(row * shape[1], shape[1]);
                double norm = Math.Sqrt(values.ToArray().Sum(value => value * value));
                for (int column = 0; column < values.Length; column++) values[column] *= m[row] / norm;
            }

            AssertClose(want, merged.Tensor(name));
        }
    }

    /// <summary>With magnitudes that are the norms, DoRA is LoRA: so PEFT begins a training.</summary>
    [Fact]
    public void DoRA_with_the_norms_themselves_changes_nothing()
    {
        _made.Write("i_inform_bf16");
        _made.Save();
        const string Name = "layers.0.mlp.down_proj.weight";
        float[] plain;
        int columns;
        using (Checkpoint merged = Open())
        {
            plain = merged.Tensor(Name).ReadAll();
            columns = merged.Tensor(Name).Columns;
        }

        AddMagnitudes("");
        string key = Module + "layers.0.mlp.down_proj.lora_magnitude_vector";
        _made.Tensors[key] = _made.Tensors[key] with { Values = [.. plain.Chunk(columns).Select(row => (float)Math.Sqrt(row.Sum(value => (double)value * value)))] };
        _made.Save();
        using Checkpoint scaled = Open();
        AssertClose([.. plain.Select(value => (double)value)], scaled.Tensor(Name));
    }

    [Theory]
    [InlineData(false, false, false)]
    [InlineData(true, false, false)]
    [InlineData(false, true, false)]
    [InlineData(true, true, true)]
    public void The_embedding_table_is_updated(bool isDora, bool isSaved, bool isNamed)
    {
        _made.Write("s_skywork_bf16");
        string ending = isNamed ? ".default" : "";
        int vocabulary, hidden;
        float[] before;
        using (Checkpoint original = Open(null))
        {
            (vocabulary, hidden) = (original.Config.VocabularySize, original.Config.HiddenSize);
            before = original.Tensor(Table).ReadAll();
        }

        AddMagnitudes("");
        if (!isDora) foreach (string key in _made.Tensors.Keys.Where(key => key.Contains("magnitude", StringComparison.Ordinal)).ToArray()) _made.Tensors.Remove(key);
        _made.Config["use_dora"] = isDora;
        Target("embed_tokens");
        float[] a = Add($"{Module}embed_tokens.lora_embedding_A{ending}", MadeAdapter.Rank, vocabulary), b = Add($"{Module}embed_tokens.lora_embedding_B{ending}", hidden, MadeAdapter.Rank);
        float[] magnitudes = isDora ? Add($"{Module}embed_tokens.lora_magnitude_vector{ending}", hidden) : [];
        // PEFT saves the table itself beside its update.
        if (isSaved) before = Add($"{Module}embed_tokens.base_layer.weight", vocabulary, hidden);
        _made.Save();

        double[] want = new double[before.Length];
        for (int v = 0; v < vocabulary; v++)
        {
            for (int h = 0; h < hidden; h++)
            {
                double sum = 0;
                for (int k = 0; k < MadeAdapter.Rank; k++) sum += (double)b[(h * MadeAdapter.Rank) + k] * a[(k * vocabulary) + v];
                want[(v * hidden) + h] = before[(v * hidden) + h] + (MadeAdapter.Alpha / MadeAdapter.Rank * sum);
            }
        }

        for (int h = 0; h < hidden && isDora; h++)
        {
            double norm = Math.Sqrt(Enumerable.Range(0, vocabulary).Sum(v => want[(v * hidden) + h] * want[(v * hidden) + h]));
            for (int v = 0; v < vocabulary; v++) want[(v * hidden) + h] *= magnitudes[h] / norm;
        }

        using Checkpoint merged = Open();
        AssertClose(want, merged.Tensor(Table));
        float[] row = new float[hidden - 3];
        merged.Tensor(Table).Read((5L * hidden) + 3, row);
        Assert.Equal(merged.Tensor(Table).ReadAll()[((5 * hidden) + 3)..(6 * hidden)], row);
        Converter.Run(_made.Base, _made.Folder["converted"], WeightFormat.Fp16, adapter: _made.Adapter);
        using Checkpoint converted = Open(_made.Folder["converted"], null);
        Assert.Equal(merged.Tensor(Table).ReadAll(), converted.Tensor(Table).ReadAll());
        // Gemma's factor of the embeddings is rounded by the type of the model.
        Assert.Equal((ElementType.Bf16, true), (converted.SourceType, converted.RoundsEmbeddingScale(EmbeddingScale.Auto)));
        Assert.Equal(merged.SourceType, converted.SourceType);
    }

    [Theory]
    [InlineData("lora_magnitude_vector", "use_dora", true)]
    [InlineData("no lora_magnitude_vector beside it", "use_dora", false)]
    public void Magnitudes_are_there_if_and_only_if_config_says_so(string says, string field, bool areThere)
    {
        _made.Write("i_inform_bf16");
        if (areThere) AddMagnitudes("");
        _made.Config["use_dora"] = !areThere;
        _made.Save();
        Says(says, field);
    }

    [Fact]
    public void Parts_of_an_update_of_the_table_fit_it()
    {
        _made.Write("s_skywork_bf16");
        Target("embed_tokens");
        _made.Save();
        Says("no update of embed_tokens.weight");
        Add($"{Module}embed_tokens.lora_embedding_A", MadeAdapter.Rank, 3);
        _made.Save();
        Says("no lora_embedding_B beside it");
        Add($"{Module}embed_tokens.lora_embedding_B", 64, MadeAdapter.Rank);
        _made.Save();
        Says("lora_embedding_A of model.embed_tokens", $"[{MadeAdapter.Rank}, 3]");
        _made.Tensors.Remove($"{Module}embed_tokens.lora_embedding_A");
        Add($"{Module}embed_tokens.lora_A.weight", MadeAdapter.Rank, 64);
        _made.Save();
        Says("lora_A.weight", "of an embedding table it is lora_embedding_A");
    }

    [Theory]
    [InlineData("all", "")]
    [InlineData("lora_only", ".base_layer")]
    public void Biases_that_were_trained_replace_those_of_the_base(string biases, string around)
    {
        JsonObject config = MadeFamily.Config("qwen2");
        List<OtherHead.Tensor> tensors = [.. MadeFamily.Backbone(config, 12, 2, "qkv"), MadeFamily.Head("score.weight", 1, 40)];
        MadeFamily.Write(_made.Base, config, tensors);
        Directory.CreateDirectory(_made.Adapter);
        _made.Config = new JsonObject
        {
            ["peft_type"] = "LORA", ["r"] = MadeAdapter.Rank, ["lora_alpha"] = MadeAdapter.Alpha, ["target_modules"] = new JsonArray("q_proj"), ["bias"] = biases,
        };
        for (int layer = 0; layer < 3; layer++)
        {
            Add($"{Module}layers.{layer}.self_attn.q_proj.lora_A.weight", MadeAdapter.Rank, 40);
            Add($"{Module}layers.{layer}.self_attn.q_proj.lora_B.weight", 48, MadeAdapter.Rank);
            Add($"{Module}layers.{layer}.self_attn.q_proj{around}.bias", 48);
        }

        _made.Save();
        if (biases == "all")
        {
            Says("has no layers.0.self_attn.k_proj.bias", "bias of adapter_config.json");
            for (int layer = 0; layer < 3; layer++) foreach (string name in (string[])["k_proj", "v_proj"]) Add($"{Module}layers.{layer}.self_attn.{name}.bias", 24);
            _made.Save();
        }

        using (Checkpoint merged = Open())
            Assert.Equal(_made.Tensors[$"{Module}layers.1.self_attn.q_proj{around}.bias"].Values, merged.Tensor("layers.1.self_attn.q_proj.bias").ReadAll());
        _made.Tensors.Remove($"{Module}layers.2.self_attn.q_proj{around}.bias");
        _made.Save();
        Says("has no layers.2.self_attn.q_proj.bias", "bias of adapter_config.json");
    }

    /// <summary>A projection that the adapter saved is the trained one, though the base ties it to its embeddings.</summary>
    [Fact]
    public void The_logit_is_that_of_a_saved_projection()
    {
        JsonObject config = MadeFamily.Config("qwen3");
        config["tie_word_embeddings"] = true;
        MadeFamily.Write(_made.Base, config, MadeFamily.Backbone(config, 12, 2));
        Directory.CreateDirectory(_made.Adapter);
        _made.Config = new JsonObject
        {
            ["peft_type"] = "LORA", ["r"] = 1, ["lora_alpha"] = 1, ["target_modules"] = new JsonArray("q_proj"), ["modules_to_save"] = new JsonArray("lm_head"),
        };
        for (int layer = 0; layer < 3; layer++)
        {
            Add($"{Module}layers.{layer}.self_attn.q_proj.lora_A.weight", 1, 40);
            Add($"{Module}layers.{layer}.self_attn.q_proj.lora_B.weight", 48, 1);
        }

        float[] projection = Add("base_model.model.lm_head.weight", 90, 40);
        _made.Save();
        using (Checkpoint merged = Checkpoint.Open(_made.Base, _made.Adapter, "logit:2"))
            Assert.Equal(projection[80..120], merged.Head.Layers.Single().Weight.ReadAll());
        _made.Config["modules_to_save"] = new JsonArray("embed_tokens");
        _made.Tensors.Remove("base_model.model.lm_head.weight");
        Add($"{Module}embed_tokens.weight", 90, 40);
        _made.Save();
        Assert.Contains("ties the projection", Assert.Throws<CheckpointException>(() => Checkpoint.Open(_made.Base, _made.Adapter, "logit:2").Dispose()).Message);
    }

    private void AddMagnitudes(string ending)
    {
        _made.Config["use_dora"] = true;
        foreach (OtherHead.Tensor b in _made.Tensors.Values.Where(t => t.Name.EndsWith(".lora_B.weight", StringComparison.Ordinal)).ToArray())
            Add(b.Name.Replace(".lora_B.weight", $".lora_magnitude_vector{ending}", StringComparison.Ordinal), b.Shape[0]);
    }

    private float[] Add(string name, params int[] shape)
    {
        float[] values = [.. Enumerable.Range(0, shape.Aggregate((a, b) => a * b)).Select(i => (float)(0.2 + Math.Sin((i * 0.7) + name.Length)))];
        _made.Tensors[name] = new OtherHead.Tensor(name, shape, values);
        return values;
    }

    private void Target(string name) =>
        _made.Config["target_modules"] = new JsonArray([.. MadeAdapter.Targets.Append(name).Select(target => (JsonNode)target)]);

    private Checkpoint Open() => Open(_made.Adapter);

    private Checkpoint Open(string? adapter) => Open(_made.Base, adapter);

    private static Checkpoint Open(string folder, string? adapter) => Checkpoint.Open(folder, adapter);

    private void Says(params string[] parts)
    {
        string message = Assert.Throws<CheckpointException>(() => Open().Dispose()).Message;
        foreach (string part in parts) Assert.Contains(part, message);
    }

    private static double[] Updated(float[] before, float[] a, float[] b, int rows, int columns, double scale)
    {
        int rank = a.Length / columns;
        return [.. Enumerable.Range(0, rows * columns).Select(i =>
            before[i] + (scale * Enumerable.Range(0, rank).Sum(k => (double)b[(i / columns * rank) + k] * a[(k * columns) + (i % columns)])))];
    }

    private static void AssertClose(double[] want, CheckpointTensor got)
    {
        float[] values = got.ReadAll();
        Assert.Equal(want.Length, values.Length);
        for (int i = 0; i < want.Length; i++) Assert.True(Math.Abs(want[i] - values[i]) < 2e-6 * (1 + Math.Abs(want[i])), $"{got.Name} [{i}]: {values[i]}, not {want[i]}");
    }
}
