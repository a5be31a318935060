namespace LdlVk.Datasets.Containers.Json;

/// <summary>Finds the ends of JSON values. Only strings and brackets are looked at; who parses a value checks the rest.</summary>
internal static class JsonScan
{
    /// <summary>Returns the index behind white space.</summary>
    public static int SkipWhite(ReadOnlySpan<byte> json, int at)
    {
        int length = json[at..].IndexOfAnyExcept(" \t\r\n"u8);
        return length < 0 ? json.Length : at + length;
    }

    /// <summary>Returns the index behind the value that begins at <paramref name="at"/>; -1 if its end is not there.</summary>
    public static int EndOfValue(ReadOnlySpan<byte> json, int at)
    {
        int depth = 0;
        while (at < json.Length)
        {
            switch (json[at])
            {
                case (byte)'"':
                    at = EndOfString(json, at);
                    if (at < 0 || depth == 0) return at;
                    break;
                case (byte)'{' or (byte)'[':
                    depth++;
                    at++;
                    break;
                case (byte)'}' or (byte)']':
                    at++;
                    if (--depth <= 0) return depth == 0 ? at : at - 1;
                    break;
                case (byte)',' or (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n' when depth == 0:
                    return at;
                default:
                    int next = json[at..].IndexOfAny(Ends);
                    if (next < 0) return -1;
                    at += Math.Max(next, depth > 0 ? 1 : 0);
                    break;
            }
        }

        return -1;
    }

    private static readonly System.Buffers.SearchValues<byte> Ends = System.Buffers.SearchValues.Create("\"{}[], \t\r\n"u8);

    /// <summary>Returns the index behind the string that begins at <paramref name="at"/>; -1 if its end is not there.</summary>
    public static int EndOfString(ReadOnlySpan<byte> json, int at)
    {
        for (at++; at < json.Length;)
        {
            int next = json[at..].IndexOfAny((byte)'"', (byte)'\\');
            if (next < 0) return -1;
            at += next;
            if (json[at] == '"') return at + 1;
            at += 2;
        }

        return -1;
    }
}
