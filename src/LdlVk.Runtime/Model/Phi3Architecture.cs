using LdlVk.Runtime.Checkpoints;

namespace LdlVk.Runtime.Model;

/// <summary>
/// Phi-3 (Abdin et al. 2024, "Phi-3 Technical Report"; modeling_phi3.py): Llama's layers, in which query, key and value are the rows of one
/// matrix, and gate and up those of another; a sliding window in all layers if config.json has one. Phi-4-mini rotates only a part of each
/// head.
/// </summary>
internal sealed class Phi3Architecture : Architecture
{
    public override string Name => "Phi-3";

    public override string ModelType => "phi3";

    /// <summary>The default of Phi3Config.</summary>
    internal override int? DefaultPadToken => 32000;

    /// <summary>The default of Phi3Config, which transformers prefers to what the rotary fields say.</summary>
    internal override int? DefaultOriginalPositions => 4096;

    internal override bool HasPartialRotation => true;

    internal override bool IsSliding(int layer) => true;

    /// <summary>Its first files name LongRoPE so.</summary>
    internal override string RopeType(string type) => type is "su" or "yarn" ? "longrope" : type;

    /// <summary>Absent fields have the defaults of Hugging Face's Phi3Config.</summary>
    internal override BackboneConfig Read(ConfigFields fields)
    {
        BackboneConfig config = fields.WithActivation(
            fields.Backbone(this, headDimension: null, maxPositions: 4096, keyValueHeads: heads => heads, epsilon: 1e-5), "hidden_act");
        return fields.WithRope(config) with
        {
            QueryPreAttentionScalar = config.HeadDimension,
            SlidingWindow = fields.Integer("sliding_window", 1, int.MaxValue, 0),
        };
    }

    internal override StoredTensor Stored(BackboneConfig config, string name, int[] shape)
    {
        int size = config.HeadDimension, rotated = config.Rope.Rotated(size), ffn = config.IntermediateSize;
        int queries = config.Heads * size, keys = config.KeyValueHeads * size;
        string module = name.Split('.')[^2];
        return module switch
        {
            "q_proj" => Part("qkv_proj", queries + (2 * keys), StoredTensor.RotatedHalves(0, config.Heads, size, rotated)),
            "k_proj" => Part("qkv_proj", queries + (2 * keys), StoredTensor.RotatedHalves(queries, config.KeyValueHeads, size, rotated)),
            "v_proj" => Part("qkv_proj", queries + (2 * keys), new RowRun(queries + keys, keys)),
            "gate_proj" => Part("gate_up_proj", 2 * ffn, new RowRun(0, ffn)),
            "up_proj" => Part("gate_up_proj", 2 * ffn, new RowRun(ffn, ffn)),
            _ => base.Stored(config, name, shape),
        };

        StoredTensor Part(string whole, int rows, params RowRun[] runs) =>
            new(name.Replace(module, whole, StringComparison.Ordinal), [rows, .. shape[1..]], new RowGroups(rows, runs));
    }
}
