using LdlVk.Runtime.Checkpoints;

namespace LdlVk.Runtime.Model;

/// <summary>
/// Phi-3 (Abdin et al. 2024, "Phi-3 Technical Report"; modeling_phi3.py): Llama's layers, in which query, key and value are the rows of one
/// matrix, and gate and up those of another; a sliding window in all layers if config.json has one.
/// </summary>
internal sealed class Phi3Architecture : Architecture
{
    private const string Window = "sliding_window";

    public override string Name => "Phi-3";

    public override string ModelType => "phi3";

    /// <summary>The default of Phi3Config.</summary>
    internal override int? DefaultPadToken => 32000;

    internal override bool IsSliding(int layer) => true;

    /// <summary>Absent fields have the defaults of Hugging Face's Phi3Config.</summary>
    internal override BackboneConfig Read(ConfigFields fields)
    {
        BackboneConfig config = fields.WithActivation(
            fields.Backbone(this, headDimension: null, maxPositions: 4096, keyValueHeads: heads => heads, epsilon: 1e-5), "hidden_act");
        return fields.WithRope(config) with
        {
            QueryPreAttentionScalar = config.HeadDimension,
            SlidingWindow = fields.Integer(Window, 1, int.MaxValue, 0),
        };
    }

    internal override StoredTensor Stored(BackboneConfig config, string name, int[] shape)
    {
        int queries = config.Heads * config.HeadDimension, keys = config.KeyValueHeads * config.HeadDimension, ffn = config.IntermediateSize;
        string module = name.Split('.')[^2];
        return module switch
        {
            "q_proj" => Part("qkv_proj", 0, queries + (2 * keys)),
            "k_proj" => Part("qkv_proj", queries, queries + (2 * keys)),
            "v_proj" => Part("qkv_proj", queries + keys, queries + (2 * keys)),
            "gate_proj" => Part("gate_up_proj", 0, 2 * ffn),
            "up_proj" => Part("gate_up_proj", ffn, 2 * ffn),
            _ => base.Stored(config, name, shape),
        };

        // Consecutive rows of a matrix.
        StoredTensor Part(string whole, int first, int rows) => new(
            name.Replace(module, whole, StringComparison.Ordinal), [rows, .. shape[1..]], new RowGroups(rows, first, shape[0]));
    }
}
