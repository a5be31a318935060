namespace LdlVk.Runtime.Text;

/// <summary>How a conversation becomes the text that the model reads. Each known template is rendered by hand; none is run.</summary>
public abstract class ChatTemplate
{
    private protected ChatTemplate(string name, string title, string bosToken) => (Name, Title, BosToken) = (name, title, bosToken);

    /// <summary>The template of Gemma-2-it, and of LDL-Reward-Gemma-2 and Skywork-Reward-Gemma-2-27B-v0.2.</summary>
    public static ChatTemplate Gemma2 { get; } = new Gemma2Template("gemma2", "Gemma-2's", bos: true);

    /// <summary>The same without <c>&lt;bos&gt;</c>: Skywork-Reward-Gemma-2-27B (v0.1).</summary>
    public static ChatTemplate Gemma2WithoutBos { get; } = new Gemma2Template("gemma2-no-bos", "Gemma-2's without <bos>", bos: false);

    /// <summary>The template of Llama 3.</summary>
    public static ChatTemplate Llama3 { get; } = new Llama3Template("llama3", "Llama 3's", dated: false);

    /// <summary>The template of Llama 3.1, which always has a system message, with two dates.</summary>
    public static ChatTemplate Llama31 { get; } = new Llama3Template("llama3.1", "Llama 3.1's", dated: true);

    /// <summary>All that there are.</summary>
    public static IReadOnlyList<ChatTemplate> All { get; } = [Gemma2, Gemma2WithoutBos, Llama3, Llama31];

    /// <summary>Its name on the command line.</summary>
    public string Name { get; }

    /// <summary>Whether conversations begin with the tokenizer's token for that.</summary>
    public virtual bool BeginsWithBos => true;

    /// <summary>What sentences call it, as "Gemma-2's".</summary>
    internal string Title { get; }

    /// <summary>The <c>bos_token</c> that it prints.</summary>
    internal string BosToken { get; }

    /// <summary>Finds out which template a checkpoint wants.</summary>
    /// <param name="tokenizerConfigPath">Its tokenizer_config.json, which need not exist; null for a checkpoint without one.</param>
    /// <param name="assumed">What to take if the checkpoint does not say; null for <see cref="Gemma2"/>.</param>
    /// <returns>The template, and a note for the user if the checkpoint did not say which.</returns>
    /// <exception cref="CheckpointException">The checkpoint has a template that is not known, or its files are damaged.</exception>
    public static DetectedChatTemplate Detect(string? tokenizerConfigPath, ChatTemplate? assumed = null) =>
        ChatTemplateDetection.Detect(tokenizerConfigPath, assumed ?? Gemma2);

    /// <summary>Writes a conversation out. Special tokens inside a content stay as they are.</summary>
    /// <param name="messages">One or more.</param>
    /// <param name="addGenerationPrompt">Append the opening of a model's turn, as one does before generating. Scoring does not.</param>
    /// <exception cref="InputException">No messages, or roles that the template does not take.</exception>
    public string Render(IReadOnlyList<Message> messages, bool addGenerationPrompt = false) => Write(messages, addGenerationPrompt).Text;

    /// <summary>The token ids of a conversation.</summary>
    /// <param name="tokenizer">The checkpoint's tokenizer.</param>
    /// <param name="messages">As for <see cref="Render"/>.</param>
    /// <param name="addGenerationPrompt">As for <see cref="Render"/>.</param>
    /// <param name="typed">What special tokens are that stand in a message; the template's own always are tokens.</param>
    /// <returns>[tokens] ids.</returns>
    /// <exception cref="InputException">As for <see cref="Render"/> and <see cref="Tokenizer.Encode(string)"/>.</exception>
    public int[] Encode(
        Tokenizer tokenizer, IReadOnlyList<Message> messages, bool addGenerationPrompt = false, SpecialTokens typed = SpecialTokens.Tokens)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        ConversationText text = Write(messages, addGenerationPrompt);
        return tokenizer.Encode(text.Text, typed == SpecialTokens.Text ? text.Typed : []);
    }

    /// <summary>Whether a checkpoint's template is this one, up to white space that prints nothing.</summary>
    internal abstract bool Is(string jinja);

    private protected abstract void Write(ConversationText text, IReadOnlyList<Message> messages, bool addGenerationPrompt);

    private ConversationText Write(IReadOnlyList<Message> messages, bool addGenerationPrompt)
    {
        ArgumentNullException.ThrowIfNull(messages);
        if (messages.Count == 0)
            throw new InputException("The conversation has no messages. Give at least a user's prompt and an assistant's response.");
        for (int i = 0; i < messages.Count; i++)
        {
            if (messages[i].Role is null)
                throw new InputException($"Message {i} (counted from 0) has no role. Give \"user\" or \"assistant\".");
            if (messages[i].Content is null)
                throw new InputException($"Message {i} (counted from 0) has no content. An empty one is \"\".");
        }
        ConversationText text = new();
        Write(text, messages, addGenerationPrompt);
        return text;
    }

    /// <summary>Python's str.strip(), which also takes the separators \x1c … \x1f that C# does not count as white space.</summary>
    private protected static ReadOnlySpan<char> Strip(string text)
    {
        int start = 0, end = text.Length;
        while (start < end && IsSpace(text[start])) start++;
        while (end > start && IsSpace(text[end - 1])) end--;
        return text.AsSpan(start, end - start);

        static bool IsSpace(char c) => char.IsWhiteSpace(c) || c is >= '\x1c' and <= '\x1f';
    }
}
