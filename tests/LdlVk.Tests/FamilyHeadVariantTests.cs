using System.Text.Json.Nodes;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Model;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>
/// Heads with the names, biases, types, positions and options that files may have beside those of the goldens, against their formulas in
/// double over <see cref="Forward64"/>.
/// </summary>
public sealed class FamilyHeadVariantTests : DeviceTest, IDisposable
{
    private const double Tolerance = 2e-4;
    private const int Hidden = 40;

    private static readonly int[] Ids = [.. Enumerable.Range(0, 37).Select(i => 8 + (i * i * 5 % 80))];

    private readonly TempFolder _temp = new();

    public void Dispose() => _temp.Dispose();

    /// <summary>What wraps a model, and what then stands before its backbone's and its head's names.</summary>
    [Theory]
    [InlineData("", "score.weight")]
    [InlineData("model.", "score.weight")]
    [InlineData("model.", "model.score.weight")]
    [InlineData("transformer.", "score.weight")]
    [InlineData("transformer.", "transformer.score.weight")]
    [InlineData("module.model.", "module.score.weight")]
    [InlineData("base_model.model.model.", "base_model.model.score.weight")]
    [InlineData("base_model.model.model.", "base_model.model.score.modules_to_save.default.weight")]
    [InlineData("_orig_mod.model.", "_orig_mod.score.weight")]
    [InlineData("pretrained_model.model.", "pretrained_model.score.weight")]
    [InlineData("pretrained_model.model.", "v_head.summary.weight")]
    [InlineData("module.base_model.model.model.", "module.base_model.model.v_head.weight")]
    [InlineData("model.", "model.value_head.weight")]
    [InlineData("model.", "regression_head.weight")]
    [InlineData("transformer.", "transformer.score_head.weight")]
    public void Prefixes_are_taken_off(string backbone, string head)
    {
        JsonObject config = FamilyVariantTests.Config("llama", "{'pad_token_id':null}");
        List<OtherHead.Tensor> tensors = MadeFamily.Backbone(config, 12, 2);
        double[] hidden = new Forward64(config, tensors).Hidden(Ids)[^1];
        OtherHead.Tensor row = MadeFamily.Head(head, 1, Hidden);
        MadeFamily.Write(_temp["model"], config, [.. tensors.Select(t => t with { Name = backbone + t.Name["model.".Length..] }), row]);
        Assert.Equal(Dot(row, 0, hidden), Score(Ids).Score, Tolerance);
    }

    [Theory]
    [InlineData("score.weight", "score.bias")]
    [InlineData("v_head.summary.weight", "v_head.summary.bias")]
    [InlineData("v_head.weight", "v_head.bias")]
    [InlineData("value_head.weight", "value_head.bias")]
    [InlineData("score_head.weight", "score_head.bias")]
    public void A_bias_is_added(string weight, string bias)
    {
        (JsonObject _, OtherHead.Tensor row, double[][] hidden) = Made("{'pad_token_id':null}", weight, new OtherHead.Tensor(bias, [1], [-3.25f]));
        Assert.Equal(Dot(row, 0, hidden[^1]) - 3.25, Score(Ids).Score, Tolerance);
    }

    /// <summary>Each rule of the goldens' README, with pads at the end, in the middle, nowhere, everywhere, and none configured.</summary>
    [Theory]
    [InlineData("score.weight", "7", "5 6 7 8 9", 4)]
    [InlineData("score.weight", "7", "5 6 7 8 7", 3)]
    [InlineData("score.weight", "7", "5 6 7 7 7", 1)]
    [InlineData("score.weight", "7", "7 7 7", 0)]
    [InlineData("score.weight", "7", "7 5 6", 2)]
    [InlineData("score.weight", "null", "5 6 7 8 7", 4)]
    [InlineData("score.weight", "'absent'", "5 6 7 8 7", 4)]
    [InlineData("score.weight", "-1", "5 6 7 8 7", 4)]
    [InlineData("v_head.weight", "7", "5 6 7 8 9", 1)]
    [InlineData("v_head.weight", "7", "5 6 8 7", 2)]
    [InlineData("v_head.weight", "7", "7 5 6", 2)]
    [InlineData("v_head.weight", "null", "5 6 7 8 7", 4)]
    [InlineData("v_head.summary.weight", "7", "5 6 7 8 7", 4)]
    [InlineData("value_head.weight", "7", "5 7", 1)]
    [InlineData("regression_head.weight", "7", "5 7", 1)]
    [InlineData("score_head.weight", "7", "5 7 7", 2)]
    public void The_position_is_that_of_the_models_code(string head, string pad, string text, int position)
    {
        (JsonObject _, OtherHead.Tensor row, double[][] _) = Made($"{{'pad_token_id':{pad},'eos_token_id':7}}", head);
        int[] ids = [.. text.Split(' ').Select(id => int.Parse(id, System.Globalization.CultureInfo.InvariantCulture))];
        JsonObject config = FamilyVariantTests.Config("llama", "{}");
        double[] hidden = new Forward64(config, MadeFamily.Backbone(config, 12, 2)).Hidden(ids)[position];
        Assert.Equal(Dot(row, 0, hidden), Score(ids).Score, Tolerance);
    }

