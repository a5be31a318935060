using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Checkpoints.Adapters;
using LdlVk.Runtime.Conversion;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Checkpoints.Adapters;

/// <summary>PEFT adapters over a Llama and a Gemma-2 base. The oracle is W + s·B·A in float64.</summary>
public sealed class AdapterTests : IDisposable
{
    private readonly MadeAdapter _made = new();

    private string Adapter => _made.Adapter;

    private string Base => _made.Base;

    public void Dispose() => _made.Dispose();

    [Theory]
    [InlineData("i_inform_bf16", false)]
    [InlineData("i_inform_bf16", true)]
    [InlineData("s_skywork_bf16", true)]
    public void Matrices_are_merged_as_they_are_read(string golden, bool isRankStabilized)
    {
        _made.Write(golden);
        _made.Config["use_rslora"] = isRankStabilized;
        _made.Save();
        double scale = MadeAdapter.Alpha / (isRankStabilized ? Math.Sqrt(MadeAdapter.Rank) : MadeAdapter.Rank);
        using Checkpoint original = Checkpoint.Open(Base), merged = Checkpoint.Open(Base, Adapter);
        int changed = 0;
        foreach ((string name, int[] shape) in BackboneTensors.Of(original.Config))
        {
            float[] before = original.Tensor(name).ReadAll(), after = merged.Tensor(name).ReadAll();
            if (!MadeAdapter.Targets.Any(target => name.Contains(target, StringComparison.Ordinal)))
            {
                Assert.Equal(before, after);
                continue;
            }

            changed++;
            AssertMerged(name, shape, before, after, scale);
            // Part by part, the bits are the same.
            float[] parts = new float[after.Length];
            for (int at = 0, size = 1; at < parts.Length; at += size, size = Math.Min(size + 37, parts.Length - at)) merged.Tensor(name).Read(at, parts.AsSpan(at, size));
            Assert.Equal(after, parts);
        }

        Assert.Equal(2 * original.Config.Layers, changed);
        Assert.NotEqual(original.Fingerprint(), merged.Fingerprint());
    }

    /// <summary>Each match is short, and there are too many of them.</summary>
    [Fact]
    public void All_matches_together_have_a_limit()
    {
        PatternTime time = new(TimeSpan.FromMilliseconds(1));
        CheckpointException error = Assert.Throws<CheckpointException>(() =>
        {
            for (int i = 0; i < 1_000_000; i++) Assert.True(time.Matches(new Regex("[a-z]+"), "model"));
        });
        Assert.Contains("takes too long to match model.", error.Message);
        Assert.True(new PatternTime().Matches(new Regex("[a-z]+"), "model"));
    }

    [Fact]
    public void Quantized_rows_are_those_of_the_merged_matrix()
    {
        _made.Write("i_inform_bf16");
        _made.Save();
        using Checkpoint merged = Checkpoint.Open(Base, Adapter);
        const string Name = "layers.1.mlp.down_proj.weight";
        CheckpointTensor tensor = merged.Tensor(Name);
        foreach (WeightFormat format in Enum.GetValues<WeightFormat>())
        {
            IWeightSource direct = merged.Weight(Name, format), whole = WeightSource.Create(new TestMatrix(tensor.Rows, tensor.Columns, tensor.ReadAll()), format);
            merged.Forget();
            Assert.Equal(Bytes(whole), Bytes(direct));
        }

        static string Bytes(IWeightSource source)
        {
            byte[] values = new byte[source.OutputFeatures * WeightLayout.RowBytes(source.Format, source.InputFeatures)];
            Half[] scales = new Half[source.OutputFeatures * WeightLayout.ScalesPerRow(source.Format, source.InputFeatures)];
            source.ReadRows(0, source.OutputFeatures, values, scales);
            return $"{source.Scale} {Convert.ToHexString(values)} {string.Join(' ', scales)}";
        }
    }

