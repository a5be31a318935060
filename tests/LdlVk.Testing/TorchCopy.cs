using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using System.Text.Json;

namespace LdlVk.Testing;

/// <summary>Writes a model's safetensors files anew as the files that torch.save writes.</summary>
public static class TorchCopy
{
    /// <summary>Replaces the safetensors files of a folder, and their index, by files of PyTorch with the same tensors.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="strided">Whether a matrix is stored transposed, behind an element of something else.</param>
    public static void Replace(string folder, bool strided = false)
    {
        foreach (string path in Directory.GetFiles(folder, "model*.safetensors"))
        {
            File.WriteAllBytes(Path.Combine(folder, Name(Path.GetFileName(path))), Torch(File.ReadAllBytes(path), strided));
            File.Delete(path);
        }

        string index = Path.Combine(folder, "model.safetensors.index.json");
        if (!File.Exists(index)) return;
        File.WriteAllText(
            Path.Combine(folder, "pytorch_model.bin.index.json"),
            File.ReadAllText(index).Replace("\"model-", "\"pytorch_model-", StringComparison.Ordinal).Replace(".safetensors\"", ".bin\"", StringComparison.Ordinal));
        File.Delete(index);
    }

    /// <summary>The bytes of a file that torch.save writes, with the tensors of a safetensors file.</summary>
    public static byte[] Torch(byte[] safetensors, bool strided = false)
    {
        int length = (int)BinaryPrimitives.ReadInt64LittleEndian(safetensors);
        using JsonDocument header = JsonDocument.Parse(safetensors.AsMemory(8, length));
        using MemoryStream pickle = new();
        List<byte[]> storages = [];
        Raw(0x80, 2);
        Ascii("ccollections\nOrderedDict\n)R(");
        foreach (JsonProperty tensor in header.RootElement.EnumerateObject().Where(p => p.Name != "__metadata__"))
        {
            (string type, int size) = tensor.Value.GetProperty("dtype").GetString() switch
            {
                "F32" => ("FloatStorage", 4),
                "F16" => ("HalfStorage", 2),
                "BF16" => ("BFloat16Storage", 2),
                _ => ("DoubleStorage", 8),
            };
            int[] shape = [.. tensor.Value.GetProperty("shape").EnumerateArray().Select(d => d.GetInt32())];
            int begin = tensor.Value.GetProperty("data_offsets")[0].GetInt32(), end = tensor.Value.GetProperty("data_offsets")[1].GetInt32();
            byte[] bytes = safetensors[(8 + length + begin)..(8 + length + end)];
            int[] strides = new int[shape.Length];
            for (int d = shape.Length - 1, step = 1; d >= 0; step *= shape[d--]) strides[d] = step;
            int offset = 0;
            if (strided && shape.Length == 2)
            {
                (strides, offset) = ([1, shape[0]], 1);
                byte[] transposed = new byte[bytes.Length + size];
                for (int row = 0; row < shape[0]; row++)
                    for (int column = 0; column < shape[1]; column++)
                        bytes.AsSpan(((row * shape[1]) + column) * size, size).CopyTo(transposed.AsSpan(((column * shape[0]) + row + 1) * size));
                bytes = transposed;
            }

            Text(tensor.Name);
            Ascii("ctorch._utils\n_rebuild_tensor_v2\n((");
            Text("storage");
            Ascii($"ctorch\n{type}\n");
            Text(storages.Count.ToString(System.Globalization.CultureInfo.InvariantCulture));
            Text("cpu");
            Number(bytes.Length / size);
            Ascii("tQ");
            Number(offset);
            Numbers(shape);
            Numbers(strides);
            Raw(0x89);
            Ascii("ccollections\nOrderedDict\n)RtR");
            storages.Add(bytes);
        }

        Ascii("u.");
        using MemoryStream file = new();
        using (ZipArchive zip = new(file, ZipArchiveMode.Create, leaveOpen: true))
        {
            Add("archive/data.pkl", pickle.ToArray());
            Add("archive/byteorder", "little"u8.ToArray());
            for (int i = 0; i < storages.Count; i++) Add($"archive/data/{i}", storages[i]);

            void Add(string name, byte[] bytes)
            {
                using Stream entry = zip.CreateEntry(name, CompressionLevel.NoCompression).Open();
                entry.Write(bytes);
            }
        }

        return file.ToArray();

        void Raw(params ReadOnlySpan<byte> bytes) => pickle.Write(bytes);
        void Ascii(string text) => pickle.Write(Encoding.ASCII.GetBytes(text));
        void Text(string text)
        {
            byte[] utf8 = Encoding.UTF8.GetBytes(text), count = new byte[4];
            BinaryPrimitives.WriteInt32LittleEndian(count, utf8.Length);
            Raw((byte)'X');
            Raw(count);
            Raw(utf8);
        }

        void Number(int value)
        {
            byte[] bytes = new byte[4];
            BinaryPrimitives.WriteInt32LittleEndian(bytes, value);
            Raw((byte)'J');
            Raw(bytes);
        }

        void Numbers(int[] values)
        {
            Ascii("(");
            foreach (int value in values) Number(value);
            Ascii("t");
        }
    }

    private static string Name(string safetensors) => "pytorch_" + Path.ChangeExtension(safetensors, ".bin");
}