    /// <summary>OpenRLHF reads the last token and normalizes, also where its head has the name of another program's.</summary>
    [Theory]
    [InlineData("score")]
    [InlineData("v_head")]
    [InlineData("value_head")]
    [InlineData("regression_head")]
    [InlineData("score_head")]
    [InlineData("rm_head")]
    public void A_head_that_the_config_names_is_that_of_OpenRLHF(string name)
    {
        int[] ids = [5, 6, 7, 8, 7];
        string changes = $"{{'pad_token_id':7,'value_head_prefix':'{name}','normalize_reward':true,'mean':0.5,'std':2.0}}";
        (JsonObject config, OtherHead.Tensor row, double[][] _) = Made(changes, name + ".weight");
        double[] hidden = new Forward64(config, MadeFamily.Backbone(config, 12, 2)).Hidden(ids)[^1];
        Assert.Equal((Dot(row, 0, hidden) - 0.5) / 2, Score(ids).Score, Tolerance);
    }

    /// <summary>Gemma's and older files' default is 0 where the field is absent; null is none.</summary>
    [Theory]
    [InlineData("'absent'", 1)]
    [InlineData("null", 2)]
    public void The_default_pad_of_Gemma_is_0(string pad, int position)
    {
        JsonObject config = FamilyVariantTests.Config("gemma2", $"{{'pad_token_id':{pad}}}");
        List<OtherHead.Tensor> tensors = MadeFamily.Backbone(config, 12, 2);
        OtherHead.Tensor row = MadeFamily.Head("score.weight", 1, Hidden);
        MadeFamily.Write(_temp["model"], config, [.. tensors, row]);
        Assert.Equal(Dot(row, 0, new Forward64(config, tensors).Hidden([5, 6, 0])[position]), Score([5, 6, 0]).Score, Tolerance);
    }

    [Theory]
    [InlineData("score", 0)]
    [InlineData("v_head.summary", 0)]
    [InlineData("score", 1)]
    public void Two_layers_have_ReLU_between(string head, int first)
    {
        OtherHead.Tensor bias = new($"{head}.{first + 2}.bias", [1], [0.5f]), second = MadeFamily.Head($"{head}.{first + 2}.weight", 1, 24);
        OtherHead.Tensor inner = new($"{head}.{first}.bias", [24], [.. Enumerable.Range(0, 24).Select(i => MathF.Cos(i))]);
        (JsonObject _, OtherHead.Tensor rows, double[][] hidden) = Made("{'pad_token_id':null}", $"{head}.{first}.weight", 24, inner, second, bias);
        double[] middle = [.. Enumerable.Range(0, 24).Select(n => Math.Max(0, Dot(rows, n, hidden[^1]) + inner.Values[n]))];
        Assert.Contains(middle, value => value == 0);
        Assert.Equal(Dot(second, 0, middle) + 0.5, Score(Ids).Score, Tolerance);
    }

    [Theory]
    [InlineData(3, "{'id2label':{'0':'a','1':'b','2':'c'},'num_labels':3}", "has 3 outputs; a reward model's score is 1 number")]
    [InlineData(2, "{'id2label':{'0':'bad','1':'good'}}", "If these are the two classes of a step, choose Head = steps")]
    public void Several_labels_are_no_score(int rows, string changes, string says)
    {
        Made(changes, "score.weight", rows);
        Assert.Contains(says, Assert.Throws<CheckpointException>(() => Checkpoint.Open(_temp["model"]).Dispose()).Message);
    }

