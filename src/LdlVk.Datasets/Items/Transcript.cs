namespace LdlVk.Datasets.Items;

/// <summary>
/// Conversations as one text with "Human:" and "Assistant:" at the beginning of each turn, the format of Anthropic's hh-rlhf dataset.
/// </summary>
internal static class Transcript
{
    private const string Human = "\n\nHuman:", Assistant = "\n\nAssistant:";

    /// <summary>Whether a text is a transcript: it begins with a human's turn and has an assistant's.</summary>
    public static bool Is(string text) =>
        text.StartsWith(Human, StringComparison.Ordinal) && text.Contains(Assistant, StringComparison.Ordinal);

    /// <summary>Returns the turns, without surrounding white space.</summary>
    public static List<Message> Read(string text)
    {
        List<Message> messages = [];
        int at = 0;
        while (at < text.Length)
        {
            (string role, int start) = text.AsSpan(at).StartsWith(Human, StringComparison.Ordinal)
                ? ("user", at + Human.Length)
                : ("assistant", at + Assistant.Length);
            int end = Next(text, start);
            messages.Add(new Message(role, text[start..end].Trim()));
            at = end;
        }

        return messages;
    }

    /// <summary>Returns the position of the next turn, or the text's length.</summary>
    private static int Next(string text, int from)
    {
        int human = text.IndexOf(Human, from, StringComparison.Ordinal);
        int assistant = text.IndexOf(Assistant, from, StringComparison.Ordinal);
        return (human, assistant) switch
        {
            ( < 0, < 0) => text.Length,
            ( < 0, _) => assistant,
            (_, < 0) => human,
            _ => Math.Min(human, assistant),
        };
    }
}
