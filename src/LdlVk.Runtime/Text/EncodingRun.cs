using LdlVk.Runtime.Text.Patterns;
using LdlVk.Runtime.Text.Splitting;

namespace LdlVk.Runtime.Text;

/// <summary>One encoding of one text: the ids so far, and where their characters stand in the text. Not thread-safe.</summary>
/// <param name="vocabulary">The pieces and merges.</param>
/// <param name="cuts">Where a piece may be cut into words; null for nowhere.</param>
/// <param name="cache">Ids of recent words; null for none.</param>
/// <param name="length">Length of the text.</param>
/// <param name="hasRanges">Whether to note where tokens stand in the text.</param>
internal sealed class EncodingRun(BytePairVocabulary vocabulary, WordBoundaries? cuts, WordCache? cache, int length, bool hasRanges)
{
    private readonly BytePairEncoder _encoder = new(vocabulary);
    private int _shift;
    private int[]? _origins;

    /// <summary>The ids.</summary>
    public List<int> Ids { get; } = new(length / 4 + 8);

    /// <summary>Of each id, the range of the text that it stands for; null if nobody asked.</summary>
    public List<Range>? Ranges { get; } = hasRanges ? [] : null;

    /// <summary>The work that searches may still do.</summary>
    public MatchState Matches { get; } = new();

    /// <summary>Says which part of the text the next pieces are from, and where its characters come from.</summary>
    public void Begin(int shift, int[]? origins) => (_shift, _origins) = (shift, origins);

    /// <summary>Whether a piece begins where the text does.</summary>
    public bool IsFirst(Piece piece) => Origin(piece.At) == 0;

    /// <summary>Adds a token that needs no encoding.</summary>
    /// <param name="id">Its id.</param>
    /// <param name="start">Where it begins in the part of the text.</param>
    /// <param name="end">Where it ends.</param>
    public void Add(int id, int start, int end)
    {
        Ids.Add(id);
        Ranges?.Add(Origin(start)..Origin(end));
    }

    /// <summary>Encodes a piece that no step divides further.</summary>
    public void EncodeWord(Piece piece)
    {
        if (Ranges is null)
        {
            EncodeText(piece.Text);
            return;
        }

        int end;
        for (int at = 0; at < piece.Text.Length; at = end)
        {
            end = cuts is null ? piece.Text.Length : at + cuts.Next(piece.Text[at..]);
            EncodeWithRanges(piece.Slice(at, end));
        }
    }

    /// <summary>Encodes a text that no step divides further, where nobody asked for places.</summary>
    public void EncodeText(ReadOnlySpan<char> text)
    {
        if (cuts is null)
        {
            Encode(text);
            return;
        }

        for (int length; text.Length > 0; text = text[length..])
        {
            length = cuts.Next(text);
            Encode(text[..length]);
        }
    }

    private int Origin(int index) => _shift + (_origins is null ? index : _origins[index]);

    private void Encode(ReadOnlySpan<char> word)
    {
        if (cache is null || word.Length > WordCache.MaxWordLength)
        {
            Ids.AddRange(_encoder.Encode(word));
            return;
        }

        if (cache.Find(word, out int slot) is not { } found)
        {
            found = _encoder.Encode(word).ToArray();
            cache.Store(slot, word.ToString(), found);
        }

        Ids.AddRange(found.AsSpan());
    }

    private void EncodeWithRanges(Piece word)
    {
        ReadOnlySpan<int> ids = _encoder.Encode(word.Text), starts = _encoder.Starts;
        for (int i = 0; i < ids.Length; i++)
        {
            int end = i + 1 < ids.Length ? starts[i + 1] : word.Text.Length;
            Add(ids[i], word.Place(starts[i]), word.Place(end));
        }
    }
}
