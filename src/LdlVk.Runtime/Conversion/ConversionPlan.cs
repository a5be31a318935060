using System.Buffers.Binary;
using System.Numerics;
using System.Text.Json;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;

namespace LdlVk.Runtime.Conversion;

/// <summary>A safetensors file that a conversion will write.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Header">The beginning of the file: length of the header, and header.</param>
/// <param name="Tensors">The tensors in file order.</param>
internal sealed record PlannedShard(string Name, byte[] Header, IReadOnlyList<PlannedTensor> Tensors)
{
    /// <summary>Size of the file in bytes.</summary>
    public long Bytes => Header.Length + TensorBytes;

    /// <summary>Size of the tensors in bytes.</summary>
    public long TensorBytes => Tensors.Sum(tensor => tensor.Bytes);

    /// <summary>Returns the safetensors files of the source that contain its tensors.</summary>
    public IReadOnlySet<string> Sources(Checkpoint checkpoint)
    {
        return Tensors.Select(tensor => checkpoint.FileOf(Unprefixed(tensor.Name)))
            .OfType<string>().ToHashSet(StringComparer.Ordinal);

        static string Unprefixed(string name) =>
            name.StartsWith(ConversionPlan.Prefix, StringComparison.Ordinal) ? name[ConversionPlan.Prefix.Length..] : name;
    }
}

/// <summary>
/// The files of a conversion: the embedding table, the layers in order, the final norm and the heads, cut between layers.
/// </summary>
/// <param name="Shards">The files.</param>
/// <param name="ChunkBytes">Size of a write in bytes: one row or more.</param>
internal sealed record ConversionPlan(IReadOnlyList<PlannedShard> Shards, int ChunkBytes)
{
    /// <summary>Target size of a shard in bytes. It limits the work that an interruption loses.</summary>
    public const long ShardBytes = 4L << 30;

    /// <summary>Offset of the first tensor in a file, and alignment of the tensors if their sizes allow it.</summary>
    private const int HeaderAlignment = 4096, TensorAlignment = 64;

    private const int MinChunk = 8 << 20;

    /// <summary>Prefix of the names of the backbone's tensors.</summary>
    internal const string Prefix = "model.";

    /// <summary>Size of all files in bytes.</summary>
    public long Bytes => Shards.Sum(shard => shard.Bytes);

    /// <summary>Plans the conversion of a checkpoint.</summary>
    public static ConversionPlan Of(Checkpoint checkpoint, ConvertedFormat format, long shardBytes)
    {
        List<List<PlannedTensor>> shards = [];
        long bytes = 0;
        foreach (IEnumerable<PlannedTensor> part in Parts(checkpoint, format.Weights))
        {
            List<PlannedTensor> tensors = [.. part];
            long partBytes = tensors.Sum(tensor => tensor.Bytes);
            if (shards.Count == 0 || bytes + partBytes > shardBytes)
            {
                shards.Add([]);
                bytes = 0;
            }
            shards[^1].AddRange(tensors);
            bytes += partBytes;
        }
        long row = BackboneTensors.Of(checkpoint.Config).Where(t => BackboneTensors.IsWeight(t.Name, t.Shape))
            .Max(t => WeightLayout.RowBytes(format.Weights, t.Shape[1]));
        return new ConversionPlan(
            [.. shards.Select((tensors, i) => Shard($"model-{i + 1:D5}-of-{shards.Count:D5}.safetensors", tensors, format))],
            checked((int)Math.Max(MinChunk, row)));
    }

    /// <summary>Returns the index of the folder, in the format of Hugging Face: the file of each tensor.</summary>
    public byte[] Index()
    {
        using MemoryStream buffer = new();
        using (Utf8JsonWriter json = new(buffer, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteStartObject("metadata");
            json.WriteNumber("total_size", Shards.Sum(shard => shard.TensorBytes));
            json.WriteEndObject();
            json.WriteStartObject("weight_map");
            foreach (PlannedShard shard in Shards)
                foreach (PlannedTensor tensor in shard.Tensors) json.WriteString(tensor.Name, shard.Name);
            json.WriteEndObject();
            json.WriteEndObject();
        }
        return buffer.ToArray();
    }

    /// <summary>The groups of tensors that must be in one file.</summary>
    private static IEnumerable<IEnumerable<PlannedTensor>> Parts(Checkpoint checkpoint, WeightFormat weights)
    {
        CheckpointTensor table = checkpoint.Embedding;
        const string Table = Prefix + BackboneTensors.Embedding;
        yield return [table.IsInFile ? PlannedTensor.Copy(Table, table) : PlannedTensor.Floats(Table, table)];
        for (int layer = 0; layer < checkpoint.Config.Layers; layer++)
        {
            string at = BackboneTensors.Layer(layer);
            yield return BackboneTensors.Of(checkpoint.Config).Where(t => t.Name.StartsWith(at, StringComparison.Ordinal))
                .SelectMany(t => BackboneTensors.IsWeight(t.Name, t.Shape)
                ? new PlannedWeight(Prefix + t.Name, t.Shape[0], t.Shape[1], weights, () => checkpoint.Weight(t.Name, weights)).Tensors()
                : [PlannedTensor.Vector(Prefix + t.Name, t.Shape[0], () => checkpoint.Vector(t.Name))]);
        }
        yield return [
            PlannedTensor.Vector(
                Prefix + BackboneTensors.FinalNorm, checkpoint.Config.HiddenSize, () => checkpoint.Vector(BackboneTensors.FinalNorm)),
            .. checkpoint.Head.Tensors.Select(t => PlannedTensor.Floats(t.Name, t.Tensor))];
    }

    /// <summary>
    /// Lays out the tensors of a file. safetensors allows no holes between tensors, so tensors of odd sizes, which would misalign the
    /// following ones, come last. Each tensor is then aligned to the power of two in its size, up to <see cref="TensorAlignment"/>.
    /// </summary>
    private static PlannedShard Shard(string name, List<PlannedTensor> tensors, ConvertedFormat format)
    {
        int alignment = BitOperations.TrailingZeroCount(TensorAlignment);
        PlannedTensor[] ordered =
            [.. tensors.OrderByDescending(tensor => Math.Min(BitOperations.TrailingZeroCount(tensor.Bytes), alignment))];
        using MemoryStream buffer = new();
        using (Utf8JsonWriter json = new(buffer))
        {
            json.WriteStartObject();
            json.WriteStartObject("__metadata__");
            foreach ((string key, string text) in format.Metadata()) json.WriteString(key, text);
            json.WriteEndObject();
            long offset = 0;
            foreach (PlannedTensor tensor in ordered)
            {
                json.WriteStartObject(tensor.Name);
                json.WriteString("dtype", tensor.Type);
                json.WriteStartArray("shape");
                foreach (int dimension in tensor.Shape) json.WriteNumberValue(dimension);
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(offset);
                json.WriteNumberValue(offset += tensor.Bytes);
                json.WriteEndArray();
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }

        byte[] header = new byte[(sizeof(long) + (int)buffer.Length + HeaderAlignment - 1) / HeaderAlignment * HeaderAlignment];
        BinaryPrimitives.WriteInt64LittleEndian(header, header.Length - sizeof(long));
        header.AsSpan(sizeof(long)).Fill((byte)' ');
        buffer.ToArray().CopyTo(header, sizeof(long));
        return new PlannedShard(name, header, ordered);
    }
}
