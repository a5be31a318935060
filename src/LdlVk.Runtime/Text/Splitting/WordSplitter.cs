namespace LdlVk.Runtime.Text.Splitting;

/// <summary>Divides a text into words that cover it. Thread-safe.</summary>
internal abstract class WordSplitter
{
    /// <summary>The length of the word with which a text begins, at least 1 where there is text.</summary>
    public abstract int Next(ReadOnlySpan<char> text);
}