    [Fact]
    public void A_conversion_holds_the_merged_weights_and_the_head()
    {
        _made.Write("s_skywork_bf16");
        _made.AddHead("base_model.model.score.weight");
        _made.Save();
        Converter.Run(Base, _made.Folder["converted"], WeightFormat.Int8, adapter: Adapter);
        using Checkpoint merged = Checkpoint.Open(Base, Adapter), converted = Checkpoint.Open(_made.Folder["converted"]);
        foreach ((string name, int[] shape) in BackboneTensors.Of(merged.Config).Where(t => BackboneTensors.IsWeight(t.Name, t.Shape)))
        {
            IWeightSource one = merged.Weight(name, WeightFormat.Int8), two = converted.Weight(name, WeightFormat.Int8);
            float[] a = new float[shape[0] * shape[1]], b = new float[a.Length];
            WeightSource.Dequantize(one, 0, shape[0], a);
            WeightSource.Dequantize(two, 0, shape[0], b);
            Assert.Equal(a, b);
        }

        Assert.Equal(_made.Tensors["base_model.model.score.weight"].Values, converted.Head.Tensors.Single().Tensor.ReadAll());
        string message = Assert.Throws<CheckpointException>(() => Checkpoint.Open(_made.Folder["converted"], Adapter)).Message;
        Assert.Contains("was converted", message);
        Assert.Contains("cannot be converted into itself", Assert.Throws<UsageException>(() => Converter.Run(Base, Adapter, WeightFormat.Int8, adapter: Adapter)).Message);
    }

    [Theory]
    [InlineData("base_model.model.score.weight")]
    [InlineData("base_model.model.score.modules_to_save.default.weight")]
    [InlineData("base_model.model.score.modules_to_save.weight")]
    [InlineData("module.base_model.model.score.weight")]
    public void A_saved_head_replaces_the_base_s(string key)
    {
        _made.Write("s_skywork_bf16");
        _made.AddHead(key);
        _made.Save();
        using Checkpoint merged = Checkpoint.Open(Base, Adapter);
        Assert.Equal(_made.Tensors[key].Values, merged.Head.Layers.Single().Weight.ReadAll());
    }

    [Fact]
    public void A_value_head_beside_the_adapter_is_read()
    {
        _made.Write("s_skywork_bf16");
        _made.Save();
        using (Checkpoint.Open(Base, Adapter)) { }
        int hidden = OtherHead.Read(Base, "score.weight").Shape[1];
        _made.RemoveHead();
        Says("no reward head");
        _made.Folder.Write("adapter/value_head.safetensors", Fp32File.Of([new("v_head.summary.weight", [1, hidden], new float[hidden]), new("v_head.summary.bias", [1], [2])]));
        using Checkpoint merged = Checkpoint.Open(Base, Adapter);
        Assert.Equal([2], merged.Head.Layers.Single().Bias!.ReadAll());
    }

    [Theory]
    [InlineData(".default")]
    [InlineData("")]
    public void Names_with_and_without_the_adapter_s_are_read_and_bin_files_too(string adapter)
    {
        _made.Write("i_inform_bf16", adapter);
        _made.Save();
        using (Checkpoint first = Checkpoint.Open(Base, Adapter)) Assert.Equal(Adapter, first.AdapterFolder);
        _made.Folder.Write("adapter/adapter_model.bin", TorchCopy.Torch(File.ReadAllBytes(_made.Folder["adapter/adapter_model.safetensors"]), strided: true));
        float[] wanted = Down();
        File.Delete(_made.Folder["adapter/adapter_model.safetensors"]);
        Assert.Equal(wanted, Down());

        float[] Down()
        {
            using Checkpoint merged = Checkpoint.Open(Base, Adapter);
            return merged.Tensor("layers.0.mlp.down_proj.weight").ReadAll();
        }
    }

