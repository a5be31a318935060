using System.Text.Json.Nodes;
using LdlVk.Runtime.Model;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Checkpoints;

/// <summary>The config.json of each family: what is read, what is defaulted, what is refused; and checkpoints that are not what they claim.</summary>
public sealed class FamilyConfigTests
{
    private const string Full = "full_attention", Sliding = "sliding_attention";

    [Theory]
    [InlineData("qwen2_linear", "{}", "0000", 0)]
    [InlineData("qwen2_linear", "{\"use_sliding_window\":true}", "0011", 8)]
    [InlineData("qwen2_linear", "{\"use_sliding_window\":true,\"max_window_layers\":0}", "1111", 8)]
    [InlineData("qwen2_linear", "{\"use_sliding_window\":true,\"max_window_layers\":null}", "0000", 8)]
    [InlineData("qwen2_linear", "{\"use_sliding_window\":true,\"sliding_window\":null}", "0000", 0)]
    [InlineData("qwen2_linear", "{\"use_sliding_window\":true,\"layer_types\":[\"S\",\"F\",\"F\",\"S\"]}", "1001", 8)]
    [InlineData("qwen2_linear", "{\"layer_types\":[\"F\",\"F\",\"F\",\"F\"]}", "0000", 0)]
    [InlineData("qwen3_linear", "{\"use_sliding_window\":true,\"sliding_window\":5,\"max_window_layers\":3}", "0001", 5)]
    [InlineData("qwen3_linear", "{\"use_sliding_window\":false,\"sliding_window\":5,\"max_window_layers\":0}", "0000", 0)]
    [InlineData("mistral_linear", "{}", "1111", 7)]
    [InlineData("mistral_linear", "{\"sliding_window\":null}", "0000", 0)]
    [InlineData("mistral_linear", "{\"sliding_window\":\"absent\"}", "1111", 4096)]
    [InlineData("gemma3_text_linear", "{}", "110110", 7)]
    [InlineData("gemma3_text_linear", "{\"sliding_window_pattern\":\"absent\"}", "111110", 7)]
    [InlineData("gemma3_text_linear", "{\"sliding_window_pattern\":2}", "101010", 7)]
    [InlineData("gemma3_text_linear", "{\"layer_types\":[\"F\",\"S\",\"S\",\"S\",\"F\",\"S\"]}", "011101", 7)]
    [InlineData("gemma3_text_linear", "{\"sliding_window\":\"absent\"}", "110110", 4096)]
    [InlineData("llama_linear", "{\"sliding_window\":7}", "0000", 0)]
    [InlineData("phi3_linear", "{}", "1111", 7)]
    [InlineData("phi3_linear", "{\"sliding_window\":null}", "0000", 0)]
    [InlineData("phi3_linear", "{\"sliding_window\":\"absent\"}", "0000", 0)]
    public void Layers_have_the_windows_that_config_says(string family, string change, string layers, int window)
    {
        BackboneConfig config = Config(family, change.Replace("\"S\"", $"\"{Sliding}\"").Replace("\"F\"", $"\"{Full}\""));
        Assert.Equal(
            layers.Select(layer => layer == '1' ? window : 0), Enumerable.Range(0, config.Layers).Select(config.Window));
    }

