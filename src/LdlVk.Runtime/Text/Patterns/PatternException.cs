namespace LdlVk.Runtime.Text.Patterns;

/// <summary>A regular expression that is none, or has a part that is not implemented. The message is the predicate of a sentence.</summary>
internal sealed class PatternException(string message) : Exception(message);
