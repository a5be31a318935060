using LdlVk.Runtime.Text.Jinja;

namespace LdlVk.Runtime.Text;

/// <summary>
/// Converts a conversation to the text that the model reads. Known templates are implemented in C#; a checkpoint's own that is none of them
/// is run by an interpreter of Jinja, which reaches nothing outside the conversation.
/// </summary>
public abstract class ChatTemplate
{
    private protected ChatTemplate(string name, string title, string bosToken) => (Name, Title, BosToken) = (name, title, bosToken);

    /// <summary>The template of Gemma-2-it, and of LDL-Reward-Gemma-2 and Skywork-Reward-Gemma-2-27B-v0.2.</summary>
    public static ChatTemplate Gemma2 { get; } = new Gemma2Template("gemma2", "Gemma-2's", bos: true);

    /// <summary>Gemma-2's template without <c>&lt;bos&gt;</c>, of Skywork-Reward-Gemma-2-27B (v0.1).</summary>
    public static ChatTemplate Gemma2WithoutBos { get; } = new Gemma2Template("gemma2-no-bos", "Gemma-2's without <bos>", bos: false);

    /// <summary>The template of Llama 3.</summary>
    public static ChatTemplate Llama3 { get; } = new Llama3Template("llama3", "Llama 3's", dated: false);

    /// <summary>The template of Llama 3.1, which always has a system message with two dates.</summary>
    public static ChatTemplate Llama31 { get; } = new Llama3Template("llama3.1", "Llama 3.1's", dated: true);

    /// <summary>
    /// The date that templates get for today's, so that scores do not change by the day: that of Llama 3.1's template, which Llama 3.2's
    /// has too where there is no clock.
    /// </summary>
    public static DateTime DefaultDate { get; } = new(2024, 7, 26, 0, 0, 0, DateTimeKind.Unspecified);

    /// <summary>All known templates.</summary>
    public static IReadOnlyList<ChatTemplate> All { get; } = [Gemma2, Gemma2WithoutBos, Llama3, Llama31];

    /// <summary>The template's name on the command line.</summary>
    public string Name { get; }

    /// <summary>Whether conversations begin with the tokenizer's bos token.</summary>
    public virtual bool BeginsWithBos => true;

    /// <summary>Whether a conversation may begin with a system message.</summary>
    public virtual bool HasSystemRole => true;

    /// <summary>The template's name in messages, a possessive such as "Gemma-2's".</summary>
    internal string Title { get; }

    /// <summary>The <c>bos_token</c> that the template prints.</summary>
    internal string BosToken { get; }

    /// <summary>Whether the template printed the date of today, which is <see cref="DefaultDate"/> unless another is given.</summary>
    internal virtual bool PrintsDate => false;

    /// <summary>The text with which the template ends each turn.</summary>
    internal abstract string TurnEnd { get; }

    /// <summary>Detects the template of a checkpoint.</summary>
    /// <param name="tokenizerConfigPath">The checkpoint's tokenizer_config.json, which need not exist; null for a checkpoint without
    /// one.</param>
    /// <param name="assumed">The template to use if the checkpoint specifies none; null for <see cref="Gemma2"/>.</param>
    /// <param name="date">The date that the template prints if it asks for today's; null for <see cref="DefaultDate"/>.</param>
    /// <returns>The template, and a note for the user if the checkpoint specifies none, or one that prints a date.</returns>
    /// <exception cref="CheckpointException">The checkpoint's template is not Jinja, or its files are damaged.</exception>
    /// <exception cref="UsageException">A date is given, and the template prints none.</exception>
    public static DetectedChatTemplate Detect(string? tokenizerConfigPath, ChatTemplate? assumed = null, DateTime? date = null) =>
        ChatTemplateDetection.Detect(tokenizerConfigPath, assumed ?? Gemma2, date);

