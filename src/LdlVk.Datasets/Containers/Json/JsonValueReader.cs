namespace LdlVk.Datasets.Containers.Json;

/// <summary>
/// Cuts an input into JSON values: the elements of an array, or objects one after another over several lines each, as <c>jq</c> writes
/// them. It has memory for one value. Only strings and brackets are looked at.
/// </summary>
/// <param name="input">The input.</param>
internal sealed class JsonValueReader(InputBuffer input)
{
    /// <summary>Returns the elements of an array.</summary>
    public IEnumerable<RawLine> Elements()
    {
        input.Skip(JsonScan.SkipWhite(input.Held, 0) + 1);
        long number = 0;
        int depth = 0, scanned = 0;
        bool isString = false, skipping = false;
        while (true)
        {
            if (scanned == input.Length)
            {
                if (!More(ref scanned, ref skipping))
                    throw new UsageException("The input is a JSON array that does not end: a part of the file is missing.");
                continue;
            }

            if (IsInString(ref scanned, ref isString)) continue;
            byte b = input.Held[scanned];
            if (depth == 0 && b is (byte)',' or (byte)']')
            {
                RawLine element = Value(number, scanned, skipping);
                bool isLast = b == ']';
                if (!isLast || !IsWhite(element)) yield return element;
                input.Skip(scanned + 1);
                (scanned, skipping) = (0, false);
                number++;
                if (!isLast) continue;
                CheckEnd();
                yield break;
            }

            depth += Step(b);
            scanned++;
        }
    }

    /// <summary>Returns objects one after another, with white space between them.</summary>
    public IEnumerable<RawLine> Objects()
    {
        long number = 0;
        int depth = 0, scanned = 0;
        bool isString = false, skipping = false;
        while (true)
        {
            if (scanned == input.Length)
            {
                if (More(ref scanned, ref skipping)) continue;
                RawLine rest = Value(number, scanned, skipping);
                if (!IsWhite(rest)) yield return rest;
                yield break;
            }

            if (IsInString(ref scanned, ref isString)) continue;
            byte b = input.Held[scanned++];
            depth += Step(b);
            if (depth > 0 || b is not (byte)'}') continue;
            yield return Value(number++, scanned, skipping);
            input.Skip(scanned);
            (depth, scanned, skipping) = (0, 0, false);
        }
    }

    private static int Step(byte b) => b is (byte)'{' or (byte)'[' ? 1 : b is (byte)'}' or (byte)']' ? -1 : 0;

    private static bool IsWhite(RawLine line) => line.Error is null && line.Bytes.Span.IndexOfAnyExcept(" \t\r\n"u8) < 0;

    private RawLine Value(long number, int length, bool skipping) =>
        skipping || length > LineReader.MaxLineBytes ? RawLine.OfTooLong(number) : new RawLine(number, input.Memory(0, length));

    /// <summary>Reads on; a value that is too long is not kept.</summary>
    private bool More(ref int scanned, ref bool skipping)
    {
        if (scanned > LineReader.MaxLineBytes || skipping)
        {
            skipping = true;
            input.Skip(scanned);
            scanned = 0;
        }

        return input.Fill();
    }

    /// <summary>Moves through a string, or over its quotes; false outside of strings.</summary>
    private bool IsInString(ref int scanned, ref bool isString)
    {
        ReadOnlySpan<byte> held = input.Held;
        if (held[scanned] == '"')
        {
            isString = !isString;
            scanned++;
            return true;
        }

        if (!isString) return false;
        if (held[scanned] == '\\')
        {
            // The next byte is escaped; it may not be there yet.
            if (scanned + 1 == held.Length && !input.Fill()) scanned++;
            else scanned += 2;
            return true;
        }

        int next = held[scanned..].IndexOfAny((byte)'"', (byte)'\\');
        scanned = next < 0 ? held.Length : scanned + next;
        return true;
    }

    /// <summary>Checks that nothing follows the array.</summary>
    private void CheckEnd()
    {
        do
        {
            if (input.Held.IndexOfAnyExcept(" \t\r\n"u8) >= 0)
                throw new UsageException(
                    "The input begins with a JSON array, and something follows it. Give one array, or an object {…} on each line.");
            input.Skip(input.Length);
        }
        while (input.Fill());
    }
}
