using System.Text;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Model;

namespace LdlVk.Bench;

/// <summary>A checkpoint's backbone as llama.cpp reads it (GGUF version 3), with the same weights but for the format's rounding.</summary>
internal static class GgufFile
{
    private const int Alignment = 32, Block = 32;

    /// <summary>Names of tensors there, by those in the checkpoint; blk.N. and layers.N. come before those of a layer.</summary>
    private static readonly Dictionary<string, string> LayerNames = new()
    {
        ["input_layernorm"] = "attn_norm",
        ["self_attn.q_proj"] = "attn_q",
        ["self_attn.k_proj"] = "attn_k",
        ["self_attn.v_proj"] = "attn_v",
        ["self_attn.q_norm"] = "attn_q_norm",
        ["self_attn.k_norm"] = "attn_k_norm",
        ["self_attn.o_proj"] = "attn_output",
        ["pre_feedforward_layernorm"] = "ffn_norm",
        ["self_attn.qkv_proj"] = "attn_qkv",
        ["mlp.gate_up_proj"] = "ffn_up",
        ["mlp.gate_proj"] = "ffn_gate",
        ["mlp.up_proj"] = "ffn_up",
        ["mlp.down_proj"] = "ffn_down",
        ["post_feedforward_layernorm"] = "post_ffw_norm",
    };

    /// <summary>Numbers of GGML's types, and what llama.cpp calls a file of them.</summary>
    private enum GgmlType
    {
        F32 = 0,
        F16 = 1,
        Q8_0 = 8,
    }

    /// <summary>Writes a file.</summary>
    /// <param name="path">Where.</param>
    /// <param name="checkpoint">The weights.</param>
    /// <param name="type"><c>f32</c>, <c>f16</c> or <c>q8_0</c>, for the matrices; norms are f32 always.</param>
    public static void Write(string path, Checkpoint checkpoint, string type)
    {
        GgmlType matrices = Enum.Parse<GgmlType>(type, ignoreCase: true);
        BackboneConfig config = checkpoint.Config;
        List<(string Name, int[] Shape, Action<BinaryWriter, GgmlType> Write)> tensors =
        [
            .. BackboneTensors.Of(config).Select(t => config.Architecture.Stored(config, t.Name, t.Shape)).DistinctBy(t => t.Name)
                .Select(t => (NameOf(config, t.Name), t.Shape, Elements(checkpoint, t.Name, t.Shape))),
        ];
        if (config.RopeScaling is Llama3RopeScaling or LongRopeScaling)
        {
            // What each frequency is divided by.
            string factors = config.RopeScaling is LongRopeScaling ? "rope_factors_short.weight" : "rope_freqs.weight";
            double[] scaled = config.Rope.Frequencies(config.HeadDimension), plain = (config.Rope with { Scaling = null }).Frequencies(config.HeadDimension);
            tensors.Add((factors, [scaled.Length], (writer, _) =>
            {
                for (int i = 0; i < scaled.Length; i++) writer.Write((float)(plain[i] / scaled[i]));
            }));
        }

        // llama.cpp loads no OLMo 2 without a projection to the vocabulary, whose outputs nobody reads here.
        if (config.Architecture == Architecture.Olmo2)
            tensors.Add(("output.weight", [config.VocabularySize, config.HiddenSize], (writer, stored) => tensors[0].Write(writer, stored)));
        using FileStream file = File.Create(path);
        using BinaryWriter writer = new(file, Encoding.UTF8);
        (string Name, object Value)[] fields = Fields(config, matrices);
        writer.Write("GGUF"u8);
        writer.Write(3u);
        writer.Write((ulong)tensors.Count);
        writer.Write((ulong)fields.Length);
        foreach ((string name, object value) in fields) Field(writer, name, value);
        ulong offset = 0;
        foreach ((string name, int[] shape, _) in tensors)
        {
            Text(writer, name);
            writer.Write(shape.Length);
            foreach (int dimension in shape.Reverse()) writer.Write((ulong)dimension);
            writer.Write((uint)Stored(shape));
            writer.Write(offset);
            offset = Aligned(offset + Bytes(Stored(shape), shape.Aggregate(1UL, (product, dimension) => product * (ulong)dimension)));
        }

        Pad(writer);
        foreach ((_, int[] shape, Action<BinaryWriter, GgmlType> write) in tensors)
        {
            write(writer, Stored(shape));
            Pad(writer);
        }

        GgmlType Stored(int[] shape) => shape.Length == 1 ? GgmlType.F32 : matrices;
    }

    /// <summary>llama.cpp's name of an architecture; it computes Mistral as a Llama without windows.</summary>
    private static string NameOf(Architecture architecture) => architecture.ModelType switch
    {
        "mistral" => "llama",
        "gemma3_text" => "gemma3",
        string name => name,
    };

    private static string NameOf(BackboneConfig config, string name)
    {
        if (name == BackboneTensors.Embedding) return "token_embd.weight";
        if (name == BackboneTensors.FinalNorm) return "output_norm.weight";
        string[] parts = name.Split('.');
        string module = string.Join('.', parts[2..^1]);
        // The norm behind attention where there is one, and else that before the feed-forward network.
        string there = module == "post_attention_layernorm" ? config.Architecture.Norms.PostAttention is null ? "ffn_norm" : "post_attention_norm" : LayerNames[module];
        return $"blk.{parts[1]}.{there}.{parts[^1]}";
    }