    [Theory]
    [InlineData("norm.bias")]
    [InlineData("model.embed_tokens.bias")]
    [InlineData("model.layers.0.self_attn.q_norm.weight")]
    [InlineData("model.layers.0.mlp.gate_proj.bias")]
    [InlineData("model.layers.0.self_attn.sinks")]
    public void A_tensor_that_the_family_has_not_is_refused(string name)
    {
        Made("{}", "score.weight", new OtherHead.Tensor(name, [12], new float[12]));
        Assert.Contains(name.Replace("model.", "", StringComparison.Ordinal), Assert.Throws<CheckpointException>(() => Checkpoint.Open(_temp["model"]).Dispose()).Message);
    }

    /// <summary>Steps at every place: one, the first token, the very last, all tokens; two classes, one logit, with a bias.</summary>
    [Theory]
    [InlineData("{'architectures':['Qwen2ForProcessRewardModel']}", "score.0", 2, null)]
    [InlineData("{'architectures':['LlamaForTokenClassification']}", "score", 2, null)]
    [InlineData("{}", "score", 2, "steps")]
    [InlineData("{}", "score", 1, "steps")]
    [InlineData("{'architectures':['Qwen2ForPrmModel']}", "v_head.summary", 1, null)]
    [InlineData("{}", "v_head.summary", 1, "steps")]
    public void Steps_are_scored_wherever_they_end(string changes, string head, int outputs, string? choice)
    {
        bool hasTwo = head == "score.0";
        OtherHead.Tensor bias = new(hasTwo ? "score.2.bias" : head + ".bias", [outputs], [.. Enumerable.Range(0, outputs).Select(i => 0.3f - i)]);
        OtherHead.Tensor? second = hasTwo ? MadeFamily.Head("score.2.weight", 2, 16) : null;
        OtherHead.Tensor[] more = second is null ? [bias] : [bias, second, new("score.0.bias", [16], new float[16])];
        (JsonObject _, OtherHead.Tensor rows, double[][] hidden) = Made(changes, head + ".weight", hasTwo ? 16 : outputs, more);
        using Loaded model = new("cpu", _temp["model"], WeightFormat.Fp32, head: choice);
        foreach (int[] steps in (int[][])[[36], [0], [0, 36], [5, 6, 7], [.. Enumerable.Range(0, 37)]])
        {
            Reward reward = model.Engine.Score(Packer.Pack([model.Text(Ids, steps)], 4096).Single())[0];
            Assert.Equal(steps.Length, reward.Steps.Length);
            foreach ((int step, float got) in steps.Zip(reward.Steps))
            {
                double[] input = second is null ? hidden[step] : [.. Enumerable.Range(0, 16).Select(n => Math.Max(0, Dot(rows, n, hidden[step])))];
                double[] logits = [.. Enumerable.Range(0, outputs).Select(n => Dot(second ?? rows, n, input) + bias.Values[n])];
                double want = outputs == 1 ? 1 / (1 + Math.Exp(-logits[0])) : Math.Exp(logits[1]) / (Math.Exp(logits[0]) + Math.Exp(logits[1]));
                Assert.Equal(want, got, Tolerance);
            }
        }
    }

