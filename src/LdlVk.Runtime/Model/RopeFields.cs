using System.Text.Json;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Model;

/// <summary>
/// Reads the rotary embedding of a config.json by the rule of transformers 5 (convert_rope_params_to_dict and standardize_rope_params of
/// modeling_rope_utils.py), which reads the files of transformers 4 too: the parameters are <c>rope_scaling</c>, or if that is absent or
/// empty <c>rope_parameters</c>; what they lack of <c>rope_theta</c> comes from the top level, and then from the default.
/// </summary>
internal static class RopeFields
{
    private const double DefaultTheta = 10000, MaxTheta = 1e12;
    private const string Theta = "rope_theta", Type = "rope_type", OldType = "type", Partial = "partial_rotary_factor";
    private const string OriginalPositions = "original_max_position_embeddings";

    /// <summary>Adds the base and the scaling of the rotary embedding to a backbone.</summary>
    /// <exception cref="CheckpointException">A field is malformed, or asks for a kind of scaling that is not supported.</exception>
    public static BackboneConfig WithRope(this ConfigFields fields, BackboneConfig config)
    {
        RequireWholeHeads(fields.Root);
        double theta = fields.Number(Theta, 1, MaxTheta, DefaultTheta);
        if (Parameters(fields.Root) is not { } rope) return config with { RopeTheta = theta };
        RequireOneTable(rope, config.Architecture);
        RequireWholeHeads(rope);
        return config with
        {
            RopeTheta = ConfigFields.Number(rope, Theta, 1, MaxTheta, theta),
            RopeScaling = Scaling(fields, rope, config.MaxPositions),
        };
    }

    /// <summary>Finds the parameters; null if the file has none, or only empty ones.</summary>
    private static JsonField? Parameters(JsonField root)
    {
        foreach (string name in (string[])["rope_scaling", "rope_parameters"])
            if (root.TryGet(name, out JsonField found) && found.Members().Any(member => member.Value.ValueKind != JsonValueKind.Null))
                return found;
        return null;
    }

    /// <summary>Newer files of models with several kinds of attention have the parameters of each kind, by its name.</summary>
    private static void RequireOneTable(JsonField rope, Architecture architecture)
    {
        foreach (JsonProperty member in rope.Members())
        {
            if (member.Value.ValueKind != JsonValueKind.Object) continue;
            throw rope.Member(Shown.Short(member.Name), member.Value).Error(
                $"holds the rotary parameters of one kind of layer. {architecture.Name} has the same for all layers, so {Theta} and "
                + $"{Type} are needed directly in the object. Models with several are not supported.");
        }
    }

    private static void RequireWholeHeads(JsonField parent)
    {
        if (parent.TryGet(Partial, out JsonField part) && part.Number(0, 1) != 1) throw ConfigFields.Unsupported(part, "1");
    }

    private static RopeScaling? Scaling(ConfigFields fields, JsonField rope, int maxPositions)
    {
        if (!rope.TryGet(Type, out JsonField type) && !rope.TryGet(OldType, out type)) return null;
        if (type.String() == "default") return null;
        if (type.String() != "llama3") throw ConfigFields.Unsupported(type, "\"llama3\" or \"default\"");
        double low = rope.Get("low_freq_factor").Number(1e-3, 1e6);
        JsonField high = rope.Get("high_freq_factor");
        if (high.Number(1e-3, 1e6) <= low) throw high.Damaged($"is {high.Kind}, not above low_freq_factor");
        if (!fields.Root.TryGet(OriginalPositions, out JsonField original)) rope.TryGet(OriginalPositions, out original);
        return new RopeScaling(
            rope.Get("factor").Number(1, 1e6),
            low,
            high.Number(1e-3, 1e6),
            original.Value.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null ? maxPositions : original.Integer(1, 1 << 24));
    }
}
