namespace LdlVk;

/// <summary>The messages of a conversation in order; the last one is what is judged.</summary>
/// <param name="Messages">Roles <c>user</c> and <c>assistant</c> in turn.</param>
public sealed record Conversation(IReadOnlyList<Message> Messages)
{
    /// <summary>One question and one answer.</summary>
    public Conversation(string prompt, string response)
        : this([new Message("user", prompt), new Message("assistant", response)])
    {
    }
}