    /// <summary>
    /// QRM and ArmoRM with other numbers: temperatures given and absent, with a matrix and without, several quantiles, and a pattern that
    /// occurs twice, overlaps itself, or begins the text.
    /// </summary>
    [Theory]
    [InlineData("{'gating_temperature':3.0}", 3.0, true, 4, 1, "50 51 9 50 51 10", 3)]
    [InlineData("{}", 10.0, true, 4, 3, "50 51 9 10", 0)]
    [InlineData("{'num_objectives':4,'num_quantiles':3}", 1.0, false, 4, 3, "9 50 50 51 10", 2)]
    [InlineData("{'gating_temperature':null,'num_objectives':null}", 1.0, false, 5, 1, "9 10 50 51", 2)]
    [InlineData("{'gating_temperature':0.5,'num_quantiles':7}", 0.5, false, 3, 7, "9 10 50 51", 2)]
    public void Gated_heads_follow_their_formula(string changes, double temperature, bool hasMatrix, int objectives, int quantiles, string text, int gate)
    {
        int[] ids = [.. text.Split(' ').Select(id => int.Parse(id, System.Globalization.CultureInfo.InvariantCulture))];
        JsonObject config = FamilyVariantTests.Config("llama", changes);
        config["gating_token_pattern"] = new JsonArray(50, 51);
        List<OtherHead.Tensor> backbone = MadeFamily.Backbone(config, 12, 2);
        OtherHead.Tensor regression = MadeFamily.Head("regression_layer.weight", objectives * quantiles, Hidden);
        OtherHead.Tensor first = MadeFamily.Head("gating.layers.0.weight", 16, Hidden), last = MadeFamily.Head("gating.layers.1.weight", objectives, 16);
        OtherHead.Tensor scale = new("gating.logit_scale", [1], [1.75f]), matrix = MadeFamily.Head("reward_transform_matrix", objectives, objectives);
        MadeFamily.Write(_temp["model"], config, [.. backbone, regression, first, last, scale, .. hasMatrix ? (OtherHead.Tensor[])[matrix] : []]);
        double[][] hidden = new Forward64(config, backbone).Hidden(ids);
        double[] middle = [.. Enumerable.Range(0, 16).Select(n => Math.Max(0, Dot(first, n, hidden[gate])))];
        double[] logits = [.. Enumerable.Range(0, objectives).Select(n => Math.Exp(Dot(last, n, middle) / temperature))];
        double[] r = [.. Enumerable.Range(0, objectives).Select(o => Enumerable.Range(0, quantiles).Average(q => Dot(regression, (o * quantiles) + q, hidden[^1])))];
        double[] adjusted = hasMatrix ? [.. Enumerable.Range(0, objectives).Select(k => Enumerable.Range(0, objectives).Sum(j => r[j] * matrix.Values[(j * objectives) + k]))] : r;
        Assert.Equal(Enumerable.Range(0, objectives).Sum(k => logits[k] / logits.Sum() * 1.75 * adjusted[k]), Score(ids).Score, Tolerance);
    }

