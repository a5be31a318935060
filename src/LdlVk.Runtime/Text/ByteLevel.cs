namespace LdlVk.Runtime.Text;

/// <summary>
/// GPT-2's mapping of bytes to printable characters, in which byte-level vocabularies are stored. Bytes that are printable in Latin-1 map
/// to themselves. The others map to the characters from U+0100 on, in order.
/// </summary>
internal static class ByteLevel
{
    /// <summary>[256] The character of each byte.</summary>
    public static char[] Characters { get; } = Make();

    private static char[] Make()
    {
        char[] characters = new char[256];
        int others = 0;
        for (int b = 0; b < 256; b++)
            characters[b] = b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or >= 0xAE ? (char)b : (char)(256 + others++);
        return characters;
    }
}
