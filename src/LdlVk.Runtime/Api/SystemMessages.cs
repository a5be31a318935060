namespace LdlVk;

/// <summary>What happens to a system message where the chat template has no system role.</summary>
public enum SystemMessages
{
    /// <summary>The conversation is refused.</summary>
    Error,

    /// <summary>The message's text and a blank line are put before the text of the first user message.</summary>
    Merge,
}
