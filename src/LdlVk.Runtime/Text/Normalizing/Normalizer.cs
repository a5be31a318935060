namespace LdlVk.Runtime.Text.Normalizing;

/// <summary>A step that changes a text before words are cut from it. Thread-safe.</summary>
internal abstract class Normalizer
{
    /// <summary>
    /// Whether every UTF-16 unit becomes one unit, whatever its neighbors: the parts of a text can then be normalized together.
    /// </summary>
    public virtual bool IsUnitwise => false;

    /// <summary>Normalizes a text.</summary>
    public abstract NormalizedText Apply(NormalizedText text);
}

/// <summary>Several steps, one after another; none is no change.</summary>
internal sealed class NormalizerSequence(IReadOnlyList<Normalizer> steps) : Normalizer
{
    public override bool IsUnitwise { get; } = steps.All(step => step.IsUnitwise);

    public override NormalizedText Apply(NormalizedText text)
    {
        foreach (Normalizer step in steps) text = step.Apply(text);
        return text;
    }
}

/// <summary><c>Prepend</c>: a text that is not empty gets characters in front.</summary>
internal sealed class PrependNormalizer(string prefix) : Normalizer
{
    public override NormalizedText Apply(NormalizedText text)
    {
        if (text.Text.Length == 0 || prefix.Length == 0) return text;
        int[] origins = new int[prefix.Length + text.Text.Length + 1];
        int first = text.Origin(0);
        for (int i = 0; i < origins.Length; i++) origins[i] = i < prefix.Length ? first : text.Origin(i - prefix.Length);
        return new(prefix + text.Text, origins);
    }
}

/// <summary><c>Replace</c> of one UTF-16 unit by another, as SentencePiece's vocabularies need it for spaces.</summary>
internal sealed class UnitNormalizer(char from, char to) : Normalizer
{
    public override bool IsUnitwise => true;

    public override NormalizedText Apply(NormalizedText text) => text with { Text = text.Text.Replace(from, to) };
}

/// <summary><c>Replace</c> of the matches of a pattern.</summary>
internal sealed class ReplaceNormalizer(Splitting.Matcher matcher, string content) : Normalizer
{
    public override NormalizedText Apply(NormalizedText text)
    {
        NormalizedTextBuilder builder = new(text);
        Splitting.MatchCursor cursor = new(matcher, text.Text.Length, new Patterns.MatchState());
        int copied = 0;
        bool found = false;
        while (cursor.Next(text.Text))
        {
            found = true;
            builder.Copy(copied, cursor.Start);
            builder.Append(content, cursor.Start);
            copied = cursor.End;
        }

        if (!found) return text;
        builder.Copy(copied, text.Text.Length);
        return builder.ToText();
    }
}

/// <summary>
/// A step that maps each character by itself: <c>Lowercase</c>, <c>Nmt</c>, <c>StripAccents</c>. The function appends what becomes of it.
/// </summary>
internal sealed class RuneNormalizer(Action<System.Text.Rune, List<int>> map) : Normalizer
{
    public override NormalizedText Apply(NormalizedText text)
    {
        NormalizedTextBuilder builder = new(text);
        List<int> mapped = [];
        Span<char> units = stackalloc char[2];
        int at = 0;
        foreach (System.Text.Rune rune in text.Text.EnumerateRunes())
        {
            mapped.Clear();
            map(rune, mapped);
            foreach (int code in mapped) builder.Append(units[..new System.Text.Rune(code).EncodeToUtf16(units)], at);
            at += rune.Utf16SequenceLength;
        }

        return builder.ToText();
    }
}

/// <summary><c>Strip</c>: takes white space off the ends.</summary>
internal sealed class StripNormalizer(bool left, bool right) : Normalizer
{
    public override NormalizedText Apply(NormalizedText text)
    {
        int start = 0, end = text.Text.Length;
        while (left && start < end && char.IsWhiteSpace(text.Text[start])) start++;
        while (right && end > start && char.IsWhiteSpace(text.Text[end - 1])) end--;
        if (start == 0 && end == text.Text.Length) return text;
        NormalizedTextBuilder builder = new(text);
        builder.Copy(start, end);
        return builder.ToText();
    }
}
