using System.Globalization;
using System.Text;
using LdlVk.Runtime.Text.Patterns;
using LdlVk.Runtime.Text.Splitting;

namespace LdlVk.Runtime.Text;

/// <summary>A step on the way from the pieces of tokens to their text.</summary>
/// <param name="pieces">The pieces.</param>
/// <returns>The pieces as the next step takes them; joined, they are the text.</returns>
internal delegate List<string> Decoder(List<string> pieces);

/// <summary>The steps that a tokenizer.json may ask for.</summary>
internal static class Decoders
{
    private static readonly Dictionary<char, byte> Bytes =
        Enumerable.Range(0, 256).ToDictionary(b => ByteLevel.Characters[b], b => (byte)b);

    /// <summary><c>Fuse</c>: one piece of all.</summary>
    public static Decoder Fuse { get; } = pieces => [string.Concat(pieces)];

    /// <summary>
    /// <c>ByteLevel</c>: the bytes that characters stand for. A piece with another character, such as an added token's, stands for itself.
    /// </summary>
    public static Decoder ByteLevelCharacters { get; } = pieces =>
    {
        using MemoryStream utf8 = new();
        foreach (string piece in pieces)
        {
            if (!piece.All(Bytes.ContainsKey)) utf8.Write(Encoding.UTF8.GetBytes(piece));
            else foreach (char c in piece) utf8.WriteByte(Bytes[c]);
        }

        return [Encoding.UTF8.GetString(utf8.GetBuffer(), 0, (int)utf8.Length)];
    };

    /// <summary><c>ByteFallback</c>: what pieces such as <c>&lt;0x0A&gt;</c> say; U+FFFD for each if they are no UTF-8 together.</summary>
    public static Decoder ByteFallback { get; } = pieces =>
    {
        List<string> decoded = [];
        List<byte> bytes = [];
        foreach (string piece in pieces)
        {
            if (ByteOf(piece) is { } value)
            {
                bytes.Add(value);
                continue;
            }

            Flush();
            decoded.Add(piece);
        }

        Flush();
        return decoded;

        void Flush()
        {
            if (bytes.Count == 0) return;
            byte[] utf8 = [.. bytes];
            if (System.Text.Unicode.Utf8.IsValid(utf8)) decoded.Add(Encoding.UTF8.GetString(utf8));
            else decoded.AddRange(Enumerable.Repeat("\uFFFD", utf8.Length));
            bytes.Clear();
        }
    };

    /// <summary><c>Replace</c> of what a matcher finds in each piece.</summary>
    public static Decoder Replace(Matcher matcher, string content) => Each((piece, _) =>
    {
        StringBuilder replaced = new();
        MatchCursor cursor = new(matcher, piece.Length, new MatchState());
        int done = 0;
        for (; cursor.Next(piece); done = cursor.End) replaced.Append(piece, done, cursor.Start - done).Append(content);
        return replaced.Append(piece, done, piece.Length - done).ToString();
    });

    /// <summary><c>Strip</c>: takes up to a number of one character off the ends of each piece.</summary>
    public static Decoder Strip(char content, int start, int stop) => Each((piece, _) =>
    {
        int first = 0, end = piece.Length;
        while (first < start && first < piece.Length && piece[first] == content) first++;
        while (piece.Length - end < stop && end > first && piece[end - 1] == content) end--;
        return piece[first..end];
    });

    /// <summary><c>Metaspace</c>: spaces for the visible character, of which the one in front of all was added.</summary>
    public static Decoder Metaspace(char replacement, PrependScheme scheme) => Each((piece, index) =>
        index == 0 && scheme != PrependScheme.Never
            ? piece.Replace($"{replacement}", "", StringComparison.Ordinal)
            : piece.Replace(replacement, ' '));

    /// <summary>Several steps, one after another.</summary>
    public static Decoder Sequence(IReadOnlyList<Decoder> steps) => pieces => steps.Aggregate(pieces, (now, step) => step(now));

    private static Decoder Each(Func<string, int, string> change) => pieces => [.. pieces.Select(change)];

    private static byte? ByteOf(string piece) =>
        piece is ['<', '0', 'x', _, _, '>']
        && byte.TryParse(piece.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte value)
            ? value
            : null;
}