    [Theory]
    [InlineData("qwen2_linear", "{\"layer_types\":[\"S\",\"F\",\"F\",\"F\"]}", "layer_types has sliding_attention, but use_sliding_window is not set")]
    [InlineData("qwen2_linear", "{\"use_sliding_window\":true,\"sliding_window\":null,\"layer_types\":[\"S\",\"F\",\"F\",\"F\"]}", "but sliding_window is null")]
    [InlineData("qwen2_linear", "{\"use_sliding_window\":true,\"layer_types\":[\"S\",\"F\",\"F\"]}", "layer_types has 3 items, but num_hidden_layers is 4")]
    [InlineData("qwen2_linear", "{\"use_sliding_window\":true,\"layer_types\":[\"S\",\"F\",\"F\",\"chunked_attention\"]}", "layer_types[3] is \"chunked_attention\"")]
    [InlineData("qwen2_linear", "{\"use_sliding_window\":\"yes\"}", "use_sliding_window is \"yes\"")]
    [InlineData("qwen2_linear", "{\"hidden_act\":\"relu\"}", "hidden_act is \"relu\"; only \"silu\"")]
    [InlineData("mistral_linear", "{\"layer_types\":[\"S\",\"F\",\"S\",\"S\"]}", "layer_types[1] is \"full_attention\"")]
    [InlineData("llama_linear", "{\"mlp_bias\":true}", "layers.0.mlp.gate_proj.bias")]
    [InlineData("qrm_gemma2", "{\"attention_bias\":true}", "layers.0.self_attn.q_proj.bias")]
    [InlineData("gemma1_linear", "{\"attention_bias\":true}", "layers.0.self_attn.q_proj.bias")]
    [InlineData("llama_linear", "{\"attention_bias\":true}", "layers.0.self_attn.q_proj.bias")]
    [InlineData("qwen3_linear", "{\"attention_bias\":true}", "layers.0.self_attn.q_proj.bias")]
    [InlineData("internlm2_reward", "{\"bias\":\"absent\"}", "layers.0.attention.wqkv.bias")]
    [InlineData("internlm2_reward", "{\"head_dim\":20}", "head_dim is 20, but InternLM2's heads have hidden_size / num_attention_heads = 10")]
    [InlineData("gemma3_text_linear", "{\"use_bidirectional_attention\":true}", "use_bidirectional_attention is true")]
    [InlineData("gemma3_text_linear", "{\"hidden_activation\":\"gelu\"}", "hidden_activation is \"gelu\"")]
    [InlineData("gemma3_text_linear", "{\"model_type\":\"gemma3\"}", "there is no text_config")]
    [InlineData("gemma3_text_linear", "{\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"proportional\"}}}", "rope_parameters.full_attention.rope_type is \"proportional\"")]
    [InlineData("qwen3_linear", "{\"rope_scaling\":{\"type\":\"mrope\",\"mrope_section\":[2,2]}}", "rope_scaling.type is \"mrope\"")]
    [InlineData("qwen3_linear", "{\"rope_scaling\":{\"rope_type\":\"yarn\"}}", "rope_scaling.factor is missing")]
    [InlineData("qwen3_linear", "{\"partial_rotary_factor\":0.5}", "partial_rotary_factor is 0.5")]
    [InlineData("qwen3_linear", "{\"model_type\":\"phi3small\"}", "Supported architectures: \"gemma2\", \"llama\", \"qwen2\", \"qwen3\"")]
    [InlineData("phi3_linear", "{\"hidden_act\":\"gelu\"}", "hidden_act is \"gelu\", the exact form")]
    [InlineData("phi3_linear", "{\"partial_rotary_factor\":0.2}", "partial_rotary_factor is 0.2: 3 of a head's 16 elements")]
    [InlineData("phi3_linear", "{\"partial_rotary_factor\":0}", "partial_rotary_factor is 0: 0 of a head's 16 elements")]
    [InlineData("phi3_linear", "{\"rope_scaling\":{\"type\":\"longrope\"}}", "rope_scaling.short_factor is missing")]
    [InlineData("phi4_linear", "{\"partial_rotary_factor\":0.5}", "rope_scaling.short_factor has 6 items, but 4 pairs of a head are rotated")]
    [InlineData("phi3_linear", "{\"partial_rotary_factor\":0.75,\"rope_parameters\":{\"rope_type\":\"default\",\"partial_rotary_factor\":0.5}}", "rope_parameters.partial_rotary_factor is 0.5, but partial_rotary_factor beside the rotary fields is 0.75")]
    [InlineData("phi4_linear", "{\"original_max_position_embeddings\":1}", "original_max_position_embeddings is 1; the scaling needs 2 or more")]
    [InlineData("phi4_linear", "{\"rope_scaling\":{\"type\":\"longrope\",\"short_factor\":[1,1,1,1,1,0]}}", "rope_scaling.short_factor[5] is 0")]
    [InlineData("phi3_linear", "{\"num_key_value_heads\":4}", "layers.0.self_attn.qkv_proj.weight", "[128, 64]", "[192, 64]")]
    [InlineData("olmo2_linear", "{\"num_key_value_heads\":4}", "layers.0.self_attn.k_norm.weight", "[32]", "[64]")]
    [InlineData("olmo2_linear", "{\"attention_bias\":true}", "layers.0.self_attn.q_proj.bias")]
    [InlineData("olmo2_linear", "{\"partial_rotary_factor\":0.5}", "partial_rotary_factor is 0.5")]
    public void What_is_not_computed_is_refused_by_name(string family, string change, params string[] says) => Says(family, change, says);

