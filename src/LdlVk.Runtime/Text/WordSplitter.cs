namespace LdlVk.Runtime.Text;

/// <summary>How the text between two added tokens falls into words, each of which byte-pair encoding takes by itself.</summary>
internal abstract class WordSplitter
{
    /// <summary>The text as words are cut from it: one character for one, so that positions hold in both.</summary>
    public virtual string Normalize(string text) => text;

    /// <summary>The length of the word with which a text begins, at least 1 where there is text.</summary>
    public abstract int Next(ReadOnlySpan<char> text);
}
