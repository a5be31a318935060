using System.Text.Json.Nodes;
using LdlVk.Runtime.Batching;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>
/// Every family with the fields that its files may have beside those of the goldens: styles of transformers 4 and 5, absent fields, null,
/// biases, windows, scalings, sizes. Hidden states and scores against <see cref="Forward64"/>.
/// </summary>
public sealed class FamilyVariantTests : DeviceTest
{
    private const double Tolerance = 2e-5;

    /// <summary>Goldens whose tensors are in safetensors, without an adapter.</summary>
    public static TheoryData<string> PlainCases => [.. FamilyGoldens.Cases.Where(name => name is not ("lora_qwen3" or "llama_regression_head_bin"))];

    [Theory]
    [MemberData(nameof(PlainCases))]
    public void The_oracle_is_the_goldens(string name)
    {
        GoldenCase golden = FamilyGoldens.Read(name);
        OtherHead.Tensor[] tensors = [.. OtherHead.ReadAll(golden.Folder).Select(t => t with { Name = t.Name.Replace("transformer.", "model.", StringComparison.Ordinal) })];
        Forward64 oracle = new(JsonNode.Parse(File.ReadAllText(Path.Combine(golden.Folder, "config.json")))!.AsObject(), tensors);
        foreach (GoldenRow row in golden.Inputs.SelectMany(input => input.Rows).DistinctBy(row => row.Ids.Length).Take(3))
        {
            double[] got = oracle.Hidden(row.Ids)[^1], want = row.Modes["f64"].Hidden;
            Assert.True(RelativeError(want, got) < 1e-9, $"{name}: {RelativeError(want, got):E1}");
        }
    }

