namespace LdlVk.Runtime.Text;

/// <summary>C# strings may hold surrogates that pair with none; no other encoding of Unicode can.</summary>
internal static class Utf16
{
    /// <summary>The text with U+FFFD, the replacement character, for every lone surrogate.</summary>
    internal static string Repair(string text)
    {
        if (text.AsSpan().IndexOfAnyInRange('\uD800', '\uDFFF') < 0) return text;
        char[] repaired = text.ToCharArray();
        for (int i = 0; i < repaired.Length; i++)
        {
            if (!char.IsSurrogate(repaired[i])) continue;
            if (i + 1 < repaired.Length && char.IsSurrogatePair(repaired[i], repaired[i + 1])) i++;
            else repaired[i] = '\uFFFD';
        }
        return new string(repaired);
    }
}