    [Fact]
    public void Patterns_of_ranks_and_scales_are_followed()
    {
        _made.Write("i_inform_bf16");
        _made.Config["alpha_pattern"] = new JsonObject { ["layers.1.self_attn.q_proj"] = 7, ["q_proj"] = 2 };
        _made.Config["rank_pattern"] = new JsonObject { ["down_proj"] = 2 };
        foreach (string name in _made.Tensors.Keys.Where(name => name.Contains("down_proj", StringComparison.Ordinal)).ToArray())
        {
            OtherHead.Tensor tensor = _made.Tensors[name];
            bool isA = name.Contains("lora_A", StringComparison.Ordinal);
            _made.Tensors[name] = isA ? new(name, [2, tensor.Shape[1]], tensor.Values[..(2 * tensor.Shape[1])]) : new(name, [tensor.Shape[0], 2], tensor.Values[..(2 * tensor.Shape[0])]);
        }

        _made.Save();
        using Checkpoint original = Checkpoint.Open(Base), merged = Checkpoint.Open(Base, Adapter);
        foreach ((string name, double scale) in (ReadOnlySpan<(string, double)>)[("layers.0.self_attn.q_proj.weight", 2.0 / MadeAdapter.Rank), ("layers.1.self_attn.q_proj.weight", 7.0 / MadeAdapter.Rank), ("layers.0.mlp.down_proj.weight", MadeAdapter.Alpha / 2)])
            AssertMerged(name, [.. original.Tensor(name).Shape], original.Tensor(name).ReadAll(), merged.Tensor(name).ReadAll(), scale);
    }

    [Theory]
    [InlineData("[\"q_proj\",\"down_proj\"]")]
    [InlineData("\".*\\\\.(q_proj|down_proj)\"")]
    [InlineData("\"model\\\\.layers\\\\.\\\\d+\\\\.(self_attn|mlp)\\\\.(q|down)_proj\"")]
    // As ms-swift writes them.
    [InlineData("\"^(model(?=\\\\.).*\\\\.(q_proj|down_proj))$\"")]
    [InlineData("\"^(model)(?!.*(lm_head|output|emb|k_proj|v_proj|o_proj|gate|up)).*_proj\"")]
    public void Targets_are_a_list_or_a_pattern(string targets)
    {
        _made.Write("i_inform_bf16");
        _made.Config["target_modules"] = JsonNode.Parse(targets);
        _made.Save();
        using Checkpoint merged = Checkpoint.Open(Base, Adapter);
        Assert.NotNull(merged.AdapterFolder);
    }

    [Fact]
    public void Layers_that_are_left_out_need_no_tensors()
    {
        _made.Write("i_inform_bf16");
        foreach (string name in _made.Tensors.Keys.Where(name => !name.Contains(".layers.1.", StringComparison.Ordinal)).ToArray()) _made.Tensors.Remove(name);
        _made.Save();
        Says("no update of layers.0.mlp.down_proj.weight", "target_modules");
        _made.Config["layers_to_transform"] = new JsonArray(1);
        _made.Save();
        using (Checkpoint.Open(Base, Adapter)) { }
        _made.Config["layers_pattern"] = "layers";
        _made.Save();
        using (Checkpoint.Open(Base, Adapter)) { }
    }

    [Fact]
    public void The_first_tensor_that_does_not_fit_is_named()
    {
        _made.Write("i_inform_bf16");
        string key = _made.Tensors.Keys.Where(name => name.Contains("q_proj.lora_B", StringComparison.Ordinal)).Order(StringComparer.Ordinal).First();
        OtherHead.Tensor b = _made.Tensors[key];
        _made.Tensors[key] = new OtherHead.Tensor(key, [b.Shape[0] - 1, b.Shape[1]], b.Values[b.Shape[1]..]);
        _made.Save();
        Says("lora_B of model.layers.0.self_attn.q_proj", $"[{b.Shape[0] - 1}, {MadeAdapter.Rank}]", $"[{b.Shape[0]}, {MadeAdapter.Rank}]", "acme/base", "not of this base model");
        _made.Tensors.Remove(key);
        _made.Save();
        Says("layers.0.self_attn.q_proj.lora_A", "no lora_B beside it");
        _made.Tensors[key] = b;
        _made.Config["r"] = 4;
        _made.Save();
        Says("rank 4", $"[{MadeAdapter.Rank}, ");
        _made.Config["r"] = MadeAdapter.Rank;
        _made.Tensors["base_model.model.model.layers.77.self_attn.q_proj.lora_A.weight"] = new("base_model.model.model.layers.77.self_attn.q_proj.lora_A.weight", [MadeAdapter.Rank, 1], new float[MadeAdapter.Rank]);
        _made.Save();
        Says("layers.77.self_attn.q_proj.lora_A.weight", "the base model", "has not");
    }

