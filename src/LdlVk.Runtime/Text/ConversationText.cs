using System.Text;
using LdlVk.Runtime.Text.Jinja;

namespace LdlVk.Runtime.Text;

/// <summary>A conversation rendered by a template. It records which ranges come from the messages.</summary>
internal sealed class ConversationText
{
    private readonly StringBuilder _text = new();
    private readonly List<Range> _typed = [];

    /// <summary>The whole text.</summary>
    public string Text => _text.ToString();

    /// <summary>The ranges that come from the messages, in order: contents, and roles that are rendered unchanged.</summary>
    public IReadOnlyList<Range> Typed => _typed;

    /// <summary>Returns the typed ranges without the places where a mark stands in the last message.</summary>
    /// <param name="mark">The mark; null for none.</param>
    /// <param name="messages">The messages, which the text has in their order.</param>
    public IReadOnlyList<Range> TypedWithout(string? mark, IReadOnlyList<Message> messages)
    {
        if (mark is null) return _typed;
        int earlier = messages.SkipLast(1).Sum(message => message.Content.AsSpan().Count(mark));
        string text = Text;
        List<Range> rest = [];
        foreach (Range range in _typed)
        {
            (int at, int end) = (range.Start.Value, range.End.Value);
            for (int from = at; text.IndexOf(mark, from, end - from, StringComparison.Ordinal) is var found and >= 0;)
            {
                from = found + mark.Length;
                if (earlier-- > 0) continue;
                if (found > at) rest.Add(at..found);
                at = from;
            }

            if (end > at) rest.Add(at..end);
        }

        return rest;
    }

    /// <summary>Appends text of the template.</summary>
    public ConversationText Add(string marks)
    {
        _text.Append(marks);
        return this;
    }

    /// <summary>Appends text of both.</summary>
    public void Add(MarkedText text)
    {
        foreach (Range range in text.Typed) _typed.Add((_text.Length + range.Start.Value)..(_text.Length + range.End.Value));
        _text.Append(text.Value);
    }

    /// <summary>Appends text of a message.</summary>
    public ConversationText AddTyped(ReadOnlySpan<char> words)
    {
        _typed.Add(_text.Length..(_text.Length + words.Length));
        _text.Append(words);
        return this;
    }
}