    [Theory]
    [InlineData("F16")]
    [InlineData("BF16")]
    public void Heads_of_another_type_than_the_backbone_are_read(string type)
    {
        (JsonObject _, OtherHead.Tensor row, double[][] hidden) = Made("{'pad_token_id':null}", "score.weight");
        float[] rounded = [.. row.Values.Select(value => type == "F16" ? (float)(Half)value : BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(value) & 0xffff0000))];
        string path = Path.Combine(_temp["model"], "model.safetensors");
        OtherHead.WriteTensors(path, [.. OtherHead.ReadAll(_temp["model"]).Where(t => t.Name != "score.weight")], row with { Values = rounded }, type);
        Assert.Equal(Dot(row with { Values = rounded }, 0, hidden[^1]), Score(Ids).Score, Tolerance);
    }

    /// <summary>A model of texts and images leaves out what is the default of its text model, as Gemma-3-4B's file does.</summary>
    [Fact]
    public void Absent_sizes_of_a_nested_Gemma3_have_their_defaults()
    {
        JsonObject text = FamilyVariantTests.Config("gemma3_text", "{'num_attention_heads':'absent','num_key_value_heads':'absent','sliding_window':5,'head_dim':4}");
        JsonObject whole = text.DeepClone().AsObject();
        (whole["num_attention_heads"], whole["num_key_value_heads"]) = (8, 4);
        List<OtherHead.Tensor> tensors = MadeFamily.Backbone(whole, 4, 4);
        OtherHead.Tensor row = MadeFamily.Head("score.weight", 1, Hidden);
        JsonObject config = new() { ["model_type"] = "gemma3", ["text_config"] = text };
        MadeFamily.Write(_temp["model"], config, [.. tensors.Select(t => t with { Name = "model.language_model." + t.Name["model.".Length..] }), row]);
        Assert.Equal(Dot(row, 0, new Forward64(whole, tensors).Hidden(Ids)[^1]), Score(Ids).Score, Tolerance);
    }

    /// <summary>
    /// Each family's projection to the vocabulary: its own, or the embedding table where config.json or the family's default ties the two;
    /// Gemma 2 and 3 cap the logits, and other families' code does not read that field.
    /// </summary>
    [Theory]
    [InlineData("llama", "{}", "lm_head.weight", 0)]
    [InlineData("llama", "{'tie_word_embeddings':true}", null, 0)]
    [InlineData("mistral", "{'tie_word_embeddings':false,'final_logit_softcapping':0.5}", "lm_head.weight", 0)]
    [InlineData("qwen2", "{}", "lm_head.weight", 0)]
    [InlineData("qwen3", "{'tie_word_embeddings':true}", null, 0)]
    [InlineData("phi3", "{'tie_word_embeddings':true,'partial_rotary_factor':0.5}", null, 0)]
    [InlineData("phi3", "{}", "lm_head.weight", 0)]
    [InlineData("olmo2", "{}", "lm_head.weight", 0)]
    [InlineData("internlm2", "{}", "output.weight", 0)]
    [InlineData("internlm2", "{'tie_word_embeddings':true}", null, 0)]
    [InlineData("gemma", "{'final_logit_softcapping':0.5}", null, 0)]
    [InlineData("gemma2", "{}", null, 30)]
    [InlineData("gemma2", "{'final_logit_softcapping':2.5,'tie_word_embeddings':false}", "lm_head.weight", 2.5)]
    [InlineData("gemma2", "{'final_logit_softcapping':null}", null, 0)]
    [InlineData("gemma3_text", "{}", null, 0)]
    [InlineData("gemma3_text", "{'final_logit_softcapping':2.5}", null, 2.5)]
    public void The_logit_of_a_token_is_that_of_its_family(string type, string changes, string? projection, double cap)
    {
        JsonObject config = FamilyVariantTests.Config(type, changes);
        config.Remove("reward_token_id");
        List<OtherHead.Tensor> tensors = MadeFamily.Backbone(config, (int)config["head_dim"]!, 2, type == "qwen2" ? "qkv" : "");
        OtherHead.Tensor rows = projection is null ? tensors[0] : MadeFamily.Head(projection, (int)config["vocab_size"]!, Hidden);
        MadeFamily.Write(_temp["model"], config, projection is null ? tensors : [.. tensors, rows]);
        double logit = Dot(rows, 21, new Forward64(config, tensors).Hidden(Ids)[^1]);
        Assert.Equal(cap == 0 ? logit : cap * Math.Tanh(logit / cap), Score(Ids, "logit:21").Score, Tolerance);
        Assert.Contains("Head = logit:N", Assert.Throws<CheckpointException>(() => Checkpoint.Open(_temp["model"]).Dispose()).Message);
    }

    private Reward Score(int[] ids, string? head = null)
    {
        using Loaded model = new("cpu", _temp["model"], WeightFormat.Fp32, head: head);
        return model.Engine.Score(Packer.Pack([model.Text(ids)], 4096).Single())[0];
    }

    private (JsonObject Config, OtherHead.Tensor Head, double[][] Hidden) Made(string changes, string head, params OtherHead.Tensor[] more) =>
        Made(changes, head, 1, more);

    /// <summary>Writes a Llama with a head, and computes the hidden states of <see cref="Ids"/>.</summary>
    private (JsonObject Config, OtherHead.Tensor Head, double[][] Hidden) Made(string changes, string head, int rows, params OtherHead.Tensor[] more)
    {
        JsonObject config = FamilyVariantTests.Config("llama", changes);
        List<OtherHead.Tensor> tensors = MadeFamily.Backbone(config, 12, 2);
        OtherHead.Tensor first = MadeFamily.Head(head, rows, Hidden);
        MadeFamily.Write(_temp["model"], config, [.. tensors, first, .. more]);
        return (config, first, new Forward64(config, tensors).Hidden(Ids));
    }

    private static double Dot(OtherHead.Tensor matrix, int row, double[] x)
    {
        double sum = 0;
        for (int i = 0; i < x.Length; i++) sum += matrix.Values[(row * x.Length) + i] * x[i];
        return sum;
    }
}