    [Theory]
    [InlineData("base_model.model.model.layers.0.self_attn.k_proj.lora_A.weight", "target_modules", "leaves out")]
    [InlineData("base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector.weight", "lora_magnitude_vector", "use_dora")]
    [InlineData("base_model.model.model.embed_tokens.lora_embedding_A", "target_modules", "leaves out")]
    [InlineData("base_model.model.model.layers.0.mlp.down_proj.ia3_l", "ia3_l", "not supported")]
    [InlineData("prompt_embeddings", "prompt_embeddings", "not supported")]
    [InlineData("base_model.model.model.layers.0.mlp.down_proj.base_layer.weight", "weight of the base model")]
    [InlineData("base_model.model.model.embed_tokens.lora_A.weight", "embedding table", "lora_embedding_A")]
    [InlineData("base_model.model.other.weight", "neither a tensor of the base model", "modules_to_save")]
    [InlineData("base_model.model.score.weight", "has shape [1]")]
    public void Every_tensor_of_an_adapter_is_used_or_refused(string key, params string[] says)
    {
        _made.Write("s_skywork_bf16");
        _made.Tensors[key] = new OtherHead.Tensor(key, [1], [1]);
        _made.Save();
        Says([key, .. says]);
    }

    [Theory]
    [InlineData("peft_type", "\"IA3\"", "IA3", "LORA is supported")]
    [InlineData("peft_type", "\"PROMPT_TUNING\"", "PROMPT_TUNING")]
    [InlineData("use_dora", "true", "lora_magnitude_vector", "use_dora")]
    [InlineData("bias", "\"some\"", "bias is \"some\"")]
    [InlineData("kasa_config", "{\"beta\":1}", "KaSA")]
    [InlineData("monteclora_config", "{\"num_samples\":8}", "MonteCLoRA")]
    [InlineData("lora_bias", "true", "bias of the update")]
    [InlineData("layer_replication", "[[0,2],[1,3]]", "replicated layers")]
    [InlineData("trainable_token_indices", "[1]", "embedding table")]
    [InlineData("init_lora_weights", "\"pissa\"", "base model too")]
    [InlineData("use_something", "true", "use_something", "not known")]
    [InlineData("r", "0", "r is 0")]
    [InlineData("r", "null", "r is missing")]
    [InlineData("target_modules", "\"(q_proj\"", "is no regular expression")]
    [InlineData("target_modules", "\"(?=((.*)*)*\\\\d)((.*)*)*[^a-z]\"", "takes too long to match model.")]
    [InlineData("modules_to_save", "[\"score\"]", "score.weight", "modules_to_save")]
    public void A_config_that_asks_for_more_is_refused_by_its_field(string field, string value, params string[] says)
    {
        _made.Write("s_skywork_bf16");
        _made.Config[field] = JsonNode.Parse(value);
        _made.Save();
        Says(says);
    }

    [Fact]
    public void Fields_that_change_no_result_are_no_error()
    {
        _made.Write("s_skywork_bf16");
        foreach ((string field, string value) in (ReadOnlySpan<(string, string)>)
            [("fan_in_fan_out", "true"), ("bias", "\"none\""), ("modules_to_save", "[\"classifier\"]"), ("loftq_config", "{}"), ("use_dora", "false"), ("use_qalora", "false"),
            ("init_lora_weights", "true"), ("init_lora_weights", "\"gaussian\""), ("layers_to_transform", "null"), ("layer_replication", "null"), ("target_parameters", "[]"), ("qalora_group_size", "16"), ("megatron_core", "\"megatron.core\"")])
        {
            _made.Config[field] = JsonNode.Parse(value);
            _made.Save();
            using Checkpoint merged = Checkpoint.Open(Base, Adapter);
        }
    }

