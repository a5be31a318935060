using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using LdlVk.Datasets.Items;

namespace LdlVk.Datasets.Containers.Json;

/// <summary>Writes one line of JSON, the same bytes for the same values in all versions: runs that go on compare them.</summary>
internal sealed class JsonText
{
    private static readonly SearchValues<byte> Escaped =
        SearchValues.Create([.. Enumerable.Range(0, 32).Select(i => (byte)i), (byte)'"', (byte)'\\']);

    private byte[] _bytes = new byte[1 << 12];
    private int _length;

    /// <summary>The line so far.</summary>
    public ReadOnlyMemory<byte> Bytes => IsTooLong ? default : _bytes.AsMemory(0, _length);

    /// <summary>Whether it is longer than a line may be; what comes then is left out.</summary>
    public bool IsTooLong => _length > LineReader.MaxLineBytes;

    /// <summary>Length of the line so far.</summary>
    public int Length => _length;

    /// <summary>A name as JSON.</summary>
    public static byte[] Quoted(string name)
    {
        JsonText text = new();
        text.String(Encoding.UTF8.GetBytes(name));
        return text.Bytes.ToArray();
    }

    /// <summary>
    /// Returns the error of a table whose ids have no form in JSON. Left out, each row would silently have its number as its id.
    /// </summary>
    public static NotSupportedException IdIsLeftOut() => new(
        "its column id has a type without a form in JSON, such as decimal or UUID. Write the ids as integers or strings.");

    /// <summary>Begins a new line.</summary>
    public void Clear() => _length = 0;

    /// <summary>Appends what is JSON already.</summary>
    public void Raw(ReadOnlySpan<byte> bytes)
    {
        if (IsTooLong) return;
        if (bytes.Length > LineReader.MaxLineBytes)
        {
            _length = LineReader.MaxLineBytes + 1;
            return;
        }

        if (_bytes.Length - _length < bytes.Length) Array.Resize(ref _bytes, _length + Math.Max(bytes.Length, _length));
        bytes.CopyTo(_bytes.AsSpan(_length));
        _length += bytes.Length;
    }

    /// <summary>Appends a whole number.</summary>
    public void Number(long value) => Raw(Encoding.ASCII.GetBytes(value.ToString(CultureInfo.InvariantCulture)));

    /// <summary>Appends a number without a sign.</summary>
    public void Number(ulong value) => Raw(Encoding.ASCII.GetBytes(value.ToString(CultureInfo.InvariantCulture)));

    /// <summary>Appends a number, or null for what JSON has no form for.</summary>
    public void Number(double value, bool isSingle)
    {
        string text = isSingle
            ? ((float)value).ToString("R", CultureInfo.InvariantCulture)
            : value.ToString("R", CultureInfo.InvariantCulture);
        Raw(double.IsFinite(value) ? Encoding.ASCII.GetBytes(text) : "null"u8);
    }

    /// <summary>Appends a text that is one JSON value, on one line; false, and nothing appended, if it is not.</summary>
    public bool TryValue(ReadOnlySpan<byte> utf8)
    {
        Utf8JsonReader reader = new(utf8);
        try
        {
            // A second value is an error of the reader, so that no text can add a field to its row.
            while (reader.Read())
            {
            }
        }
        catch (JsonException)
        {
            return false;
        }

        // Line ends of valid JSON stand between its tokens only.
        while (utf8.IndexOfAny((byte)'\n', (byte)'\r') is >= 0 and var at)
        {
            Raw(utf8[..at]);
            Raw(" "u8);
            utf8 = utf8[(at + 1)..];
        }

        Raw(utf8);
        return true;
    }

    /// <summary>
    /// Appends bytes of a column: as the JSON value that they are, as a string, or as <see cref="JsonFields.BytesMark"/> if they are not
    /// text. As null, a system message in Latin-1 would be missing from the text that is scored.
    /// </summary>
    /// <param name="bytes">The bytes.</param>
    /// <param name="isJson">Whether the column says that its texts are JSON.</param>
    /// <param name="isText">Whether the column says that its bytes are text.</param>
    public void Text(ReadOnlySpan<byte> bytes, bool isJson, bool isText)
    {
        if (isJson && TryValue(bytes)) return;
        if (isText || Utf8.IsValid(bytes)) String(bytes);
        else Raw(JsonFields.BytesMark);
    }

    /// <summary>Appends a string. What is not UTF-8 stays so: whoever parses the line says that.</summary>
    public void String(ReadOnlySpan<byte> utf8)
    {
        Raw("\""u8);
        while (utf8.IndexOfAny(Escaped) is >= 0 and var at)
        {
            Raw(utf8[..at]);
            if (utf8[at] is (byte)'"' or (byte)'\\') Raw([(byte)'\\', utf8[at]]);
            else Raw(Encoding.ASCII.GetBytes($"\\u{utf8[at]:x4}"));
            utf8 = utf8[(at + 1)..];
        }

        Raw(utf8);
        Raw("\""u8);
    }
}
