using System.Text.Json;
using LdlVk.Datasets.Items;

namespace LdlVk.Cli.Output;

/// <summary>One indented JSON object on standard output, written when it is disposed.</summary>
internal sealed class JsonDocumentWriter : IDisposable
{
    private readonly MemoryStream _buffer = new();
    private readonly Terminal _terminal;

    public JsonDocumentWriter(Terminal terminal)
    {
        _terminal = terminal;
        Json = new Utf8JsonWriter(_buffer, RewardJson.Indented);
        Json.WriteStartObject();
    }

    /// <summary>Writes the object's members.</summary>
    public Utf8JsonWriter Json { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        Json.WriteEndObject();
        Json.Dispose();
        _buffer.WriteByte((byte)'\n');
        _terminal.Out.Write(_buffer.ToArray());
    }
}
