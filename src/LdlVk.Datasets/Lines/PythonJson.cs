using System.Buffers;

namespace LdlVk.Datasets.Lines;

/// <summary>
/// JSON as Python's <c>json.dumps</c> writes it: with NaN, Infinity and -Infinity, which are not JSON. They are read as null, as a field
/// with such a value is no text.
/// </summary>
internal static class PythonJson
{
    /// <summary>Returns a line with null for each such number; null if it has none.</summary>
    public static ReadOnlyMemory<byte>? WithNulls(ReadOnlySpan<byte> line)
    {
        ArrayBufferWriter<byte>? written = null;
        bool isString = false;
        int copied = 0;
        for (int i = 0; i < line.Length; i++)
        {
            if (isString)
            {
                if (line[i] == '\\') i++;
                else if (line[i] == '"') isString = false;
                continue;
            }

            if (line[i] == '"') isString = true;
            if (line[i] is not ((byte)'N' or (byte)'I' or (byte)'-') || Length(line[i..]) is not (> 0 and var length)) continue;
            written ??= new ArrayBufferWriter<byte>(line.Length + 16);
            written.Write(line[copied..i]);
            written.Write("null"u8);
            copied = i + length;
            i = copied - 1;
        }

        if (written is null) return null;
        written.Write(line[copied..]);
        return written.WrittenMemory;
    }

    private static int Length(ReadOnlySpan<byte> text) =>
        text.StartsWith("NaN"u8) ? 3 : text.StartsWith("Infinity"u8) ? 8 : text.StartsWith("-Infinity"u8) ? 9 : 0;
}
