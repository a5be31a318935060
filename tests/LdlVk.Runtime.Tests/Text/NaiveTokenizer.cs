using System.Globalization;
using System.Text;
using System.Text.Json;

namespace LdlVk.Runtime.Tests.Text;

/// <summary>The algorithm as its definition reads, slow and without any cutting or caching; and the way back from ids to text.</summary>
internal sealed class NaiveTokenizer
{
    private readonly Dictionary<string, int> vocabulary = new(StringComparer.Ordinal);
    private readonly Dictionary<int, string> contents = [];
    private readonly Dictionary<(string, string), int> ranks = [];
    private readonly List<string> added = [];

    internal NaiveTokenizer(string path)
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(path));
        JsonElement model = document.RootElement.GetProperty("model");
        foreach (JsonProperty piece in model.GetProperty("vocab").EnumerateObject()) vocabulary[piece.Name] = piece.Value.GetInt32();
        foreach (JsonElement merge in model.GetProperty("merges").EnumerateArray())
        {
            string[] pair = merge.GetString()!.Split(' ');
            ranks.Add((pair[0], pair[1]), ranks.Count);
        }
        added.AddRange(document.RootElement.GetProperty("added_tokens").EnumerateArray().Select(token => token.Text("content")));
        foreach ((string piece, int id) in vocabulary) contents[id] = piece;
    }

    internal int[] Encode(string text)
    {
        List<int> ids = [];
        StringBuilder pending = new();
        for (int i = 0; i < text.Length;)
        {
            string? token = added.Where(t => string.CompareOrdinal(text, i, t, 0, t.Length) == 0).MaxBy(t => t.Length);
            if (token is null) pending.Append(text[i++]);
            else
            {
                ids.AddRange(Merge(pending.ToString()));
                pending.Clear();
                ids.Add(vocabulary[token]);
                i += token.Length;
            }
        }
        ids.AddRange(Merge(pending.ToString()));
        return [.. ids];
    }

    private IEnumerable<int> Merge(string text)
    {
        List<string> symbols = [];
        foreach (Rune rune in text.Replace(' ', '▁').EnumerateRunes()) // a lone surrogate is U+FFFD here too
        {
            if (vocabulary.ContainsKey(rune.ToString())) symbols.Add(rune.ToString());
            else symbols.AddRange(Encoding.UTF8.GetBytes(rune.ToString()).Select(b => $"<0x{b:X2}>"));
        }
        while (true)
        {
            int best = -1, rank = int.MaxValue;
            for (int i = 0; i + 1 < symbols.Count; i++)
                if (ranks.TryGetValue((symbols[i], symbols[i + 1]), out int r) && r < rank) (best, rank) = (i, r);
            if (best < 0) return symbols.Select(symbol => vocabulary[symbol]);
            symbols[best] += symbols[best + 1];
            symbols.RemoveAt(best + 1);
        }
    }

    internal string Decode(IEnumerable<int> ids)
    {
        List<byte> utf8 = [];
        foreach (string content in ids.Select(id => contents[id]))
        {
            if (content.Length == 6 && content.StartsWith("<0x", StringComparison.Ordinal))
                utf8.Add(byte.Parse(content.AsSpan(3, 2), NumberStyles.HexNumber, CultureInfo.InvariantCulture));
            else utf8.AddRange(Encoding.UTF8.GetBytes(content.Replace('▁', ' ')));
        }
        return Encoding.UTF8.GetString([.. utf8]);
    }
}
