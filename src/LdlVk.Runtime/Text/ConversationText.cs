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
