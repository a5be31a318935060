using System.Buffers.Binary;
using System.Text.Json;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>
/// A safetensors file: 8 bytes of header length, a JSON header {name: {dtype, shape, data_offsets}}, the tensors' bytes.
/// The header is verified before anything is read. As the format requires, the tensors' byte ranges cover the file from the first to the
/// last byte without overlap or hole, and the length of each matches its shape and element type. Tensors of unsupported types (integers,
/// fp8) are an error only when they are requested.
/// </summary>
internal sealed class SafetensorsFile : ITensorFile
{
    /// <summary>Limit of the header's size in bytes, as in the reference implementation.</summary>
    private const long MaxHeader = 100_000_000;
    private const int MaxRank = 8;

    private readonly FileBytes _file;
    private readonly long _dataStart;
    private readonly Dictionary<string, Entry> _entries;

    private SafetensorsFile(FileBytes file)
    {
        _file = file;
        int headerLength = HeaderLength(file);
        _dataStart = 8 + headerLength;
        (_entries, Metadata) = JsonFile.Parse($"The header of {file.Path}", file.Copy(8, headerLength), ReadHeader);
        CheckRanges();
    }

    /// <inheritdoc/>
    public string Path => _file.Path;

    /// <inheritdoc/>
    public IReadOnlyCollection<string> Names => _entries.Keys;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Opens the file and verifies its header.</summary>
    /// <exception cref="CheckpointException">The file cannot be read, is truncated or damaged.</exception>
    public static SafetensorsFile Open(string path)
    {
        FileBytes file = FileBytes.Open(path);
        try
        {
            return new SafetensorsFile(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public bool Contains(string name) => _entries.ContainsKey(name);

    /// <inheritdoc/>
    public IReadOnlyList<int> Shape(string name) => _entries[name].Shape;

    /// <inheritdoc/>
    public CheckpointTensor Tensor(string name, string? shownAs = null)
    {
        if (!_entries.TryGetValue(name, out Entry? entry)) throw new CheckpointException($"{Path} has no tensor {name}.");
        if (ParseType(entry.Type) is not { } type)
            throw new CheckpointException(
                $"Tensor {name} of {Path} has elements of type {entry.Type}; LdlVk reads F32, F16, BF16, F64 and F8_E4M3. "
                + $"Use the checkpoint as published, not one quantized by another tool.");
        return new CheckpointTensor(shownAs ?? name, type, entry.Shape, _file, _dataStart + entry.Begin);
    }

    /// <inheritdoc/>
    public FileRange Range(string name, string type, int[] shape)
    {
        if (!_entries.TryGetValue(name, out Entry? entry)) throw new CheckpointException($"{Path} has no tensor {name}.");
        long bytes = ParseType(type)?.Bytes() ?? 1;
        foreach (int dimension in shape) bytes *= dimension;
        if (entry.Type != type || !entry.Shape.AsSpan().SequenceEqual(shape) || entry.End - entry.Begin != bytes)
            throw new CheckpointException(
                $"Tensor {name} of {Path} is {entry.Type} [{string.Join(", ", entry.Shape)}] of {entry.End - entry.Begin:N0} bytes, "
                + $"but {type} [{string.Join(", ", shape)}] of {bytes:N0} bytes is needed. "
                + $"The folder is damaged, or mixed from two models: convert the original again.");
        return new FileRange(_file, _dataStart + entry.Begin, bytes);
    }

    /// <inheritdoc/>
    public void Forget()
    {
        // Nothing is read into memory, unless the file is small.
    }

    /// <inheritdoc cref="FileBytes.CheckUnchanged"/>
    public void CheckUnchanged() => _file.CheckUnchanged();

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private static int HeaderLength(FileBytes file)
    {
        if (file.Length < 10)
            throw new CheckpointException($"{file.Path} has {file.Length} bytes, too few for a safetensors file. Download it again.");
        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(file.Copy(0, 8));
        if (length > MaxHeader)
            throw new CheckpointException(
                $"{file.Path} is not a safetensors file: it claims a header of {length:N0} bytes, and at most {MaxHeader:N0} are allowed.");
        if (length > (ulong)file.Length - 8)
            throw new CheckpointException(
                $"{file.Path} is truncated: its header should have {length:N0} bytes, but the whole file has {file.Length:N0}. "
                + $"Download it again.");
        return (int)length;
    }

    private static (Dictionary<string, Entry>, IReadOnlyDictionary<string, string>) ReadHeader(JsonField root)
    {
        Dictionary<string, Entry> entries = new(StringComparer.Ordinal);
        Dictionary<string, string> metadata = new(StringComparer.Ordinal);
        foreach (JsonProperty property in root.Members())
        {
            if (property.Name != "__metadata__")
            {
                entries.Add(property.Name, ReadEntry(root.Member("tensor " + Shown.Short(property.Name), property.Value)));
                continue;
            }
            if (property.Value.ValueKind == JsonValueKind.Null) continue;
            JsonField texts = root.Member(property.Name, property.Value);
            foreach (JsonProperty pair in texts.Members())
                metadata.Add(pair.Name, texts.Member(Shown.Short(pair.Name), pair.Value).String());
        }
        return (entries, metadata);
    }

    private static Entry ReadEntry(JsonField tensor)
    {
        JsonField shape = tensor.Get("shape"), offsets = tensor.Get("data_offsets");
        string type = Shown.Short(tensor.Get("dtype").String());
        int rank = shape.Items().Count();
        if (rank > MaxRank) throw shape.Damaged($"has {rank} dimensions; at most {MaxRank} are read");
        List<int> dimensions = new(rank);
        long count = 1;
        foreach (JsonElement item in shape.Items())
        {
            int size = shape.Member($"dimension {dimensions.Count}", item).Integer(0, int.MaxValue);
            // Far below 2⁶³, so that no product with an element's size can overflow.
            if (size != 0 && count > (1L << 56) / size)
                throw shape.Damaged($"is {Shown.Short(shape.Value.GetRawText())}, more elements than any file can hold");
            count *= size;
            dimensions.Add(size);
        }

        long[] range = [.. offsets.Items().Take(3)
            .Select(offset => offset.ValueKind == JsonValueKind.Number && offset.TryGetInt64(out long at) ? at : -1)];
        if (range is not [>= 0 and var begin, var end] || end < begin)
            throw offsets.Damaged($"is {Shown.Short(offsets.Value.GetRawText())}, no byte range");
        if (ParseType(type) is { } known && end - begin != count * known.Bytes())
            throw tensor.Damaged(
                $"has {end - begin:N0} bytes, "
                + $"but shape {Shown.Short(shape.Value.GetRawText())} of {type} needs {count * known.Bytes():N0}");
        return new Entry(type, [.. dimensions], begin, end);
    }

    private void CheckRanges()
    {
        long length = _file.Length - _dataStart, covered = 0;
        string previous = "the header";
        foreach ((string name, Entry entry) in _entries.OrderBy(pair => pair.Value.Begin).ThenBy(pair => pair.Value.End))
        {
            if (entry.End > length)
                throw new CheckpointException(
                    $"Tensor {Shown.Short(name)} of {Path} ends at byte {entry.End:N0} of the data, but only {length:N0} are there: "
                    + $"the file is truncated. Download it again.");
            if (entry.Begin < covered)
                throw Damaged(name, $"overlaps {previous}: it begins at byte {entry.Begin:N0} of the data, before byte {covered:N0}");
            if (entry.Begin > covered)
                throw Damaged(name, $"leaves a hole of {entry.Begin - covered:N0} bytes behind {previous}, which the format forbids");
            (covered, previous) = (entry.End, Shown.Short(name));
        }
        if (covered != length)
            throw new CheckpointException(
                $"{Path} has {length - covered:N0} bytes behind its last tensor ({previous}), which the format forbids. "
                + $"Download it again.");
    }

    private CheckpointException Damaged(string name, string what) =>
        new($"The header of {Path} is damaged: tensor {Shown.Short(name)} {what}. Download the file again.");

    private static ElementType? ParseType(string name) => name switch
    {
        "F32" => ElementType.Fp32,
        "F16" => ElementType.Fp16,
        "BF16" => ElementType.Bf16,
        "F64" => ElementType.Fp64,
        "F8_E4M3" => ElementType.Fp8E4M3,
        _ => null,
    };

    /// <summary>A tensor as described by the header; its byte range is relative to the end of the header.</summary>
    private sealed record Entry(string Type, int[] Shape, long Begin, long End);
}
