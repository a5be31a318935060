using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using System.Text.Json;

namespace LdlVk.Testing;

/// <summary>The numbers of a made-up model.</summary>
public sealed record SyntheticShape(
    int Hidden, int Layers, int Heads, int KeyValueHeads, int HeadDimension, int FeedForward, int Vocabulary, int HeadHidden)
{
    /// <summary>One layer of LDL-Reward-Gemma-2-27B, with a small vocabulary: the embedding table is never on the device.</summary>
    public static SyntheticShape TrueLayer { get; } = new(4608, 1, 32, 16, 128, 36864, 1024, 4096);

    /// <summary>The shape at which other runtimes are measured, with heads that cost next to nothing: they have none.</summary>
    public static SyntheticShape Peer8 { get; } = new(1152, 8, 8, 4, 128, 4608, 8192, 16) { QueryPreAttentionScalar = 128 };

    public int QueryPreAttentionScalar { get; init; } = 144;

    /// <summary>Elements of the backbone in fp32 instead of bf16.</summary>
    public bool Fp32 { get; init; }

    /// <summary>
    /// Factor of the up projection of layer Layers/2. The norm behind the MLP takes it back, so exact results hardly change, but the
    /// activations between grow by it: beyond fp16's range at 20000.
    /// </summary>
    public double UpGain { get; init; } = 1;
}

