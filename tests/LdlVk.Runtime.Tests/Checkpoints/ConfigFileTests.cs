using System.Text.RegularExpressions;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Checkpoints;

/// <summary>config.json, always through <see cref="Checkpoint.Open"/>: what is read, what is defaulted, what is refused.</summary>
public sealed class ConfigFileTests : IDisposable
{
    private readonly TempFolder _folder = new TempFolder().CopyGolden("a_f32_sliding");

    /// <summary>Puts a field behind the last, so that each field under test is followed by a comma.</summary>
    public ConfigFileTests() => _folder.Write("config.json", File.ReadAllText(_folder["config.json"]).TrimEnd().TrimEnd('}').TrimEnd() + ",\n  \"end\": 0\n}");

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("hidden_size", "\"64\"")]
    [InlineData("hidden_size", "0")]
    [InlineData("hidden_size", "-64")]
    [InlineData("hidden_size", "64.5")]
    [InlineData("hidden_size", "1e300")]
    [InlineData("hidden_size", "null")]
    [InlineData("hidden_size", "[64]")]
    [InlineData("hidden_size", "true")]
    [InlineData("num_hidden_layers", "1001")]
    [InlineData("num_attention_heads", "2147483648")]
    [InlineData("num_key_value_heads", "3")]
    [InlineData("head_dim", "15")]
    [InlineData("intermediate_size", "99999999")]
    [InlineData("vocab_size", "-1")]
    [InlineData("max_position_embeddings", "0")]
    [InlineData("max_position_embeddings", "999999999999")]
    [InlineData("rms_norm_eps", "0")]
    [InlineData("rms_norm_eps", "-1e-6")]
    [InlineData("rms_norm_eps", "1e300")]
    [InlineData("rms_norm_eps", "1e999")]
    [InlineData("rms_norm_eps", "\"1e-6\"")]
    [InlineData("rms_norm_eps", "NaN")]
    [InlineData("rope_theta", "Infinity")]
    [InlineData("rope_theta", "0")]
    [InlineData("rope_scaling", "{\"type\":\"linear\"}")]
    [InlineData("rope_scaling", "{\"type\":\"longrope\",\"factor\":2}")]
    [InlineData("query_pre_attn_scalar", "-24")]
    [InlineData("attn_logit_softcapping", "-50")]
    [InlineData("attn_logit_softcapping", "1e9")]
    [InlineData("pad_token_id", "\"0\"")]
    [InlineData("pad_token_id", "[0]")]
    [InlineData("sliding_window", "-8")]
    [InlineData("sliding_window", "8.5")]
    [InlineData("hidden_activation", "\"relu\"")]
    [InlineData("hidden_activation", "3")]
    [InlineData("attention_bias", "1")]
    [InlineData("model_type", "\"gemma3\"")]
    [InlineData("model_type", "null")]
    [InlineData("num_objectives", "1")]
    public void Fields_that_are_wrong_are_named_with_the_file(string field, string json)
    {
        Set(field, json);
        Says(field, _folder["config.json"]);
    }

    [Theory]
    [InlineData("quantization_config", "{\"bits\":4}")]
    [InlineData("quantization_config", "{\"quant_method\":\"gptq\",\"bits\":4}")]
    [InlineData("layer_types", "[\"full_attention\",\"chunked_attention\",\"full_attention\",\"sliding_attention\"]")]
    [InlineData("layer_types", "[\"full_attention\"]")]
    [InlineData("rope_parameters", "{\"rope_type\":\"yarn\",\"rope_theta\":10000}")]
    [InlineData("rope_parameters", "{\"rope_theta\":10000,\"partial_rotary_factor\":0.5}")]
    [InlineData("rope_parameters", "{\"sliding_attention\":{\"rope_theta\":10000},\"full_attention\":{\"rope_theta\":1000000}}")]
    [InlineData("partial_rotary_factor", "0.25")]
    [InlineData("use_bidirectional_attention", "true")]
    [InlineData("softmax", "\"yes\"")]
    [InlineData("temperature", "0, \"softmax\": true")]
    public void Added_fields_that_change_the_arithmetic_are_refused(string field, string json)
    {
        Add(field, json);
        Says(field, _folder["config.json"]);
    }

    [Theory]
    [InlineData("hidden_size")]
    [InlineData("num_hidden_layers")]
    [InlineData("num_attention_heads")]
    [InlineData("intermediate_size")]
    [InlineData("vocab_size")]
    [InlineData("model_type")]
    public void Required_fields_are_named_when_missing(string field)
    {
        Remove(field);
        Says(field + " is missing", _folder["config.json"]);
    }

    /// <summary>The defaults of Hugging Face's Gemma2Config.</summary>
    [Fact]
    public void Absent_fields_take_the_defaults()
    {
        foreach (string field in (string[])["rms_norm_eps", "rope_theta", "attn_logit_softcapping", "sliding_window", "query_pre_attn_scalar", "max_position_embeddings", "hidden_activation", "attention_bias"])
            Remove(field);
        BackboneConfig config = Config();
        Assert.Equal(
            (1e-6f, 10000.0, 50f, 4096, 256.0, 8192),
            (config.RmsNormEpsilon, config.RopeTheta, config.AttentionSoftcap, config.SlidingWindow, config.QueryPreAttentionScalar, config.MaxPositions));
        Remove("head_dim");
        Says("[1024, 64]"); // 4 heads of 256 are not what the weights have
    }

    /// <summary>Without a softmax over the gates, temperature is a setting of text generation that happens to be there.</summary>
    [Fact]
    public void Temperature_matters_only_with_softmax()
    {
        Add("temperature", "0.0");
        Assert.Equal(64, Config().HiddenSize);
    }

    /// <summary>Null is an absence: a program that has nothing to say of a field may write it so.</summary>
    [Fact]
    public void Null_is_an_absence()
    {
        string[] fields = ["rms_norm_eps", "rope_theta", "query_pre_attn_scalar", "max_position_embeddings", "hidden_activation", "hidden_act", "attention_bias"];
        foreach (string field in fields) Set(field, "null");
        foreach (string field in (string[])["rope_scaling", "rope_parameters", "layer_types", "quantization_config", "partial_rotary_factor"]) Add(field, "null");
        BackboneConfig config = Config();
        Assert.Equal(
            (1e-6f, 10000.0, 256.0, 8192, null), (config.RmsNormEpsilon, config.RopeTheta, config.QueryPreAttentionScalar, config.MaxPositions, config.RopeScaling));
        Set("head_dim", "null");
        Says("[1024, 64]"); // 4 heads of 256 are not what the weights have
    }

    [Fact]
    public void Null_turns_softcap_and_window_off()
    {
        Set("attn_logit_softcapping", "null");
        Set("sliding_window", "null");
        Assert.Equal((0f, 0), (Config().AttentionSoftcap, Config().SlidingWindow));
    }

    [Fact]
    public void The_spelling_of_newer_files_is_read()
    {
        Remove("rope_theta");
        Add("rope_parameters", "{\"rope_type\":\"default\",\"rope_theta\":5000.0}");
        Add("layer_types", "[\"sliding_attention\",\"full_attention\",\"sliding_attention\",\"full_attention\"]");
        Assert.Equal(5000, Config().RopeTheta);
    }

    /// <summary>The rule of transformers 5: rope_scaling or rope_parameters, and rope_theta from there, from the top level, or its default.</summary>
    [Theory]
    [InlineData("\"rope_theta\": 500000.0, \"rope_scaling\": {LLAMA3}", 500000, true)]
    [InlineData("\"rope_parameters\": {LLAMA3, \"rope_theta\": 500000.0}", 500000, true)]
    [InlineData("\"rope_theta\": 500000.0, \"rope_parameters\": {LLAMA3}", 500000, true)]
    [InlineData("\"rope_scaling\": {LLAMA3, \"rope_theta\": 500000.0}", 500000, true)]
    [InlineData("\"rope_theta\": 500000.0, \"rope_scaling\": {LLAMA3}, \"rope_parameters\": {\"rope_theta\": 1000.0, \"rope_type\": \"default\"}", 500000, true)]
    [InlineData("\"rope_scaling\": {LLAMA3}, \"rope_parameters\": {\"rope_theta\": 500000.0}", 10000, true)]
    [InlineData("\"rope_theta\": 20000.0, \"rope_parameters\": {LLAMA3, \"rope_theta\": 500000.0}", 500000, true)]
    [InlineData("\"rope_theta\": 500000.0, \"rope_parameters\": {LLAMA3, \"rope_theta\": null}", 500000, true)]
    [InlineData("\"rope_parameters\": {LLAMA3}", 10000, true)]
    [InlineData("\"rope_theta\": 500000.0", 500000, false)]
    [InlineData("\"rope_theta\": 500000.0, \"rope_scaling\": null, \"rope_parameters\": null", 500000, false)]
    [InlineData("\"rope_scaling\": {}, \"rope_parameters\": {\"rope_theta\": 500000.0}", 500000, false)]
    [InlineData("\"rope_parameters\": {\"rope_theta\": 500000.0}", 500000, false)]
    [InlineData("\"rope_theta\": 500000.0, \"rope_scaling\": {\"type\": \"default\"}", 500000, false)]
    [InlineData("\"rope_theta\": 500000.0, \"rope_scaling\": {\"rope_type\": null, \"type\": \"default\"}", 500000, false)]
    [InlineData("\"rope_theta\": 500000.0, \"rope_scaling\": {OLD}", 500000, true)]
    [InlineData("\"rope_theta\": null", 10000, false)]
    public void The_rotary_embedding_is_read_by_the_rule_of_transformers_5(string fields, double theta, bool scaled)
    {
        const string Numbers = "\"factor\": 8.0, \"high_freq_factor\": 4.0, \"low_freq_factor\": 1.0, \"original_max_position_embeddings\": 32";
        using TempFolder llama = Llama(fields.Replace("LLAMA3", Numbers + ", \"rope_type\": \"llama3\"").Replace("OLD", Numbers + ", \"type\": \"llama3\""));
        using Checkpoint checkpoint = Checkpoint.Open(llama.Path);
        Assert.Equal((theta, scaled ? new Llama3RopeScaling(8, 1, 4, 32) : null), (checkpoint.Config.RopeTheta, checkpoint.Config.RopeScaling));
    }

    [Theory]
    [InlineData("", "", 512)]
    [InlineData("", ", \"original_max_position_embeddings\": 64", 64)]
    [InlineData("\"original_max_position_embeddings\": 128, ", ", \"original_max_position_embeddings\": 64", 128)]
    public void The_length_before_the_scaling_has_a_default(string top, string inside, int length)
    {
        using TempFolder llama = Llama(
            $"{top}\"rope_parameters\": {{\"rope_type\": \"llama3\", \"factor\": 8.0, \"high_freq_factor\": 4.0, \"low_freq_factor\": 1.0{inside}}}");
        using Checkpoint checkpoint = Checkpoint.Open(llama.Path);
        Assert.Equal(length, Assert.IsType<Llama3RopeScaling>(checkpoint.Config.RopeScaling).OriginalPositions);
    }

    /// <summary>Llama 1 and 2 have as many KV heads as query heads, and their files do not say so: an error of shapes here, not of a missing field.</summary>
    [Fact]
    public void Llamas_without_a_number_of_KV_heads_have_one_for_each_query_head()
    {
        using TempFolder llama = Llama("\"rope_theta\": 500000.0");
        llama.Write("config.json", File.ReadAllText(llama["config.json"]).Replace("\"num_key_value_heads\": 2,", ""));
        Assert.Contains("[64, 64]", Assert.Throws<CheckpointException>(() => Checkpoint.Open(llama.Path)).Message);
    }

    /// <summary>What Gemma's code runs is hidden_activation, whose default is the tanh form; files of before it say "gelu" for that.</summary>
    [Fact]
    public void Gelu_of_an_old_Gemma_file_is_the_tanh_form()
    {
        Remove("hidden_activation");
        Set("hidden_act", "\"gelu\"");
        Assert.Equal(64, Config().HiddenSize);
        Add("hidden_activation", "\"quick_gelu\"");
        Says("hidden_activation", "gelu_pytorch_tanh");
    }

    [Theory]
    [InlineData("0", 0)]
    [InlineData("107", 107)]
    [InlineData("-1", -1)]
    [InlineData("null", null)]
    [InlineData(null, 0)]
    public void The_padding_token_is_the_files_or_Gemmas(string? json, int? pad)
    {
        Remove("pad_token_id");
        if (json is not null) Add("pad_token_id", json);
        using Checkpoint checkpoint = Checkpoint.Open(_folder.Path);
        Assert.Equal(pad, checkpoint.PadTokenId);
    }

    [Fact]
    public void Hidden_activation_wins_over_hidden_act()
    {
        Set("hidden_act", "\"silu\"");
        Assert.Equal(64, Config().HiddenSize);
        Remove("hidden_activation");
        Assert.Equal(GateActivation.Gelu, Config().GateActivation); // Gemma 2's code does not read hidden_act.
    }

    [Theory]
    [InlineData("", "empty")]
    [InlineData("[]", "array")]
    [InlineData("{", "JSON")]
    [InlineData("{\"head_dim\": 16, \"hidden_size\": }", "JSON, at or after the field \"hidden_size\"")]
    [InlineData("{\"model_type\":\"\\ud800\",\"end\":0}", "JSON, at or after the field \"model_type\": a string is not Unicode")]
    [InlineData("{\"model_type\":\"gemma2\",\"model_type\":\"gemma2\"}", "uplicate")]
    [InlineData("\uFEFF{\"model_type\":\"gemma2\"}", "hidden_size is missing")]
    public void Files_that_are_no_config_are_refused(string text, string says)
    {
        _folder.Write("config.json", text);
        Says(says, _folder["config.json"]);
    }

    [Fact]
    public void Text_that_is_not_UTF8_is_refused()
    {
        _folder.Write("config.json", [.. "{\"model_type\":\""u8, 0xFF, .. "\"}"u8]);
        Says(_folder["config.json"], "UTF-8");
    }

    /// <summary>A Llama whose config.json has these fields for the rotary embedding.</summary>
    private static TempFolder Llama(string rope)
    {
        TempFolder folder = new TempFolder().CopyGolden("i_inform_bf16");
        string text = File.ReadAllText(folder["config.json"]);
        text = Regex.Replace(text, "\"rope_scaling\": {[^}]*},", rope + ",");
        folder.Write("config.json", Regex.Replace(text, "\n  \"rope_theta\": 500000.0,\n", "\n"));
        return folder;
    }

    private BackboneConfig Config()
    {
        using Checkpoint checkpoint = Checkpoint.Open(_folder.Path);
        return checkpoint.Config;
    }

    /// <summary>Replaces the text after a field's colon; not by a JSON library, which would refuse NaN.</summary>
    private void Set(string field, string json)
    {
        Remove(field);
        Add(field, json);
    }

    private void Add(string field, string json)
    {
        string text = File.ReadAllText(_folder["config.json"]);
        _folder.Write("config.json", $"{{\n  \"{field}\": {json}," + text[(text.IndexOf('{', StringComparison.Ordinal) + 1)..]);
    }

    private void Remove(string field)
    {
        string text = File.ReadAllText(_folder["config.json"]), without = Regex.Replace(text, $"\n *\"{field}\": [^\n]*,(?=\n)", "");
        if (field != "rope_scaling") Assert.NotEqual(text, without);
        _folder.Write("config.json", without);
    }

    private void Says(params string[] says)
    {
        string message = Assert.Throws<CheckpointException>(() => Checkpoint.Open(_folder.Path).Dispose()).Message;
        foreach (string part in says) Assert.Contains(part, message);
    }
}