    [Theory]
    // Llama: both styles of every rotary scaling, biases, sizes.
    [InlineData("llama", "{}")]
    [InlineData("llama", "{'head_dim':null}", 10)]
    [InlineData("llama", "{'head_dim':'absent'}", 10)]
    [InlineData("llama", "{'head_dim':6}", 6)]
    [InlineData("llama", "{'num_key_value_heads':'absent'}", 12, 4)]
    [InlineData("llama", "{'num_key_value_heads':null}", 12, 4)]
    [InlineData("llama", "{'num_key_value_heads':1}", 12, 1)]
    [InlineData("llama", "{'attention_bias':true}", 12, 2, "qkvo")]
    [InlineData("llama", "{'attention_bias':null,'mlp_bias':null,'rope_scaling':null,'tie_word_embeddings':true}")]
    [InlineData("llama", "{'rope_theta':'absent'}")]
    [InlineData("llama", "{'rope_theta':5e5,'rope_scaling':{'rope_type':'llama3','factor':8.0,'low_freq_factor':1.0,'high_freq_factor':4.0,'original_max_position_embeddings':32}}")]
    [InlineData("llama", "{'rope_theta':'absent','rope_parameters':{'rope_type':'llama3','rope_theta':5e5,'factor':8.0,'low_freq_factor':1.0,'high_freq_factor':4.0,'original_max_position_embeddings':32}}")]
    [InlineData("llama", "{'rope_theta':'absent','rope_parameters':{'rope_type':'default','rope_theta':5e5},'dtype':'float32','torch_dtype':'absent'}")]
    [InlineData("llama", "{'rope_scaling':{'type':'linear','factor':4.0}}")]
    [InlineData("llama", "{'rope_scaling':null,'rope_theta':3e3,'rope_parameters':{'rope_type':'linear','factor':4.0}}")]
    [InlineData("llama", "{'rope_scaling':{'type':'dynamic','factor':4.0}}")]
    [InlineData("llama", "{'rope_scaling':{'rope_type':'yarn','factor':4.0,'original_max_position_embeddings':16}}")]
    [InlineData("llama", "{'rope_parameters':{'rope_type':'yarn','rope_theta':2e4,'factor':4.0,'original_max_position_embeddings':16,'beta_fast':8,'beta_slow':2,'attention_factor':0.9}}")]
    // Activations under their other names, and those of other families.
    [InlineData("llama", "{'hidden_act':'swish'}")]
    [InlineData("llama", "{'hidden_act':'gelu_new','attention_bias':true,'mlp_bias':true}", 12, 2, "qkvogud")]
    [InlineData("llama", "{'mlp_bias':true}", 12, 2, "gud")]
    [InlineData("llama", "{'hidden_act':'absent'}")]
    [InlineData("qwen2", "{'hidden_act':'swish','mlp_bias':true}", 12, 2, "qkv")]
    [InlineData("qwen3", "{'hidden_act':'gelu_pytorch_tanh'}")]
    [InlineData("mistral", "{'hidden_act':'swish','sliding_window':9,'attention_bias':true,'mlp_bias':true}")]
    [InlineData("mistral", "{'hidden_act':'gelu_accurate'}")]
    [InlineData("gemma", "{'hidden_act':'gelu_fast','hidden_activation':'silu','transformers_version':'4.48.0'}")]
    [InlineData("gemma", "{'hidden_act':'gelu','hidden_activation':'swish','transformers_version':'4.44.2'}")]
    [InlineData("gemma", "{'hidden_act':'absent','hidden_activation':'silu','transformers_version':'5.0.0'}")]
    [InlineData("gemma", "{'hidden_act':'silu','hidden_activation':null,'transformers_version':'5.1.0'}")]
    [InlineData("gemma2", "{'hidden_act':'gelu','hidden_activation':'absent'}")]
    [InlineData("gemma2", "{'hidden_activation':'gelu_python_tanh','hidden_act':'silu'}")]
    [InlineData("gemma3_text", "{'hidden_activation':'silu'}")]
    [InlineData("internlm2", "{'hidden_act':'swish'}", 10)]
    // Qwen2 and Qwen3: windows, absent KV heads, biases.
    [InlineData("qwen2", "{'head_dim':'absent'}", 10, 2, "qkv")]
    [InlineData("qwen2", "{'head_dim':'absent','use_sliding_window':true,'sliding_window':5,'max_window_layers':1}", 10, 2, "qkv")]
    [InlineData("qwen2", "{'head_dim':'absent','use_sliding_window':false,'sliding_window':5,'max_window_layers':0}", 10, 2, "qkv")]
    [InlineData("qwen2", "{'use_sliding_window':true,'sliding_window':6,'layer_types':['sliding_attention','full_attention','sliding_attention']}", 12, 2, "qkv")]
    [InlineData("qwen2", "{'hidden_size':64,'num_attention_heads':32,'num_key_value_heads':'absent','head_dim':'absent'}", 2, 32, "qkv")]
    [InlineData("qwen2", "{'head_dim':'absent','rope_scaling':{'type':'yarn','factor':4.0,'original_max_position_embeddings':16}}", 10, 2, "qkv")]
    [InlineData("qwen2", "{'head_dim':'absent','rope_theta':'absent','rope_parameters':{'rope_type':'default','rope_theta':1e6}}", 10, 2, "qkv")]
    [InlineData("qwen2", "{'num_key_value_heads':null,'head_dim':'absent'}", 10, 4, "qkv")]
    [InlineData("qwen3", "{'num_key_value_heads':null}", 12, 4)]
    [InlineData("mistral", "{'num_key_value_heads':null,'sliding_window':null}", 12, 4)]
    [InlineData("qwen3", "{}")]
    [InlineData("qwen3", "{'head_dim':'absent'}", 128)]
    [InlineData("qwen3", "{'attention_bias':true}", 12, 2, "qkvo")]
    [InlineData("qwen3", "{'use_sliding_window':true,'sliding_window':4,'max_window_layers':2}")]
    [InlineData("qwen3", "{'rope_theta':'absent','rope_parameters':{'rope_type':'yarn','rope_theta':1e6,'factor':2.0,'original_max_position_embeddings':32}}")]
    // Mistral: a window in all layers, unless null.
    [InlineData("mistral", "{'sliding_window':6}")]
    [InlineData("mistral", "{'sliding_window':null}")]
    [InlineData("mistral", "{'sliding_window':1}")]
    [InlineData("mistral", "{'head_dim':null,'sliding_window':null,'rope_parameters':{'rope_theta':1e6,'rope_type':'default'},'rope_theta':'absent'}", 10)]
    [InlineData("mistral", "{'num_attention_heads':8,'num_key_value_heads':'absent','sliding_window':9,'layer_types':['sliding_attention','sliding_attention','sliding_attention']}", 12, 8)]
    // Gemma 1, 2 and 3.
    [InlineData("gemma", "{}")]
    [InlineData("gemma", "{'attention_bias':true,'hidden_act':'gelu','hidden_activation':null,'head_dim':8}", 8, 2, "qkvo")]
    [InlineData("gemma", "{'num_attention_heads':16,'num_key_value_heads':'absent','head_dim':4}", 4, 16)]
    [InlineData("gemma", "{'rope_theta':'absent','rope_parameters':{'rope_theta':5e3,'rope_type':'linear','factor':2.0}}")]
    [InlineData("gemma2", "{'sliding_window':6,'query_pre_attn_scalar':20,'attn_logit_softcapping':0.2,'final_logit_softcapping':30.0}")]
    [InlineData("gemma2", "{'sliding_window':6,'attn_logit_softcapping':null,'query_pre_attn_scalar':'absent'}")]
    [InlineData("gemma2", "{'sliding_window':null}")]
    [InlineData("gemma2", "{'num_attention_heads':8,'num_key_value_heads':'absent','sliding_window':6}", 12, 4)]
    [InlineData("gemma2", "{'attention_bias':true,'sliding_window':6}", 12, 2, "qkvo")]
    [InlineData("gemma2", "{'sliding_window':5,'layer_types':['full_attention','full_attention','sliding_attention']}")]
    [InlineData("gemma2", "{'sliding_window':null,'layer_types':['sliding_attention','full_attention','full_attention']}")]
    [InlineData("gemma2", "{'sliding_window':5,'layer_types':['sliding_attention','full_attention','sliding_attention'],'rope_theta':'absent','rope_parameters':{'rope_theta':2e4,'rope_type':'default'}}")]
    [InlineData("gemma3_text", "{'sliding_window':5,'query_pre_attn_scalar':20,'rope_theta':1e6}")]
    [InlineData("gemma3_text", "{'sliding_window':5,'sliding_window_pattern':2,'query_pre_attn_scalar':20,'rope_theta':1e6,'rope_local_base_freq':5e3}")]
    [InlineData("gemma3_text", "{'sliding_window':5,'layer_types':['full_attention','sliding_attention','full_attention'],'rope_scaling':{'rope_type':'linear','factor':8.0}}")]
    [InlineData("gemma3_text", "{'sliding_window':5,'rope_theta':'absent','layer_types':['full_attention','sliding_attention','full_attention'],'rope_parameters':{'full_attention':{'rope_type':'linear','factor':8.0,'rope_theta':1e6},'sliding_attention':{'rope_type':'default','rope_theta':3e3}}}")]
    [InlineData("gemma3_text", "{'attention_bias':true,'attn_logit_softcapping':0.2,'sliding_window':6,'sliding_window_pattern':3}", 12, 2, "qkvo")]
    // InternLM2: the fused matrix with biases and other groups.
    [InlineData("internlm2", "{}", 10)]
    [InlineData("internlm2", "{'bias':true}", 10, 2, "qkvo")]
    [InlineData("internlm2", "{'bias':'absent','head_dim':'absent'}", 10, 2, "qkvo")]
    [InlineData("internlm2", "{'num_key_value_heads':'absent'}", 10, 4)]
    [InlineData("internlm2", "{'num_key_value_heads':1,'rope_scaling':{'type':'dynamic','factor':2.0}}", 10, 1)]
    [InlineData("internlm2", "{'rope_scaling':{'type':'linear','factor':2.0},'rope_theta':1e6}", 10)]
    // Phi-3: fused matrices, a window in all layers if there is one.
    [InlineData("phi3", "{}")]
    [InlineData("phi3", "{'head_dim':'absent','num_key_value_heads':'absent','rms_norm_eps':'absent'}", 10, 4)]
    [InlineData("phi3", "{'head_dim':null,'num_key_value_heads':1,'sliding_window':6}", 10, 1)]
    [InlineData("phi3", "{'sliding_window':null,'rope_scaling':null,'attention_bias':false,'rope_theta':'absent','rope_parameters':{'rope_type':'default','rope_theta':5e5,'partial_rotary_factor':1.0}}")]
    [InlineData("phi3", "{'partial_rotary_factor':0.5}")]
    [InlineData("phi3", "{'partial_rotary_factor':0.75,'num_key_value_heads':4,'head_dim':8,'rope_scaling':{'type':'longrope','short_factor':[1.0,1.3,2.5],'long_factor':[1.0,3.0,9.0]},'original_max_position_embeddings':64}", 8, 4)]
    [InlineData("phi3", "{'rope_scaling':{'type':'su','short_factor':[1.0,1.1,1.2,1.3,1.4,2.5],'long_factor':[1,1,1,1,1,1]},'original_max_position_embeddings':64,'sliding_window':9}")]
    [InlineData("phi3", "{'rope_scaling':{'rope_type':'yarn','short_factor':[1.0,1.1,1.2,1.3,1.4,2.5],'long_factor':[1,1,1,1,1,1],'attention_factor':1.19},'original_max_position_embeddings':64}")]
    [InlineData("phi3", "{'rope_theta':'absent','rope_parameters':{'rope_type':'longrope','rope_theta':2e4,'partial_rotary_factor':0.5,'short_factor':[1.0,1.1,1.2],'long_factor':[1,1,1],'original_max_position_embeddings':100}}")]
    [InlineData("phi3", "{'max_position_embeddings':8192,'rope_scaling':{'rope_type':'longrope','short_factor':[1.0,1.1,1.2,1.3,1.4,2.5],'long_factor':[1,1,1,1,1,1],'original_max_position_embeddings':100}}")]
    [InlineData("llama", "{'rope_scaling':{'rope_type':'longrope','factor':4.0,'short_factor':[1.0,1.1,1.2,1.3,1.4,2.5],'long_factor':[1,1,1,1,1,1],'original_max_position_embeddings':64}}")]
    // OLMo-2: norms behind both halves alone, and of all queries and keys of a token.
    [InlineData("olmo2", "{}")]
    [InlineData("olmo2", "{'head_dim':'absent','num_key_value_heads':'absent','rms_norm_eps':'absent','rope_theta':5e5}", 10, 4)]
    [InlineData("olmo2", "{'num_key_value_heads':null,'rope_scaling':null,'tie_word_embeddings':true}", 12, 4)]
    [InlineData("olmo2", "{'attention_bias':true,'num_key_value_heads':1}", 12, 1, "qkvo")]
    [InlineData("olmo2", "{'rope_theta':'absent','rope_parameters':{'rope_type':'yarn','rope_theta':5e5,'factor':4.0,'original_max_position_embeddings':16}}")]
    public void Hidden_states_are_those_of_the_formulas(string type, string changes, int size = 12, int groups = 2, string biases = "")
    {
        JsonObject config = Config(type, changes);
        List<OtherHead.Tensor> tensors = MadeFamily.Backbone(config, size, groups, biases);
        bool isIntern = type == "internlm2";
        tensors.Add(MadeFamily.Head(isIntern ? "v_head.weight" : "score.weight", 1, (int)config["hidden_size"]!));
        using TempFolder temp = new();
        MadeFamily.Write(temp["model"], config, tensors);
        int[] ids = [.. Enumerable.Range(0, 37).Select(i => 8 + (i * i * 5 % 80)), .. isIntern ? (int[])[89] : []];
        double[] want = new Forward64(config, tensors).Hidden(ids)[^1];
        foreach (string device in TestDevices.Ids.Where(id => !id.Contains(' ', StringComparison.Ordinal)))
        {
            using Loaded model = new(device, temp["model"], WeightFormat.Fp32);
            (Reward[] rewards, float[] hidden) = model.Engine.ScoreWithHidden(Packer.Pack([model.Text(ids)], 4096).Single());
            double error = RelativeError(want, [.. hidden.Select(h => (double)h)]);
            Assert.True(error < Tolerance, $"{device}: {error:E1}");
            Assert.Equal(want.Zip(tensors[^1].Values, (h, w) => h * w).Sum(), rewards[0].Score, 2e-4);
        }
    }

