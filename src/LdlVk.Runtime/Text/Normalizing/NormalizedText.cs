namespace LdlVk.Runtime.Text.Normalizing;

/// <summary>A normalized text, and where each of its characters comes from.</summary>
/// <param name="Text">The text.</param>
/// <param name="Origins">
/// [characters + 1] For each UTF-16 unit, the index in the original at which what became of it begins, and last the original's end; null if
/// the two have the same length and each unit comes from the one at its own index.
/// </param>
internal readonly record struct NormalizedText(string Text, int[]? Origins = null)
{
    /// <summary>Index in the original of a character, or of the end.</summary>
    public int Origin(int index) => Origins is null ? index : Origins[index];
}

/// <summary>Builds a <see cref="NormalizedText"/> from another.</summary>
internal sealed class NormalizedTextBuilder(NormalizedText from)
{
    private readonly System.Text.StringBuilder _text = new(from.Text.Length + 16);
    private readonly List<int> _origins = new(from.Text.Length + 16);

    /// <summary>Appends characters that come from the one at <paramref name="index"/>.</summary>
    public void Append(ReadOnlySpan<char> text, int index)
    {
        _text.Append(text);
        int origin = from.Origin(index);
        for (int i = 0; i < text.Length; i++) _origins.Add(origin);
    }

    /// <summary>Appends the characters from start to end as they are.</summary>
    public void Copy(int start, int end)
    {
        _text.Append(from.Text, start, end - start);
        for (int i = start; i < end; i++) _origins.Add(from.Origin(i));
    }

    /// <summary>The text.</summary>
    public NormalizedText ToText()
    {
        _origins.Add(from.Origin(from.Text.Length));
        return new(_text.ToString(), [.. _origins]);
    }
}