    /// <summary>transformers before 4.48 computed the tanh form for "gelu", and the exact form since.</summary>
    [Theory]
    [InlineData("{\"hidden_act\":\"gelu\",\"hidden_activation\":\"absent\",\"transformers_version\":\"4.38.1\"}", null)]
    [InlineData("{\"hidden_act\":\"gelu\",\"hidden_activation\":null,\"transformers_version\":\"absent\"}", null)]
    [InlineData("{\"hidden_act\":\"absent\",\"hidden_activation\":\"absent\"}", null)]
    [InlineData("{\"hidden_act\":\"gelu\",\"hidden_activation\":null,\"transformers_version\":\"4.48.0.dev0\"}", "hidden_act is \"gelu\"")]
    [InlineData("{\"hidden_act\":\"gelu\",\"transformers_version\":\"5.1.0\"}", "hidden_act is \"gelu\", the exact form of GELU, which is not supported")]
    [InlineData("{\"hidden_activation\":\"gelu\"}", "hidden_activation is \"gelu\"")]
    [InlineData("{\"hidden_act\":\"relu\"}", "hidden_act is \"relu\"")]
    [InlineData("{\"hidden_act\":\"silu\"}", "hidden_act is \"silu\", but transformers before 4.48 computes hidden_activation, \"gelu_pytorch_tanh\"")]
    [InlineData("{\"hidden_act\":\"silu\",\"hidden_activation\":null,\"transformers_version\":null}", "before 4.48 computes gelu_pytorch_tanh")]
    public void Gemma_is_computed_with_the_tanh_form(string change, string? says)
    {
        if (says is null) Assert.Equal(Architecture.Gemma, Config("gemma1_linear", change).Architecture);
        else Says("gemma1_linear", change, says);
    }

    [Theory]
    [InlineData("{}", 1e6, 1e4)]
    [InlineData("{\"rope_theta\":\"absent\",\"rope_local_base_freq\":\"absent\"}", 1e6, 1e4)]
    [InlineData("{\"rope_theta\":5e5,\"rope_local_base_freq\":2e4}", 5e5, 2e4)]
    [InlineData("{\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"default\",\"rope_theta\":3e5},\"sliding_attention\":{\"rope_theta\":7e3}}}", 3e5, 7e3)]
    [InlineData("{\"rope_parameters\":{\"full_attention\":{\"rope_theta\":3e5},\"sliding_attention\":null}}", 3e5, 1e4)]
    [InlineData("{\"rope_parameters\":{\"rope_theta\":3e5,\"rope_type\":\"default\"}}", 3e5, 1e4)]
    public void Gemma3_has_a_rotary_embedding_for_each_kind_of_layer(string change, double full, double sliding)
    {
        BackboneConfig config = Config("gemma3_text_linear", change);
        Assert.Equal([sliding, sliding, full, sliding, sliding, full], Enumerable.Range(0, 6).Select(layer => config.RopeOf(layer).Theta));
    }