    /// <summary>An adapter names matrices as the files do: those that hold several, and those whose rows are read in another order.</summary>
    [Theory]
    [InlineData("phi3", "{'partial_rotary_factor':0.5}", "qkv_proj", "gate_up_proj")]
    [InlineData("internlm2", "{}", "wqkv", "w3")]
    [InlineData("olmo2", "{}", "k_proj", "up_proj")]
    public void An_adapter_changes_matrices_as_they_are_stored(string type, string changes, params string[] targets)
    {
        const int Rank = 2, Alpha = 4;
        JsonObject config = Config(type, changes);
        List<OtherHead.Tensor> tensors = MadeFamily.Backbone(config, (int)config["head_dim"]!, 2), merged = [], adapter = [];
        tensors.Add(MadeFamily.Head(type == "internlm2" ? "v_head.weight" : "score.weight", 1, (int)config["hidden_size"]!));
        Random random = new(3);
        foreach (OtherHead.Tensor tensor in tensors)
        {
            string module = tensor.Name[..tensor.Name.LastIndexOf('.')];
            float[] values = [.. tensor.Values];
            if (targets.Contains(module[(module.LastIndexOf('.') + 1)..]))
            {
                (int rows, int columns) = (tensor.Shape[0], tensor.Shape[1]);
                float[] a = Random(Rank * columns), b = Random(rows * Rank);
                adapter.Add(new($"base_model.model.{module}.lora_A.weight", [Rank, columns], a));
                adapter.Add(new($"base_model.model.{module}.lora_B.weight", [rows, Rank], b));
                for (int i = 0; i < values.Length; i++)
                    for (int r = 0; r < Rank; r++) values[i] += (float)Alpha / Rank * b[(i / columns * Rank) + r] * a[(r * columns) + (i % columns)];
            }

            merged.Add(tensor with { Values = values });
        }

        using TempFolder temp = new();
        MadeFamily.Write(temp["model"], config, tensors);
        Directory.CreateDirectory(temp["adapter"]);
        OtherHead.WriteTensors(Path.Combine(temp["adapter"], "adapter_model.safetensors"), adapter);
        JsonArray modules = [.. targets.Select(target => JsonValue.Create(target))];
        temp.Write("adapter/adapter_config.json", new JsonObject { ["peft_type"] = "LORA", ["r"] = Rank, ["lora_alpha"] = Alpha, ["target_modules"] = modules }.ToJsonString());
        int[] ids = [.. Enumerable.Range(0, 29).Select(i => 8 + (i * i * 5 % 80)), .. type == "internlm2" ? (int[])[89] : []];
        using Loaded model = new("cpu", temp["model"], WeightFormat.Fp32, adapter: temp["adapter"]);
        float[] hidden = model.Engine.ScoreWithHidden(Packer.Pack([model.Text(ids)], 4096).Single()).Hidden;
        Assert.Equal(2 * 2 * 3, adapter.Count);
        double[] got = [.. hidden.Select(h => (double)h)];
        Assert.True(RelativeError(new Forward64(config, merged).Hidden(ids)[^1], got) < Tolerance);
        Assert.True(RelativeError(new Forward64(config, tensors).Hidden(ids)[^1], got) > 100 * Tolerance);

        float[] Random(int count) => [.. Enumerable.Range(0, count).Select(_ => ((float)random.NextDouble() - 0.5f) / 2)];
    }

