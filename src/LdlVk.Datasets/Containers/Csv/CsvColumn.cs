using System.Text;
using System.Text.Json;
using LdlVk.Datasets.Containers.Json;
using LdlVk.Datasets.Items;

namespace LdlVk.Datasets.Containers.Csv;

/// <summary>
/// A column of CSV, whose cells have no types. The field decides: texts are texts, also where they look like JSON or numbers; fields that
/// can only be lists are JSON; other fields are JSON where their cell is. A field that may be a text or a list of messages is what its
/// first cell is, and a cell of the other kind is an error.
/// </summary>
internal sealed class CsvColumn
{
    private static readonly string[] PythonStarts = ["[{'role'", "[{'content'", "[{'from'", "[{'value'"];

    private readonly string _name;
    private readonly byte[] _quotedName;
    private readonly Kind _kind;
    private byte[] _utf8 = [];
    private bool? _hasMessages;

    /// <param name="name">The name in the header.</param>
    /// <param name="part">The part of an item that it is; null if none.</param>
    public CsvColumn(string name, ItemPart? part)
    {
        (_name, _quotedName) = (name, JsonText.Quoted(name));
        _kind = part switch
        {
            ItemPart.Messages or ItemPart.History or ItemPart.Responses or ItemPart.InputIds => Kind.List,
            ItemPart.Prompt or ItemPart.Response or ItemPart.Chosen or ItemPart.Rejected or ItemPart.First or ItemPart.Second =>
                Kind.TextOrMessages,
            ItemPart.Input or ItemPart.System or ItemPart.Text => Kind.Text,
            _ => name switch { "id" => Kind.Id, "subset" or "domain" => Kind.Text, _ => Kind.Any },
        };
    }

    private enum Kind
    {
        Text, TextOrMessages, List, Id, Any,
    }

    /// <summary>Writes a cell as a field.</summary>
    /// <returns>The reason why the cell cannot be read, as a sentence; null if it can.</returns>
    public string? Write(ReadOnlySpan<char> cell, JsonText json)
    {
        json.Raw(_quotedName);
        json.Raw(":"u8);
        if (cell.IsEmpty)
        {
            json.Raw("null"u8);
            return null;
        }

        ReadOnlySpan<byte> utf8 = Encode(cell);
        switch (_kind)
        {
            case Kind.List or Kind.TextOrMessages when StartsAsPython(cell):
                return $"{_name} is a list as Python prints it, which is not JSON. "
                    + "Write it with json.dumps, or save the data set as Parquet.";
            case Kind.TextOrMessages:
                bool hasMessages = IsMessages(utf8);
                _hasMessages ??= hasMessages;
                if (hasMessages != _hasMessages)
                    return hasMessages
                        ? $"{_name} is a JSON list of messages here and a text in the lines before, so it is not clear what it is."
                        : $"{_name} is a text here and a JSON list of messages in the lines before, so it is not clear what it is.";
                if (!hasMessages || !json.TryValue(utf8)) json.String(utf8);
                return null;
            case Kind.Id:
                if (!IsPlainInteger(utf8)) json.String(utf8);
                else json.Raw(utf8);
                return null;
            case Kind.List or Kind.Any when json.TryValue(utf8):
                return null;
            default:
                json.String(utf8);
                return null;
        }
    }

    private static bool StartsAsPython(ReadOnlySpan<char> cell)
    {
        ReadOnlySpan<char> text = cell.TrimStart();
        foreach (string start in PythonStarts)
            if (text.StartsWith(start, StringComparison.Ordinal)) return true;
        return false;
    }

    /// <summary>Whether a cell is a JSON list of objects, each with a role and a content.</summary>
    private bool IsMessages(ReadOnlySpan<byte> utf8)
    {
        int at = JsonScan.SkipWhite(utf8, 0);
        if (at >= utf8.Length || utf8[at] != '[') return false;
        at = JsonScan.SkipWhite(utf8, at + 1);
        if (at >= utf8.Length || utf8[at] != '{') return false;
        try
        {
            using JsonDocument json = JsonDocument.Parse(_utf8.AsMemory(0, utf8.Length));
            return json.RootElement.EnumerateArray().All(message => message.ValueKind == JsonValueKind.Object
                && ((message.TryGetProperty("role", out _) && message.TryGetProperty("content", out _))
                    || (message.TryGetProperty("from", out _) && message.TryGetProperty("value", out _))));
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>Whether a cell is a whole number that has one spelling: 7, and not 007 or 7.0.</summary>
    private static bool IsPlainInteger(ReadOnlySpan<byte> utf8) =>
        utf8.Length <= 18 && utf8.IndexOfAnyExceptInRange((byte)'0', (byte)'9') < 0 && (utf8.Length == 1 || utf8[0] != '0');

    private ReadOnlySpan<byte> Encode(ReadOnlySpan<char> cell)
    {
        if (_utf8.Length < 3 * cell.Length) _utf8 = new byte[Encoding.UTF8.GetMaxByteCount(cell.Length)];
        return _utf8.AsSpan(0, Encoding.UTF8.GetBytes(cell, _utf8));
    }
}
