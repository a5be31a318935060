using System.Text;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Model;

namespace LdlVk.Bench;

/// <summary>A checkpoint's backbone as llama.cpp reads it (GGUF version 3), with the same weights but for the format's rounding.</summary>
internal static class GgufFile
{
    private const int Alignment = 32, Block = 32;

    /// <summary>Names of tensors there and in the checkpoint; blk.N. and layers.N. come before those of a layer.</summary>
    private static readonly (string Gguf, string Checkpoint)[] LayerNames =
    [
        ("attn_norm", "input_layernorm"), ("attn_q", "self_attn.q_proj"), ("attn_k", "self_attn.k_proj"), ("attn_v", "self_attn.v_proj"),
        ("attn_output", "self_attn.o_proj"), ("post_attention_norm", "post_attention_layernorm"), ("ffn_norm", "pre_feedforward_layernorm"),
        ("ffn_gate", "mlp.gate_proj"), ("ffn_up", "mlp.up_proj"), ("ffn_down", "mlp.down_proj"), ("post_ffw_norm", "post_feedforward_layernorm"),
    ];

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
        List<(string Name, CheckpointTensor Tensor)> tensors =
        [
            ("token_embd.weight", checkpoint.Tensor("embed_tokens.weight")), ("output_norm.weight", checkpoint.Tensor("norm.weight")),
        ];
        for (int layer = 0; layer < checkpoint.Config.Layers; layer++)
            foreach ((string gguf, string name) in LayerNames) tensors.Add(($"blk.{layer}.{gguf}.weight", checkpoint.Tensor($"layers.{layer}.{name}.weight")));

        using FileStream file = File.Create(path);
        using BinaryWriter writer = new(file, Encoding.UTF8);
        (string Name, object Value)[] fields = Fields(checkpoint.Config, matrices);
        writer.Write("GGUF"u8);
        writer.Write(3u);
        writer.Write((ulong)tensors.Count);
        writer.Write((ulong)fields.Length);
        foreach ((string name, object value) in fields) Field(writer, name, value);
        ulong offset = 0;
        foreach ((string name, CheckpointTensor tensor) in tensors)
        {
            Text(writer, name);
            writer.Write(tensor.Shape.Count);
            foreach (int dimension in tensor.Shape.Reverse()) writer.Write((ulong)dimension);
            GgmlType stored = tensor.Shape.Count == 1 ? GgmlType.F32 : matrices;
            writer.Write((uint)stored);
            writer.Write(offset);
            offset = Aligned(offset + Bytes(stored, (ulong)tensor.Count));
        }

        Pad(writer);
        foreach ((_, CheckpointTensor tensor) in tensors)
        {
            Elements(writer, tensor, tensor.Shape.Count == 1 ? GgmlType.F32 : matrices);
            Pad(writer);
        }
    }

    private static (string Name, object Value)[] Fields(BackboneConfig c, GgmlType type) =>
    [
        ("general.architecture", "gemma2"), ("general.name", "made-up gemma2"), ("general.file_type", type == GgmlType.Q8_0 ? 7u : (uint)type),
        ("gemma2.context_length", (uint)c.MaxPositions), ("gemma2.embedding_length", (uint)c.HiddenSize), ("gemma2.block_count", (uint)c.Layers),
        ("gemma2.feed_forward_length", (uint)c.IntermediateSize), ("gemma2.attention.head_count", (uint)c.Heads),
        ("gemma2.attention.head_count_kv", (uint)c.KeyValueHeads), ("gemma2.attention.key_length", (uint)c.HeadDimension),
        ("gemma2.attention.value_length", (uint)c.HeadDimension), ("gemma2.attention.layer_norm_rms_epsilon", c.RmsNormEpsilon),
        ("gemma2.attn_logit_softcapping", c.AttentionSoftcap), ("gemma2.final_logit_softcapping", 30f),
        ("gemma2.attention.sliding_window", (uint)c.SlidingWindow), ("gemma2.vocab_size", (uint)c.VocabularySize), ("tokenizer.ggml.model", "no_vocab"),
    ];

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

    private static void Elements(BinaryWriter writer, CheckpointTensor tensor, GgmlType type)
    {
        float[] piece = new float[Math.Min(tensor.Count, 1 << 16)];
        for (long done = 0; done < tensor.Count; done += piece.Length)
        {
            Span<float> values = piece.AsSpan(0, (int)Math.Min(piece.Length, tensor.Count - done));
            tensor.Read(done, values);
            // Gemma's norms multiply by 1 + w, which llama.cpp wants added already.
            if (tensor.Shape.Count == 1) System.Numerics.Tensors.TensorPrimitives.Add(values, 1f, values);
            if (type == GgmlType.Q8_0) Q8(writer, values);
            else foreach (float value in values)
            {
                if (type == GgmlType.F16) writer.Write((Half)value);
                else writer.Write(value);
            }
        }
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