    /// <summary>A test that passes whatever a field says could not tell a field that is ignored.</summary>
    [Theory]
    [InlineData("llama", "{'rope_scaling':{'type':'linear','factor':4.0}}", "{}")]
    [InlineData("llama", "{'rope_scaling':{'rope_type':'yarn','factor':4.0,'original_max_position_embeddings':16}}", "{}")]
    [InlineData("qwen3", "{'use_sliding_window':true,'sliding_window':4,'max_window_layers':2}", "{}")]
    [InlineData("mistral", "{'sliding_window':6}", "{'sliding_window':null}")]
    [InlineData("phi3", "{'sliding_window':6}", "{}")]
    [InlineData("phi3", "{'partial_rotary_factor':0.5}", "{}")]
    [InlineData("phi3", "{'rope_scaling':{'type':'su','short_factor':[1.0,1.1,1.2,1.3,1.4,2.5]},'original_max_position_embeddings':64}", "{}")]
    [InlineData("phi3", "{'rope_scaling':{'type':'su','short_factor':[1.0,1.1,1.2,1.3,1.4,2.5]},'original_max_position_embeddings':64}", "{'rope_scaling':{'type':'su','short_factor':[1.0,1.1,1.2,1.3,1.4,2.5]},'original_max_position_embeddings':128}")]
    [InlineData("gemma2", "{'attn_logit_softcapping':0.2}", "{'attn_logit_softcapping':null}")]
    [InlineData("gemma2", "{'sliding_window':5,'layer_types':['full_attention','full_attention','sliding_attention']}", "{'sliding_window':5}")]
    [InlineData("gemma3_text", "{'hidden_activation':'silu'}", "{}")]
    [InlineData("llama", "{'hidden_act':'gelu_new'}", "{'hidden_act':'swish'}")]
    [InlineData("gemma3_text", "{'sliding_window':5,'rope_local_base_freq':5e3}", "{'sliding_window':5,'rope_local_base_freq':1e4}")]
    public void The_fields_matter(string type, string changes, string others)
    {
        int[] ids = [.. Enumerable.Range(0, 37).Select(i => 8 + (i * i * 5 % 80))];
        double[][] both = [.. ((string[])[changes, others]).Select(change => Config(type, change)).Select(config => new Forward64(config, MadeFamily.Backbone(config, 12, 2)).Hidden(ids)[^1])];
        Assert.True(RelativeError(both[0], both[1]) > 100 * Tolerance);
    }

    /// <summary>A family's config with other fields, in which 'absent' removes one.</summary>
    internal static JsonObject Config(string type, string changes)
    {
        JsonObject config = MadeFamily.Config(type);
        foreach ((string name, JsonNode? value) in JsonNode.Parse(changes.Replace('\'', '"'))!.AsObject())
        {
            config.Remove(name);
            if (value is not JsonValue text || !text.TryGetValue(out string? word) || word != "absent") config[name] = value?.DeepClone();
        }

        return config;
    }

    private static double RelativeError(double[] want, double[] got) =>
        Math.Sqrt(want.Zip(got, (a, b) => (a - b) * (a - b)).Sum() / want.Sum(a => a * a));
}