    [Fact]
    public void A_base_beside_the_adapter_is_found()
    {
        _made.Write("s_skywork_bf16");
        foreach (string name in (string[])["../base", "base", "acme/base", Base, "elsewhere/of/base/"])
        {
            _made.Config["base_model_name_or_path"] = name;
            _made.Save();
            using Checkpoint merged = Checkpoint.Open(Adapter);
            Assert.Equal(Base, merged.Folder);
            Assert.Equal(Adapter, merged.AdapterFolder);
        }

        foreach (string name in (string[])["acme/other", "", "..", @"\\server\share\base", "https://host/base"])
        {
            _made.Config["base_model_name_or_path"] = name;
            _made.Save();
            string message = Assert.Throws<CheckpointException>(() => Checkpoint.Open(Adapter)).Message;
            Assert.Contains("base model is needed", message);
            Assert.Contains("Adapter", message);
        }
    }

    [Fact]
    public void The_tokenizer_is_the_adapter_s_if_it_has_one()
    {
        _made.Write("s_skywork_bf16");
        _made.Save();
        Assert.Equal(Base, ModelFolders.FindText(Adapter));
        _made.Folder.Write("adapter/tokenizer.json", "{}");
        Assert.Equal(Adapter, ModelFolders.FindText(Adapter));
        Assert.Equal(Adapter, ModelFolders.FindText(Base, Adapter));
        Assert.Equal(Base, ModelFolders.FindText(Base));
        string fingerprint = Fingerprint();
        _made.Folder.Write("adapter/tokenizer.json", "{ }");
        Assert.NotEqual(fingerprint, Fingerprint());

        string Fingerprint()
        {
            using Checkpoint merged = Checkpoint.Open(Base, Adapter);
            return merged.Fingerprint();
        }
    }

    [Fact]
    public void Folders_that_are_no_adapter_or_both_are_refused()
    {
        _made.Write("s_skywork_bf16");
        _made.Save();
        Assert.Contains("no adapter_config.json", Message(Base, Base));
        Assert.Contains("There is no folder", Message(Base, _made.Folder["nowhere"]));
        Assert.Contains("Give the folder of the base model", Message(Adapter, Copy("second")));
        Copy("base");
        Assert.Contains("a whole model and those of an adapter", Message(Base, null));
        using (Checkpoint both = Checkpoint.Open(Base, Base)) Assert.Equal(Base, both.AdapterFolder);

        string Message(string folder, string? adapter) => Assert.Throws<CheckpointException>(() => Checkpoint.Open(folder, adapter)).Message;
        string Copy(string to)
        {
            Directory.CreateDirectory(_made.Folder[to]);
            foreach (string file in Directory.GetFiles(Adapter)) File.Copy(file, Path.Combine(_made.Folder[to], Path.GetFileName(file)), overwrite: true);
            return _made.Folder[to];
        }
    }

    private void AssertMerged(string name, int[] shape, float[] before, float[] after, double scale)
    {
        string module = $"base_model.model.model.{name[..^".weight".Length]}";
        float[] a = _made.Tensors[$"{module}.lora_A.weight"].Values, b = _made.Tensors[$"{module}.lora_B.weight"].Values;
        int rank = a.Length / shape[1];
        for (int row = 0; row < shape[0]; row++)
        {
            for (int column = 0; column < shape[1]; column++)
            {
                double sum = 0;
                for (int k = 0; k < rank; k++) sum += (double)b[(row * rank) + k] * a[(k * shape[1]) + column];
                double expected = before[(row * shape[1]) + column] + (scale * sum);
                Assert.Equal(expected, after[(row * shape[1]) + column], 1e-6 * (1 + Math.Abs(expected)));
            }
        }
    }

    private void Says(params string[] parts)
    {
        string message = Assert.Throws<CheckpointException>(() => Checkpoint.Open(Base, Adapter).Dispose()).Message;
        foreach (string part in parts) Assert.Contains(part, message);
    }
}