    [Fact]
    public void A_scaling_of_Gemma3s_older_files_is_that_of_full_attention()
    {
        BackboneConfig config = Config("gemma3_text_linear", "{\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":8.0}}");
        Assert.Equal(new RotaryEmbedding(1e6, new LinearRopeScaling(8)), config.RopeOf(2));
        Assert.Equal(new RotaryEmbedding(1e4, null), config.RopeOf(0));
    }

    /// <summary>A model of texts and images scores texts by its text model, whose fields and tensors are a level down.</summary>
    [Fact]
    public void The_text_model_of_a_Gemma3_with_images_is_read()
    {
        using TempFolder plain = Copy("gemma3_text_linear", "{}"), nested = Copy("gemma3_text_linear", "{}");
        JsonNode text = JsonNode.Parse(File.ReadAllText(plain["config.json"]))!;
        nested.Write("config.json", new JsonObject { ["model_type"] = "gemma3", ["text_config"] = text, ["vision_config"] = new JsonObject() }.ToJsonString());
        using Checkpoint one = Checkpoint.Open(plain.Path), two = Checkpoint.Open(nested.Path);
        Assert.Equal(one.Config, two.Config);
        Assert.Equal(one.PadTokenId, two.PadTokenId);
    }

    /// <summary>Values of transformers' _compute_yarn_parameters, typed in again in Python.</summary>
    [Fact]
    public void Rotary_frequencies_are_those_of_transformers()
    {
        Equal(
            new YarnRopeScaling(4, 64, 32, 1, true, 1), 1e6,
            [1.0, 0.15699290196934876, 0.01577393361200483, 0.0039622329811527844, 0.000995267926383743, 0.00025, 6.279716078773952e-05, 1.577393361200484e-05, 3.962232981152781e-06, 9.95267926383743e-07]);
        Equal(
            new YarnRopeScaling(8, 256, 16, 2, false, 1), 1e4,
            [1.0, 0.39810717055349726, 0.09797763332788895, 0.014552324206477334, 0.0031398580393869743, 0.00125, 0.0004976339631918717, 0.00019811164905763926, 7.886966806002412e-05, 3.1398580393869744e-05]);
        Equal(
            new YarnRopeScaling(1, 512, 32, 1, true, 1), 1e6,
            [1.0, 0.251188643150958, 0.06309573444801932, 0.015848931924611138, 0.003981071705534972, 0.001, 0.00025118864315095806, 6.309573444801936e-05, 1.5848931924611124e-05, 3.981071705534972e-06]);
        Assert.Equal(0.01, new RotaryEmbedding(1e4, new LinearRopeScaling(5)).Frequencies(8)[1] / 2, 1e-15);

        static void Equal(YarnRopeScaling scaling, double theta, double[] expected)
        {
            double[] got = new RotaryEmbedding(theta, scaling).Frequencies(2 * expected.Length);
            for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], got[i], 1e-12 * expected[i]);
        }
    }

    [Theory]
    [InlineData("{\"rope_type\":\"yarn\",\"factor\":4.0,\"original_max_position_embeddings\":64}", 1.138629436111989)]
    [InlineData("{\"type\":\"yarn\",\"factor\":4.0,\"attention_factor\":0.7}", 0.7)]
    [InlineData("{\"rope_type\":\"yarn\",\"factor\":4.0,\"mscale\":2.0,\"mscale_all_dim\":1.0}", 1.277258872223978 / 1.138629436111989)]
    [InlineData("{\"rope_type\":\"yarn\",\"factor\":4.0,\"mscale\":2.0}", 1.138629436111989)]
    [InlineData("{\"rope_type\":\"yarn\",\"factor\":1.0}", 1)]
    public void YaRN_scales_cosines_and_sines(string rope, double magnitude)
    {
        BackboneConfig config = Config("qwen3_linear", $"{{\"rope_scaling\":{rope}}}");
        Assert.Equal(magnitude, Assert.IsType<YarnRopeScaling>(config.RopeScaling).Magnitude, 1e-12);
        Assert.Equal(512, config.MaxPositions);
    }

    /// <summary>A dynamic scaling changes nothing up to the maximum, above which texts would be computed with another base.</summary>
    [Theory]
    [InlineData("{\"type\":\"dynamic\",\"factor\":2.0}", 512)]
    [InlineData("{\"rope_type\":\"dynamic\",\"factor\":2.0,\"original_max_position_embeddings\":100}", 100)]
    public void A_dynamic_scaling_bounds_the_length_of_a_text(string rope, int length)
    {
        foreach (string family in (string[])["mistral_linear", "qwen3_linear"])
        {
            BackboneConfig config = Config(family, $"{{\"rope_scaling\":{rope}}}");
            Assert.Null(config.RopeScaling);
            Assert.Equal(length, config.MaxPositions);
        }
    }

    /// <summary>Longer texts have other divisors, and are not read.</summary>
    [Theory]
    [InlineData("{}", 256, 1.1726039399558574)]
    [InlineData("{\"max_position_embeddings\":200}", 200, 1)]
    [InlineData("{\"max_position_embeddings\":8192,\"original_max_position_embeddings\":\"absent\"}", 4096, 1.0408329997330663)]
    [InlineData("{\"original_max_position_embeddings\":1024}", 1024, 1.0488088481701516)]
    public void LongRoPE_bounds_the_length_of_a_text(string change, int length, double magnitude)
    {
        BackboneConfig config = Config("phi4_linear", change);
        Assert.Equal(magnitude, Assert.IsType<LongRopeScaling>(config.RopeScaling).Magnitude, 1e-12);
        Assert.Equal(length, config.MaxPositions);
        Assert.Equal(config, Config("phi4_linear", change));
    }

    /// <summary>The first tensor that a family lacks or exceeds, and what it could be instead.</summary>
    [Theory]
    [InlineData("qwen3_linear", "llama", "has a tensor layers.0.self_attn.k_norm.weight", "look like Qwen3")]
    [InlineData("llama_linear", "qwen3", "has no tensor layers.0.self_attn.q_norm.weight", "look like Llama or Mistral")]
    [InlineData("llama_linear", "qwen2", "has no tensor layers.0.self_attn.q_proj.bias", "look like Llama or Mistral")]
    [InlineData("qwen2_linear", "mistral", "has a tensor layers.0.self_attn.k_proj.bias", "look like Qwen2")]
    [InlineData("gemma3_text_linear", "gemma2", "has a tensor layers.0.self_attn.k_norm.weight", "look like Gemma-3")]
    [InlineData("gemma1_linear", "gemma2", "has no tensor layers.0.pre_feedforward_layernorm.weight", "look like Llama or Mistral or Gemma")]
    [InlineData("internlm2_reward", "llama", "has no tensor embed_tokens.weight", "look like InternLM2")]
    [InlineData("phi3_linear", "llama", "has no tensor layers.0.self_attn.q_proj.weight", "look like Phi-3")]
    [InlineData("llama_linear", "phi3", "has no tensor layers.0.self_attn.qkv_proj.weight", "look like Llama or Mistral")]
    [InlineData("olmo2_linear", "qwen3", "has no tensor layers.0.input_layernorm.weight", "look like OLMo-2")]
    [InlineData("qwen3_linear", "olmo2", "has no tensor layers.0.post_feedforward_layernorm.weight", "look like Qwen3")]
    [InlineData("llama_v_head", "internlm2", "has no tensor tok_embeddings.weight", "look like Llama or Mistral")]
    public void A_checkpoint_of_another_family_is_told_with_its_first_tensor(string family, string claimed, string tensor, string like) =>
        Says(family, $"{{\"model_type\":\"{claimed}\"}}", tensor, $"model_type \"{claimed}\"", like);

    private static BackboneConfig Config(string family, string change)
    {
        using TempFolder folder = Copy(family, change);
        using Checkpoint checkpoint = Checkpoint.Open(folder.Path);
        return checkpoint.Config;
    }

    private static void Says(string family, string change, params string[] says)
    {
        using TempFolder folder = Copy(family, change);
        string message = Assert.Throws<CheckpointException>(() => Checkpoint.Open(folder.Path).Dispose()).Message;
        foreach (string part in says) Assert.Contains(part.Replace("\"S\"", Sliding), message);
    }

    /// <summary>A family's checkpoint with other fields in config.json; "absent" removes one.</summary>
    private static TempFolder Copy(string family, string change)
    {
        TempFolder folder = new TempFolder().CopyFamily(family);
        JsonObject config = JsonNode.Parse(File.ReadAllText(folder["config.json"]))!.AsObject();
        string changes = change.Replace("\"S\"", $"\"{Sliding}\"").Replace("\"F\"", $"\"{Full}\"");
        foreach ((string name, JsonNode? value) in JsonNode.Parse(changes)!.AsObject())
        {
            config.Remove(name);
            if (value?.GetValueKind() != System.Text.Json.JsonValueKind.String || value.GetValue<string>() != "absent") config[name] = value?.DeepClone();
        }

        folder.Write("config.json", config.ToJsonString());
        return folder;
    }
}