/// <summary>Writes checkpoints of any size in the real layout, with weights from a counter-based generator.</summary>
public static class SyntheticCheckpoint
{
    /// <summary>Writes config.json, model.safetensors (bf16 or fp32) and the two heads (fp32) into a folder.</summary>
    public static void Write(string folder, SyntheticShape shape)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "config.json"), $$"""
            {"model_type":"gemma2","hidden_size":{{shape.Hidden}},"num_hidden_layers":{{shape.Layers}},"num_attention_heads":{{shape.Heads}},
             "num_key_value_heads":{{shape.KeyValueHeads}},"head_dim":{{shape.HeadDimension}},"intermediate_size":{{shape.FeedForward}},
             "vocab_size":{{shape.Vocabulary}},"max_position_embeddings":8192,"query_pre_attn_scalar":{{shape.QueryPreAttentionScalar}},"attn_logit_softcapping":50.0,
             "sliding_window":4096,"rope_theta":10000.0,"rms_norm_eps":1e-6,"hidden_activation":"gelu_pytorch_tanh","torch_dtype":"{{(shape.Fp32 ? "float32" : "bfloat16")}}"}
            """);
        WriteBackbone(Path.Combine(folder, "model.safetensors"), shape);
        WriteHead(Path.Combine(folder, "regression_layer.pt"), [shape.Hidden, shape.HeadHidden, shape.HeadHidden, 220]);
        WriteHead(Path.Combine(folder, "gating_layer.pt"), [shape.Hidden, shape.HeadHidden, shape.HeadHidden, 22]);
    }

    private static void WriteBackbone(string path, SyntheticShape s)
    {
        List<(string Name, int[] Shape)> tensors = [("model.embed_tokens.weight", [s.Vocabulary, s.Hidden])];
        for (int layer = 0; layer < s.Layers; layer++)
        {
            string at = $"model.layers.{layer}.";
            int q = s.Heads * s.HeadDimension, kv = s.KeyValueHeads * s.HeadDimension;
            foreach (string norm in new[] { "input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm" })
                tensors.Add(($"{at}{norm}.weight", [s.Hidden]));
            tensors.AddRange([
                (at + "self_attn.q_proj.weight", [q, s.Hidden]), (at + "self_attn.k_proj.weight", [kv, s.Hidden]),
                (at + "self_attn.v_proj.weight", [kv, s.Hidden]), (at + "self_attn.o_proj.weight", [s.Hidden, q]),
                (at + "mlp.gate_proj.weight", [s.FeedForward, s.Hidden]), (at + "mlp.up_proj.weight", [s.FeedForward, s.Hidden]),
                (at + "mlp.down_proj.weight", [s.Hidden, s.FeedForward])]);
        }

        tensors.Add(("model.norm.weight", [s.Hidden]));
        WriteTensors(path, tensors, s.Fp32, name => name == $"model.layers.{s.Layers / 2}.mlp.up_proj.weight" ? s.UpGain : 1);
    }

    /// <summary>Writes made-up tensors: norm weights near 0, matrices of about unit gain.</summary>
    /// <param name="path">The safetensors file.</param>
    /// <param name="tensors">Names and shapes.</param>
    /// <param name="fp32">Whether elements are fp32 instead of bf16.</param>
    /// <param name="gain">Further factor of a tensor.</param>
    public static void WriteTensors(string path, IReadOnlyList<(string Name, int[] Shape)> tensors, bool fp32, Func<string, double> gain)
    {
        int elementBytes = fp32 ? sizeof(float) : 2;
        using var header = new MemoryStream();
        using (var json = new Utf8JsonWriter(header))
        {
            json.WriteStartObject();
            long offset = 0;
            foreach ((string name, int[] shape) in tensors)
            {
                long bytes = elementBytes * shape.Aggregate(1L, (a, b) => a * b);
                json.WriteStartObject(name);
                json.WriteString("dtype", fp32 ? "F32" : "BF16");
                json.WriteStartArray("shape");
                foreach (int dimension in shape) json.WriteNumberValue(dimension);
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(offset);
                json.WriteNumberValue(offset += bytes);
                json.WriteEndArray();
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        using FileStream file = File.Create(path);
        byte[] length = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)header.Length);
        file.Write(length);
        file.Write(header.ToArray());
        byte[] chunk = new byte[1 << 20];
        uint seed = 1;
        foreach ((string name, int[] shape) in tensors)
        {
            double scale = name.EndsWith("norm.weight", StringComparison.Ordinal) ? 0.1 : name.Contains("embed", StringComparison.Ordinal) ? 0.02 : 1.7 / Math.Sqrt(shape[^1]);
            scale *= gain(name);
            long left = shape.Aggregate(1L, (a, b) => a * b);
            while (left > 0)
            {
                int count = (int)Math.Min(left, chunk.Length / elementBytes);
                for (int i = 0; i < count; i++)
                {
                    seed = (seed * 1664525) + 1013904223;
                    float value = (float)(((seed >> 8) / 8388608.0 - 1) * scale);
                    if (fp32) BinaryPrimitives.WriteSingleLittleEndian(chunk.AsSpan(4 * i), value);
                    else BinaryPrimitives.WriteUInt16LittleEndian(chunk.AsSpan(2 * i), (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16));
                }

                file.Write(chunk, 0, elementBytes * count);
                left -= count;
            }
        }
    }

    /// <summary>A state dict of linear layers network.0, network.2, … as torch.save writes it.</summary>
    private static void WriteHead(string path, int[] sizes)
    {
        using var zip = new ZipArchive(File.Create(path), ZipArchiveMode.Create);
        using var pickle = new MemoryStream();
        var p = new BinaryWriter(pickle, Encoding.UTF8);
        p.Write([(byte)0x80, 2]);
        Global("collections", "OrderedDict");
        p.Write(")R("u8);
        int storage = 0;
        for (int layer = 0; layer + 1 < sizes.Length; layer++)
        {
            Tensor($"network.{2 * layer}.weight", sizes[layer + 1], sizes[layer]);
            Tensor($"network.{2 * layer}.bias", sizes[layer + 1]);
        }

        p.Write("u."u8);
        Entry("archive/data.pkl", pickle.ToArray());
        Entry("archive/byteorder", "little"u8.ToArray());
        Entry("archive/version", "3\n"u8.ToArray());
        uint seed = 7;
        storage = 0;
        for (int layer = 0; layer + 1 < sizes.Length; layer++)
        {
            Storage((long)sizes[layer + 1] * sizes[layer], 1.7 / Math.Sqrt(sizes[layer]));
            Storage(sizes[layer + 1], 0.05);
        }

        void Global(string module, string name) => p.Write(Encoding.UTF8.GetBytes($"c{module}\n{name}\n"));
        void Text(string text)
        {
            byte[] bytes = Encoding.UTF8.GetBytes(text);
            p.Write((byte)'X');
            p.Write(bytes.Length);
            p.Write(bytes);
        }

        void Int(int value)
        {
            p.Write((byte)'J');
            p.Write(value);
        }

        void Tensor(string name, params int[] shape)
        {
            Text(name);
            Global("torch._utils", "_rebuild_tensor_v2");
            p.Write("(("u8);
            Text("storage");
            Global("torch", "FloatStorage");
            Text($"{storage++}");
            Text("cuda:0");
            Int(shape.Aggregate(1, (a, b) => a * b));
            p.Write("tQ"u8);
            Int(0);
            p.Write("("u8);
            foreach (int dimension in shape) Int(dimension);
            p.Write("t("u8);
            for (int i = 0; i < shape.Length; i++) Int(shape.Skip(i + 1).Aggregate(1, (a, b) => a * b));
            p.Write([(byte)'t', 0x89]);
            Global("collections", "OrderedDict");
            p.Write(")RtR"u8);
        }

        void Entry(string name, byte[] bytes)
        {
            using Stream entry = zip.CreateEntry(name, CompressionLevel.NoCompression).Open();
            entry.Write(bytes);
        }

        void Storage(long count, double scale)
        {
            using Stream entry = zip.CreateEntry($"archive/data/{storage++}", CompressionLevel.NoCompression).Open();
            byte[] chunk = new byte[1 << 20];
            for (long left = count; left > 0;)
            {
                int n = (int)Math.Min(left, chunk.Length / 4);
                for (int i = 0; i < n; i++)
                {
                    seed = (seed * 1664525) + 1013904223;
                    BinaryPrimitives.WriteSingleLittleEndian(chunk.AsSpan(4 * i), (float)(((seed >> 8) / 8388608.0 - 1) * scale));
                }

                entry.Write(chunk, 0, 4 * n);
                left -= n;
            }
        }
    }
}