    private static (string Name, object Value)[] Fields(BackboneConfig c, GgmlType type)
    {
        string name = NameOf(c.Architecture);
        List<(string, object)> fields =
        [
            ("general.architecture", name), ("general.name", $"made-up {name}"), ("general.file_type", type == GgmlType.Q8_0 ? 7u : (uint)type),
            ($"{name}.context_length", (uint)c.MaxPositions), ($"{name}.embedding_length", (uint)c.HiddenSize), ($"{name}.block_count", (uint)c.Layers),
            ($"{name}.feed_forward_length", (uint)c.IntermediateSize), ($"{name}.attention.head_count", (uint)c.Heads),
            ($"{name}.attention.head_count_kv", (uint)c.KeyValueHeads), ($"{name}.attention.key_length", (uint)c.HeadDimension),
            ($"{name}.attention.value_length", (uint)c.HeadDimension), ($"{name}.attention.layer_norm_rms_epsilon", c.RmsNormEpsilon),
            ($"{name}.rope.dimension_count", (uint)c.Rope.Rotated(c.HeadDimension)), ($"{name}.rope.freq_base", (float)c.RopeTheta),
            ($"{name}.vocab_size", (uint)c.VocabularySize), ("tokenizer.ggml.model", "no_vocab"),
        ];
        if (c.AttentionSoftcap > 0) fields.AddRange([($"{name}.attn_logit_softcapping", c.AttentionSoftcap), ($"{name}.final_logit_softcapping", 30f)]);
        if (c.SlidingWindow > 0) fields.Add(($"{name}.attention.sliding_window", (uint)c.SlidingWindow));
        if (c.RopeScaling is LongRopeScaling { Magnitude: double magnitude }) fields.Add(($"{name}.rope.scaling.attn_factor", (float)magnitude));
        return [.. fields];
    }

    private static void Field(BinaryWriter writer, string name, object value)
    {
        Text(writer, name);
        switch (value)
        {
            case uint number:
                writer.Write(4u);
                writer.Write(number);
                break;
            case float number:
                writer.Write(6u);
                writer.Write(number);
                break;
            default:
                writer.Write(8u);
                Text(writer, (string)value);
                break;
        }
    }

    /// <summary>
    /// Returns what writes a tensor. llama.cpp wants 1 + w for Gemma's norms, and the pairs that Llama's rotation turns side by side: its
    /// converter moves the rows of queries and keys so.
    /// </summary>
    private static Action<BinaryWriter, GgmlType> Elements(Checkpoint checkpoint, string name, int[] shape)
    {
        BackboneConfig config = checkpoint.Config;
        bool sideBySide = NameOf(config.Architecture) == "llama" && (name.Contains("q_proj", StringComparison.Ordinal) || name.Contains("k_proj", StringComparison.Ordinal));
        return (writer, type) =>
        {
            if (shape.Length == 1)
            {
                float offset = BackboneTensors.IsNorm(name) ? config.Architecture.NormOffset : 0;
                foreach (float value in checkpoint.Vector(name)) writer.Write(value + offset);
                return;
            }

            IFloatMatrix matrix = checkpoint.Tensor(name, shape);
            float[] row = new float[matrix.Columns];
            for (int r = 0; r < matrix.Rows; r++)
            {
                int half = config.HeadDimension / 2, head = r / config.HeadDimension, within = r % config.HeadDimension;
                int from = sideBySide ? (head * config.HeadDimension) + (within % 2 * half) + (within / 2) : r;
                matrix.Read((long)from * matrix.Columns, row);
                if (type == GgmlType.Q8_0) Q8(writer, row);
                else foreach (float value in row)
                {
                    if (type == GgmlType.F16) writer.Write((Half)value);
                    else writer.Write(value);
                }
            }
        };
    }

    /// <summary>Blocks of a half-precision scale, the largest magnitude over 127, and 32 bytes (ggml's quantize_row_q8_0).</summary>
    private static void Q8(BinaryWriter writer, ReadOnlySpan<float> values)
    {
        for (int block = 0; block < values.Length; block += Block)
        {
            ReadOnlySpan<float> of = values.Slice(block, Block);
            float largest = System.Numerics.Tensors.TensorPrimitives.MaxMagnitude(of), scale = MathF.Abs(largest) / 127, inverse = scale == 0 ? 0 : 1 / scale;
            writer.Write((Half)scale);
            foreach (float value in of) writer.Write((sbyte)MathF.Round(value * inverse, MidpointRounding.AwayFromZero));
        }
    }

    private static ulong Bytes(GgmlType type, ulong count) => type switch
    {
        GgmlType.F32 => count * 4,
        GgmlType.F16 => count * 2,
        _ => count / Block * (2 + Block),
    };

    private static ulong Aligned(ulong offset) => (offset + Alignment - 1) / Alignment * Alignment;

    private static void Pad(BinaryWriter writer)
    {
        writer.Flush();
        ulong at = (ulong)writer.BaseStream.Position;
        writer.Write(new byte[Aligned(at) - at]);
    }

    private static void Text(BinaryWriter writer, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        writer.Write((ulong)bytes.Length);
        writer.Write(bytes);
    }
}
