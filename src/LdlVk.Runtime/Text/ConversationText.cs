using System.Text;

namespace LdlVk.Runtime.Text;

/// <summary>A conversation written out by a template, which remembers what of it somebody typed.</summary>
internal sealed class ConversationText
{
    private readonly StringBuilder _text = new();
    private readonly List<Range> _typed = [];

    /// <summary>All of it.</summary>
    public string Text => _text.ToString();

    /// <summary>The places of what comes from the messages, in order: contents, and roles where they are rendered as they are.</summary>
    public IReadOnlyList<Range> Typed => _typed;

    /// <summary>Appends what the template says.</summary>
    public ConversationText Add(string marks)
    {
        _text.Append(marks);
        return this;
    }

    /// <summary>Appends what a message says.</summary>
    public ConversationText AddTyped(ReadOnlySpan<char> words)
    {
        _typed.Add(_text.Length..(_text.Length + words.Length));
        _text.Append(words);
        return this;
    }
}
