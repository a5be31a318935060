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
        config = config with { RotaryPart = Part(fields.Root, config) };
        double theta = fields.Number(Theta, 1, MaxTheta, DefaultTheta);
        if (Parameters(fields.Root) is not { } rope) return config with { RopeTheta = theta };
        RequireOneTable(rope, config.Architecture);
        return With(config, Read(fields, rope, theta, config));
    }

    /// <summary>
    /// Adds two rotary embeddings, one of the layers with full attention and one of those with a sliding window. Newer files have an object
    /// for each in <c>rope_parameters</c>; older ones have <c>rope_theta</c> and <c>rope_scaling</c> for the first, and a base for the
    /// second.
    /// </summary>
    /// <param name="fields">The fields of config.json.</param>
    /// <param name="config">The backbone.</param>
    /// <param name="theta">Default base of the layers with full attention.</param>
    /// <param name="slidingField">The field of the base of the layers with a sliding window in older files.</param>
    /// <param name="slidingTheta">Its default.</param>
    /// <exception cref="CheckpointException">A field is malformed, or asks for a kind of scaling that is not supported.</exception>
    public static BackboneConfig WithTwoRopes(
        this ConfigFields fields, BackboneConfig config, double theta, string slidingField, double slidingTheta)
    {
        Part(fields.Root, config);
        theta = fields.Number(Theta, 1, MaxTheta, theta);
        Rotary full = new(new RotaryEmbedding(theta, null), config.MaxPositions);
        Rotary sliding = full with { Embedding = new(fields.Number(slidingField, 1, MaxTheta, slidingTheta), null) };
        if (Parameters(fields.Root) is { } rope)
        {
            bool hasFull = rope.TryGet(BackboneFields.FullAttention, out JsonField ofFull),
                hasSliding = rope.TryGet(BackboneFields.SlidingAttention, out JsonField ofSliding);
            if (hasFull) full = Read(fields, ofFull, theta, config);
            if (hasSliding) sliding = Read(fields, ofSliding, sliding.Embedding.Theta, config);
            if (!hasFull && !hasSliding)
            {
                RequireOneTable(rope, config.Architecture);
                full = Read(fields, rope, theta, config);
            }
        }

        return With(config, full) with
        {
            SlidingRope = sliding.Embedding,
            MaxPositions = Math.Min(full.MaxPositions, sliding.MaxPositions),
        };
    }

    private static BackboneConfig With(BackboneConfig config, Rotary rope) => config with
    {
        RopeTheta = rope.Embedding.Theta,
        RopeScaling = rope.Embedding.Scaling,
        RotaryPart = rope.Embedding.Part,
        MaxPositions = rope.MaxPositions,
    };

    /// <summary>Reads an object of parameters.</summary>
    private static Rotary Read(ConfigFields fields, JsonField rope, double theta, BackboneConfig config)
    {
        config = config with { RotaryPart = Part(rope, config) };
        // Versions of transformers differ in which of the two they use.
        if (fields.Root.TryGet(Partial, out JsonField outer) && outer.Number(0, 1) != config.RotaryPart)
            throw rope.Get(Partial).Damaged($"is {rope.Get(Partial).Kind}, but {Partial} beside the rotary fields is {outer.Kind}");
        (RopeScaling? scaling, int maxPositions) = Scaling(fields, rope, config);
        theta = ConfigFields.Number(rope, Theta, 1, MaxTheta, theta);
        return new Rotary(new RotaryEmbedding(theta, scaling, config.RotaryPart), maxPositions);
    }

    /// <summary>A rotary embedding, and the maximum length of a text with it.</summary>
    private sealed record Rotary(RotaryEmbedding Embedding, int MaxPositions);

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

    /// <summary>Reads the part of a head that is rotated; that of the backbone so far if the field is absent.</summary>
    private static double Part(JsonField parent, BackboneConfig config)
    {
        if (!parent.TryGet(Partial, out JsonField field)) return config.RotaryPart;
        double part = field.Number(0, 1);
        if (part != 1 && !config.Architecture.HasPartialRotation) throw ConfigFields.Unsupported(field, "1");
        int rotated = new RotaryEmbedding(0, null, part).Rotated(config.HeadDimension);
        return rotated > 0 && rotated % 2 == 0 ? part : throw field.Damaged(
            $"is {field.Kind}: {rotated} of a head's {config.HeadDimension} elements; the rotary embedding needs an even number above 0");
    }

    private static (RopeScaling? Scaling, int MaxPositions) Scaling(ConfigFields fields, JsonField rope, BackboneConfig config)
    {
        int maxPositions = config.MaxPositions;
        if (!rope.TryGet(Type, out JsonField type) && !rope.TryGet(OldType, out type)) return (null, maxPositions);
        return config.Architecture.RopeType(type.String()) switch
        {
            "default" => (null, maxPositions),
            "linear" => (new LinearRopeScaling(Factor()), maxPositions),
            // The base grows with the length of a text that is longer than the original maximum, and is unchanged up to there.
            "dynamic" => (null, Math.Min(maxPositions, Original())),
            "llama3" => (Llama3(), maxPositions),
            "yarn" => (Yarn(), maxPositions),
            // The divisors change with the length of a text that is longer than the original maximum.
            "longrope" => (LongRope(), Math.Min(maxPositions, Original())),
            _ => throw ConfigFields.Unsupported(type, "\"default\", \"linear\", \"dynamic\", \"llama3\", \"yarn\" or \"longrope\""),
        };

        double Factor() => rope.Get("factor").Number(1, 1e6);

        int Original()
        {
            if (!fields.Root.TryGet(OriginalPositions, out JsonField original))
            {
                if (config.Architecture.DefaultOriginalPositions is { } absent) return absent;
                rope.TryGet(OriginalPositions, out original);
            }

            return original.Value.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null ? maxPositions : original.Integer(1, 1 << 24);
        }

        Llama3RopeScaling Llama3()
        {
            double low = rope.Get("low_freq_factor").Number(1e-3, 1e6);
            JsonField high = rope.Get("high_freq_factor");
            if (high.Number(1e-3, 1e6) <= low) throw high.Damaged($"is {high.Kind}, not above low_freq_factor");
            return new Llama3RopeScaling(Factor(), low, high.Number(1e-3, 1e6), Original());
        }

        YarnRopeScaling Yarn()
        {
            double factor = Factor(), magnitude = YarnRopeScaling.MagnitudeOf(factor);
            if (rope.TryGet("mscale", out JsonField weight) && rope.TryGet("mscale_all_dim", out JsonField below)
                && weight.Number(0, 1e6) > 0 && below.Number(0, 1e6) > 0)
                magnitude = YarnRopeScaling.MagnitudeOf(factor, weight.Number(0, 1e6))
                    / YarnRopeScaling.MagnitudeOf(factor, below.Number(0, 1e6));
            bool truncates = !rope.TryGet("truncate", out JsonField truncate) || truncate.Boolean();
            return new YarnRopeScaling(
                factor, Original(),
                ConfigFields.Number(rope, "beta_fast", 1e-3, 1e6, 32), ConfigFields.Number(rope, "beta_slow", 1e-3, 1e6, 1), truncates,
                ConfigFields.Number(rope, "attention_factor", 1e-3, 1e3, magnitude));
        }

        LongRopeScaling LongRope()
        {
            JsonField divisors = rope.Get("short_factor");
            double[] each = [.. divisors.Items().Select((item, pair) => divisors.Item(pair, item).Number(1e-3, 1e6))];
            int pairs = config.Rope.Rotated(config.HeadDimension) / 2, original = Original();
            if (each.Length != pairs) throw divisors.Damaged($"has {each.Length} items, but {pairs} pairs of a head are rotated");
            if (original < 2) throw fields.Field(OriginalPositions).Damaged($"is {original}; the scaling needs 2 or more");
            double factor = ConfigFields.Number(rope, "factor", 1e-3, 1e6, (double)maxPositions / original);
            double magnitude = factor <= 1 ? 1 : Math.Sqrt(1 + (Math.Log(factor) / Math.Log(original)));
            return new LongRopeScaling(each, ConfigFields.Number(rope, "attention_factor", 1e-3, 1e3, magnitude));
        }
    }
}
