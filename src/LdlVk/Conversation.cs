namespace LdlVk;

/// <summary>The messages of a conversation in order; the last one is what is judged.</summary>
/// <param name="Messages">Roles <c>user</c> and <c>assistant</c> in turn.</param>
public sealed record Conversation(IReadOnlyList<Message> Messages)
{
    /// <summary>
    /// The steps of the last message, for a process reward model; null if the message is one text, which such a model takes apart as
    /// <see cref="RewardModelOptions.StepSeparator"/> says. The message's content is not used then.
    /// </summary>
    public IReadOnlyList<string>? Steps { get; init; }

    /// <summary>One question and an answer in steps.</summary>
    public Conversation(string prompt, IReadOnlyList<string> steps)
        : this(prompt, string.Join('\n', steps)) => Steps = steps;

    /// <summary>One question and one answer.</summary>
    public Conversation(string prompt, string response)
        : this([new Message("user", prompt), new Message("assistant", response)])
    {
    }
}
