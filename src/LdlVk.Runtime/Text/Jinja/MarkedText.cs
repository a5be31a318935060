using System.Runtime.InteropServices;
using System.Text;

namespace LdlVk.Runtime.Text.Jinja;

/// <summary>
/// A string of which each character is known to come from the template or from a message. Special tokens that a user types stay text for
/// that reason (<see cref="SpecialTokens.Text"/>), whatever the template does with them.
/// </summary>
internal sealed class MarkedText
{
    public static readonly MarkedText Empty = new("", []);

    private readonly Range[] _typed;

    private MarkedText(string value, Range[] typed) => (Value, _typed) = (value, typed);

    public string Value { get; }

    public int Length => Value.Length;

    /// <summary>The ranges that come from messages, in order, apart from each other and not empty.</summary>
    public ReadOnlySpan<Range> Typed => _typed;

    public static MarkedText OfTemplate(string value) => value.Length == 0 ? Empty : new(value, []);

    public static MarkedText OfMessage(string value) => value.Length == 0 ? Empty : new(value, [0..value.Length]);

    internal static MarkedText Of(StringBuilder value, List<Range> typed) => value.Length == 0 ? Empty : new(value.ToString(), [.. typed]);

    /// <summary>The characters from start to end.</summary>
    public MarkedText Slice(int start, int end)
    {
        if (start == 0 && end == Length) return this;
        if (start >= end) return Empty;
        string part = Value[start..end];
        if (_typed.Length == 0) return new(part, []);
        List<Range> typed = [];
        foreach (Range range in _typed)
        {
            int from = Math.Max(range.Start.Value, start), to = Math.Min(range.End.Value, end);
            if (from < to) typed.Add((from - start)..(to - start));
        }

        return new(part, [.. typed]);
    }

    /// <summary>The text that a function makes of this one. Where its length changes, all of it comes from where a part did.</summary>
    public MarkedText Map(Func<string, string> function)
    {
        string value = function(Value);
        return value.Length == Length ? new(value, _typed) : Alike(value);
    }

    /// <summary>Another text, which counts as a message's if a part of this one is.</summary>
    public MarkedText Alike(string value) => _typed.Length == 0 ? OfTemplate(value) : OfMessage(value);

    public MarkedText Append(MarkedText other)
    {
        if (Length == 0) return other;
        return other.Length == 0 ? this : new MarkedTextBuilder().Append(this).Append(other).ToText();
    }

    public override string ToString() => Value;

    public override bool Equals(object? obj) => obj is MarkedText other && other.Value == Value;

    public override int GetHashCode() => Value.GetHashCode(StringComparison.Ordinal);
}

/// <summary>Builds a <see cref="MarkedText"/>.</summary>
internal sealed class MarkedTextBuilder
{
    private readonly StringBuilder _value = new();
    private readonly List<Range> _typed = [];

    public int Length => _value.Length;

    public MarkedTextBuilder Append(MarkedText text)
    {
        foreach (Range range in text.Typed) Mark(_value.Length + range.Start.Value, _value.Length + range.End.Value);
        _value.Append(text.Value);
        return this;
    }

    /// <summary>Appends characters of the template.</summary>
    public MarkedTextBuilder Append(string value)
    {
        _value.Append(value);
        return this;
    }

    /// <summary>Appends characters that a message wrote, if <paramref name="typed"/>.</summary>
    public MarkedTextBuilder Append(ReadOnlySpan<char> value, bool typed)
    {
        if (typed && !value.IsEmpty) Mark(_value.Length, _value.Length + value.Length);
        _value.Append(value);
        return this;
    }

    public MarkedText ToText() => MarkedText.Of(_value, _typed);

    private void Mark(int from, int to)
    {
        Span<Range> typed = CollectionsMarshal.AsSpan(_typed);
        if (!typed.IsEmpty && typed[^1].End.Value == from) typed[^1] = typed[^1].Start..to;
        else _typed.Add(from..to);
    }
}