    /// <summary>Detects the template of a checkpoint whose tokenizer is known.</summary>
    /// <param name="tokenizer">The checkpoint's tokenizer; null if it has none.</param>
    /// <param name="tokenizerConfigPath">As for <see cref="Detect(string?, ChatTemplate?, DateTime?)"/>.</param>
    /// <param name="date">As for <see cref="Detect(string?, ChatTemplate?, DateTime?)"/>.</param>
    /// <exception cref="CheckpointException">
    /// As for <see cref="Detect(string?, ChatTemplate?, DateTime?)"/>; or the checkpoint specifies no template, and most checkpoints with
    /// this tokenizer have none of those that are known.
    /// </exception>
    /// <exception cref="UsageException">A date is given, and the template prints none.</exception>
    public static DetectedChatTemplate DetectFor(Tokenizer? tokenizer, string? tokenizerConfigPath, DateTime? date = null) =>
        ChatTemplateDetection.Detect(tokenizerConfigPath, tokenizer is null ? Gemma2 : tokenizer.UsualTemplate, date);

    /// <summary>Renders a conversation as text. Special tokens in contents are not escaped.</summary>
    /// <param name="messages">One or more messages.</param>
    /// <param name="addGenerationPrompt">Whether to append the opening of a model's turn, as needed for generation but not for
    /// scoring.</param>
    /// <exception cref="InputException">There are no messages, or the template does not support their roles.</exception>
    public string Render(IReadOnlyList<Message> messages, bool addGenerationPrompt = false) => Write(messages, addGenerationPrompt).Text;

    /// <summary>Renders and tokenizes a conversation.</summary>
    /// <param name="tokenizer">The checkpoint's tokenizer.</param>
    /// <param name="messages">As for <see cref="Render"/>.</param>
    /// <param name="addGenerationPrompt">As for <see cref="Render"/>.</param>
    /// <param name="typed">How special tokens in messages are read. Those of the template are always tokens.</param>
    /// <param name="mark">A special token that is one in the last message whatever <paramref name="typed"/> says; null for none.</param>
    /// <returns>[tokens] ids.</returns>
    /// <exception cref="InputException">As for <see cref="Render"/> and <see cref="Tokenizer.Encode(string)"/>.</exception>
    public int[] Encode(
        Tokenizer tokenizer, IReadOnlyList<Message> messages, bool addGenerationPrompt = false, SpecialTokens typed = SpecialTokens.Tokens,
        string? mark = null)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        ConversationText text = Write(messages, addGenerationPrompt);
        return tokenizer.Encode(text.Text, typed == SpecialTokens.Text ? text.TypedWithout(mark, messages) : []);
    }

    /// <summary>Tokenizes the contents of messages one after another, without a template.</summary>
    /// <param name="tokenizer">The checkpoint's tokenizer.</param>
    /// <param name="messages">The messages.</param>
    /// <param name="typed">How special tokens in messages are read.</param>
    /// <param name="mark">As for <see cref="Encode"/>.</param>
    public static int[] EncodeContents(
        Tokenizer tokenizer, IReadOnlyList<Message> messages, SpecialTokens typed = SpecialTokens.Tokens, string? mark = null)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentNullException.ThrowIfNull(messages);
        ConversationText text = new();
        foreach (Message message in messages) text.AddTyped(message.Content);
        return tokenizer.Encode(text.Text, typed == SpecialTokens.Text ? text.TypedWithout(mark, messages) : []);
    }

    /// <summary>Whether a checkpoint's template is this one, apart from white space that prints nothing.</summary>
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
                throw new InputException($"Message {i} (counted from 0) has no content. Give \"\" for an empty content.");
        }
        ConversationText text = new();
        Write(text, messages, addGenerationPrompt);
        return text;
    }

    /// <summary>Like Python's str.strip().</summary>
    private protected static ReadOnlySpan<char> Strip(string text)
    {
        int start = 0, end = text.Length;
        while (start < end && Python.IsSpace(text[start])) start++;
        while (end > start && Python.IsSpace(text[end - 1])) end--;
        return text.AsSpan(start, end - start);
    }
}
