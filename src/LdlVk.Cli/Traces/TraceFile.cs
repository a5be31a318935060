using System.Buffers.Binary;
using System.Text.Json;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Traces;

/// <summary>One named intermediate.</summary>
/// <param name="Shape">Its dimensions.</param>
/// <param name="Values">Its elements, row-major.</param>
internal sealed record TracedTensor(int[] Shape, double[] Values);

/// <summary>A trace file: the named intermediates of one or more texts, in the order of the file.</summary>
internal sealed class TraceFile : IDisposable
{
    private readonly string _path;
    private readonly JsonDocument _json;

    private TraceFile(string path, JsonDocument json) => (_path, _json) = (path, json);

    /// <summary>Reads a file.</summary>
    /// <exception cref="UsageException">The file does not exist, or is not a trace.</exception>
    public static TraceFile Open(string path)
    {
        if (!File.Exists(path)) throw new UsageException($"There is no trace file {path}.");
        try
        {
            using FileStream file = File.OpenRead(path);
            var trace = new TraceFile(path, JsonDocument.Parse(file, new JsonDocumentOptions { AllowDuplicateProperties = false }));
            if (trace._json.RootElement.ValueKind != JsonValueKind.Object)
                throw trace.Wrong("the file is not an object {input name: {tensor name: …}}");
            return trace;
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException or InvalidOperationException
            or ArgumentException or OutOfMemoryException)
        {
            throw new UsageException($"{path} is not a readable trace: {Readable.OneLine(e.Message)}", e);
        }
    }

    /// <summary>Names of the texts.</summary>
    public IEnumerable<string> Inputs() => _json.RootElement.EnumerateObject().Select(p => p.Name);

    /// <summary>Names of a text's intermediates, in order; empty if there is no such text.</summary>
    public IReadOnlyList<string> Tensors(string input)
    {
        if (!_json.RootElement.TryGetProperty(input, out JsonElement tensors)) return [];
        if (tensors.ValueKind != JsonValueKind.Object) throw Wrong($"input {input} is not an object of tensors");
        return [.. tensors.EnumerateObject().Select(p => p.Name)];
    }

    /// <summary>Reads one intermediate.</summary>
    /// <exception cref="UsageException">It is not well-formed.</exception>
    public TracedTensor Read(string input, string name)
    {
        JsonElement tensor = _json.RootElement.GetProperty(input).GetProperty(name);
        if (tensor.ValueKind != JsonValueKind.Object
            || !tensor.TryGetProperty("dtype", out JsonElement type) || type.ValueKind != JsonValueKind.String
            || !tensor.TryGetProperty("shape", out JsonElement shape) || shape.ValueKind != JsonValueKind.Array
            || !tensor.TryGetProperty("base64", out JsonElement data) || data.ValueKind != JsonValueKind.String)
            throw Wrong($"{input} / {name} lacks dtype, shape or base64");
        if (!data.TryGetBytesFromBase64(out byte[]? bytes)) throw Wrong($"{input} / {name} is not valid base64");
        int size = type.GetString() switch
        {
            "f32le" => 4,
            "f64le" => 8,
            string other => throw Wrong($"{input} / {name} has the dtype {other}; f32le and f64le are read"),
            null => throw Wrong($"{input} / {name} has no dtype"),
        };

        int[] dimensions = new int[shape.GetArrayLength()];
        long count = 1;
        for (int i = 0; i < dimensions.Length; i++)
        {
            if (shape[i].ValueKind != JsonValueKind.Number || !shape[i].TryGetInt32(out dimensions[i]) || dimensions[i] < 0)
                throw Wrong($"{input} / {name} has an impossible shape");
            count = Math.Min(count * dimensions[i], int.MaxValue);
        }

        if (count * size != bytes.Length) throw Wrong($"{input} / {name} has {bytes.Length} bytes, but its shape needs {count * size}");
        double[] values = new double[count];
        for (int i = 0; i < values.Length; i++)
            values[i] = size == 4
                ? BinaryPrimitives.ReadSingleLittleEndian(bytes.AsSpan(i * 4))
                : BinaryPrimitives.ReadDoubleLittleEndian(bytes.AsSpan(i * 8));
        return new TracedTensor(dimensions, values);
    }

    /// <inheritdoc/>
    public void Dispose() => _json.Dispose();

    private UsageException Wrong(string what) => new($"{_path} is not a trace: {what}.");
}
