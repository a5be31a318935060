using System.Buffers.Binary;
using System.Text.Json;

namespace LdlVk.Testing;

/// <summary>Models with another head than they had: a backbone of the references with tensors of the test's beside it.</summary>
public static class OtherHead
{
    /// <summary>A tensor in fp32.</summary>
    public sealed record Tensor(string Name, int[] Shape, float[] Values);

    /// <summary>
    /// The project's small model with a linear head as Skywork-Reward-Gemma-2 has it, which gives the score alone: tokenizer, template and
    /// backbone are ldl-mini's, the weights any.
    /// </summary>
    public static void WriteScoreAlone(string folder)
    {
        const int hidden = 256;
        Write(folder, Repository.Path("models", "ldl-mini"), [new Tensor("score.weight", [1, hidden], [.. Enumerable.Range(0, hidden).Select(i => MathF.Sin(i) / 16)])]);
    }

    /// <summary>Copies a model's folder without its head, and puts the tensors into a file of their own.</summary>
    public static void Write(string folder, string from, IReadOnlyList<Tensor> tensors)
    {
        const string Head = "head.safetensors";
        Directory.CreateDirectory(folder);
        foreach (string path in Directory.GetFiles(from, "*.json")) File.Copy(path, Path.Combine(folder, Path.GetFileName(path)));
        foreach (string path in Directory.GetFiles(from, "*.safetensors")) File.Copy(path, Path.Combine(folder, Backbone(Path.GetFileName(path))));
        WriteTensors(Path.Combine(folder, Head), tensors);
        File.WriteAllText(Path.Combine(folder, "model.safetensors.index.json"), JsonSerializer.Serialize(new
        {
            weight_map = Names(from).Where(t => t.Name.StartsWith("model.", StringComparison.Ordinal)).Select(t => (t.Name, Backbone(t.File)))
                .Concat(tensors.Select(t => (t.Name, Head))).ToDictionary(),
        }));
    }

    /// <summary>Writes a safetensors file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="tensors">Its tensors.</param>
    /// <param name="other">A tensor of another element type; null for none.</param>
    /// <param name="type">The type of <paramref name="other"/>: F16 or BF16.</param>
    public static void WriteTensors(string path, IReadOnlyList<Tensor> tensors, Tensor? other = null, string type = "F16")
    {
        using FileStream file = File.Create(path);
        long offset = 0;
        (Tensor Tensor, string Type, int Size)[] all =
            [.. tensors.Select(t => (t, "F32", sizeof(float))), .. other is null ? ((Tensor, string, int)[])[] : [(other, type, 2)]];
        byte[] header = JsonSerializer.SerializeToUtf8Bytes(all.ToDictionary(t => t.Tensor.Name, t => new
        {
            dtype = t.Type,
            shape = t.Tensor.Shape,
            data_offsets = (long[])[offset, offset += t.Size * t.Tensor.Values.Length],
        }));
        Span<byte> number = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(number, header.Length);
        file.Write(number);
        file.Write(header);
        foreach (float value in tensors.SelectMany(t => t.Values))
        {
            BinaryPrimitives.WriteSingleLittleEndian(number, value);
            file.Write(number[..sizeof(float)]);
        }

        foreach (float value in other?.Values ?? [])
        {
            if (type == "F16") BinaryPrimitives.WriteHalfLittleEndian(number, (Half)value);
            else BinaryPrimitives.WriteUInt16LittleEndian(number, (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16));
            file.Write(number[..2]);
        }
    }

    /// <summary>Every tensor of a model's folder, in fp32, without the counters of normalizations.</summary>
    public static IReadOnlyList<Tensor> ReadAll(string folder) => [.. Names(folder)
        .Where(tensor => !tensor.Name.EndsWith(".num_batches_tracked", StringComparison.Ordinal)).Select(tensor => Read(folder, tensor.Name))];

    /// <summary>A tensor of a model's folder, in fp32.</summary>
    public static Tensor Read(string folder, string name)
    {
        byte[] bytes = File.ReadAllBytes(Path.Combine(folder, Names(folder).First(t => t.Name == name).File));
        JsonElement tensor = Header(bytes).GetProperty(name);
        int start = sizeof(long) + (int)BinaryPrimitives.ReadInt64LittleEndian(bytes);
        int from = start + tensor.GetProperty("data_offsets")[0].GetInt32(), to = start + tensor.GetProperty("data_offsets")[1].GetInt32();
        return new Tensor(name, [.. tensor.GetProperty("shape").EnumerateArray().Select(d => d.GetInt32())], tensor.GetProperty("dtype").GetString() switch
        {
            "F32" => [.. Enumerable.Range(0, (to - from) / 4).Select(i => BinaryPrimitives.ReadSingleLittleEndian(bytes.AsSpan(from + (4 * i))))],
            "BF16" => [.. Enumerable.Range(0, (to - from) / 2).Select(i => BitConverter.Int32BitsToSingle(BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(from + (2 * i))) << 16))],
            "F16" => [.. Enumerable.Range(0, (to - from) / 2).Select(i => (float)BinaryPrimitives.ReadHalfLittleEndian(bytes.AsSpan(from + (2 * i))))],
            string type => throw new NotSupportedException(type),
            null => throw new InvalidDataException(name),
        });
    }

    /// <summary>Not model.safetensors, which would be all of the model.</summary>
    private static string Backbone(string file) => "backbone-" + file;

    private static IEnumerable<(string Name, string File)> Names(string folder) => Directory.GetFiles(folder, "*.safetensors")
        .SelectMany(path => Header(File.ReadAllBytes(path)).EnumerateObject().Where(p => p.Name != "__metadata__").Select(p => (p.Name, Path.GetFileName(path))));

    private static JsonElement Header(byte[] bytes)
    {
        using JsonDocument header = JsonDocument.Parse(bytes.AsMemory(sizeof(long), (int)BinaryPrimitives.ReadInt64LittleEndian(bytes)));
        return header.RootElement.Clone();
    }
}
