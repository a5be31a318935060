using System.Buffers.Binary;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LdlVk.Testing;

/// <summary>Writes a model anew with matrices in fp8 (E4M3): any bytes, and scales beside them.</summary>
public static class Fp8Copy
{
    /// <summary>
    /// Replaces the layers' matrices of a folder by fp8, and says so in its config.json. Returns what each element stands for, by names
    /// without <c>model.</c>.
    /// </summary>
    /// <param name="folder">A folder of one or more safetensors.</param>
    /// <param name="kind"><c>block</c>, <c>tensor</c> or <c>channel</c>.</param>
    /// <param name="block">Rows and columns of a block.</param>
    public static Dictionary<string, double[]> Replace(string folder, string kind, int block = 16)
    {
        Random random = new(5);
        Dictionary<string, double[]> values = new(StringComparer.Ordinal);
        List<(string Name, string Type, int[] Shape, byte[] Bytes)> tensors = [];
        foreach (string path in Directory.GetFiles(folder, "*.safetensors").Order(StringComparer.Ordinal))
        {
            byte[] file = File.ReadAllBytes(path);
            int length = (int)BinaryPrimitives.ReadInt64LittleEndian(file);
            using JsonDocument header = JsonDocument.Parse(file.AsMemory(8, length));
            foreach (JsonProperty tensor in header.RootElement.EnumerateObject().Where(p => p.Name != "__metadata__"))
            {
                int[] shape = [.. tensor.Value.GetProperty("shape").EnumerateArray().Select(d => d.GetInt32())];
                int begin = tensor.Value.GetProperty("data_offsets")[0].GetInt32(), end = tensor.Value.GetProperty("data_offsets")[1].GetInt32();
                if (tensor.Name.Contains(".layers.", StringComparison.Ordinal) && shape.Length == 2) Add(tensor.Name, shape);
                else tensors.Add((tensor.Name, tensor.Value.GetProperty("dtype").GetString()!, shape, file[(8 + length + begin)..(8 + length + end)]));
            }

            File.Delete(path);
        }

        File.Delete(Path.Combine(folder, "model.safetensors.index.json"));
        File.WriteAllBytes(Path.Combine(folder, "model.safetensors"), Typed(tensors));
        string config = Path.Combine(folder, "config.json");
        JsonNode root = JsonNode.Parse(File.ReadAllText(config))!;
        root["quantization_config"] = kind == "block"
            ? JsonNode.Parse($$"""{"quant_method":"fp8","fmt":"e4m3","activation_scheme":"dynamic","weight_block_size":[{{block}},{{block}}]}""")
            : JsonNode.Parse("""{"quant_method":"compressed-tensors","format":"float-quantized","config_groups":{"group_0":{"targets":["Linear"],"input_activations":{"num_bits":8,"type":"float"},"weights":{"num_bits":8,"type":"float","symmetric":true,"strategy":"KIND"}}},"ignore":["lm_head","score"]}""".Replace("KIND", kind, StringComparison.Ordinal));
        File.WriteAllText(config, root.ToJsonString());
        return values;

        void Add(string name, int[] shape)
        {
            int down = kind switch { "block" => (shape[0] + block - 1) / block, "channel" => shape[0], _ => 1 }, across = kind == "block" ? (shape[1] + block - 1) / block : 1;
            float[] scales = [.. Enumerable.Range(0, down * across).Select(_ => (0.5f + random.NextSingle()) / 500)];
            byte[] bytes = new byte[shape[0] * shape[1]];
            double[] meant = new double[bytes.Length];
            for (int i = 0; i < bytes.Length; i++)
            {
                do bytes[i] = (byte)random.Next(256); while ((bytes[i] & 0x7f) == 0x7f);
                int row = i / shape[1], column = i % shape[1];
                float scale = kind switch { "block" => scales[(row / block * across) + (column / block)], "channel" => scales[row], _ => scales[0] };
                meant[i] = Value(bytes[i]) * scale;
            }

            tensors.Add((name, "F8_E4M3", shape, bytes));
            byte[] stored = new byte[4 * scales.Length];
            for (int i = 0; i < scales.Length; i++) BinaryPrimitives.WriteSingleLittleEndian(stored.AsSpan(4 * i), scales[i]);
            tensors.Add((name + (kind == "block" ? "_scale_inv" : "_scale"), "F32", kind == "tensor" ? [1] : [down, across], stored));
            if (kind == "tensor") tensors.Add((name[..^"weight".Length] + "input_scale", "F32", [1], new byte[4]));
            values[name["model.".Length..]] = meant;
        }
    }

    /// <summary>The value of a byte of E4M3.</summary>
    public static double Value(byte bits)
    {
        int exponent = (bits >> 3) & 15;
        double magnitude = exponent == 0 ? (bits & 7) / 8.0 * Math.Pow(2, -6) : (1 + ((bits & 7) / 8.0)) * Math.Pow(2, exponent - 7);
        return bits < 128 ? magnitude : -magnitude;
    }

    private static byte[] Typed(List<(string Name, string Type, int[] Shape, byte[] Bytes)> tensors)
    {
        long offset = 0;
        byte[] header = JsonSerializer.SerializeToUtf8Bytes(tensors.ToDictionary(t => t.Name, t => new
        {
            dtype = t.Type,
            shape = t.Shape,
            data_offsets = (long[])[offset, offset += t.Bytes.Length],
        }));
        using MemoryStream file = new();
        byte[] length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
        file.Write(length);
        file.Write(header);
        foreach (var tensor in tensors) file.Write(tensor.Bytes);
        return file.ToArray();
    }
}
