using System.Runtime.InteropServices;
using System.Text.Json;
using LdlVk.Datasets.Items;
using LdlVk.Runtime.Devices;

namespace LdlVk.Cli.Traces;

/// <summary>
/// Writes the intermediates of one text as <c>{input name: {tensor name: {"dtype":"f32le","shape":[…],"base64":…}}}</c>. Each is
/// written immediately, so that only one is in memory.
/// </summary>
internal sealed class TraceWriter : ITrace, IDisposable
{
    private readonly Utf8JsonWriter _json;

    public TraceWriter(Stream output, string inputName)
    {
        _json = new Utf8JsonWriter(output, RewardJson.Compact);
        _json.WriteStartObject();
        _json.WriteStartObject(inputName);
    }

    /// <inheritdoc/>
    public void Record(string name, IDevice device, ITensor tensor)
    {
        float[] values = new float[tensor.Rows * tensor.Columns];
        device.Read(tensor, values);
        _json.WriteStartObject(name);
        _json.WriteString("dtype", "f32le");
        _json.WriteStartArray("shape");
        _json.WriteNumberValue(tensor.Rows);
        _json.WriteNumberValue(tensor.Columns);
        _json.WriteEndArray();
        _json.WritePropertyName("base64");
        WriteBase64(MemoryMarshal.AsBytes(values.AsSpan()));
        _json.WriteEndObject();
        _json.Flush();
    }

    /// <summary>Ends the file.</summary>
    public void Complete()
    {
        _json.WriteEndObject();
        _json.WriteEndObject();
        _json.Flush();
    }

    /// <inheritdoc/>
    public void Dispose() => _json.Dispose();

    /// <summary>Writes base64 in parts, because the JSON writer accepts at most 125 MB at a time.</summary>
    private void WriteBase64(ReadOnlySpan<byte> bytes)
    {
        const int Piece = 3 << 20;
        while (bytes.Length > Piece)
        {
            _json.WriteBase64StringSegment(bytes[..Piece], isFinalSegment: false);
            _json.Flush();
            bytes = bytes[Piece..];
        }

        _json.WriteBase64StringSegment(bytes, isFinalSegment: true);
    }
}
