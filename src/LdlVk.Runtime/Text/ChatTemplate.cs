using System.Text;

namespace LdlVk.Runtime.Text;

/// <summary>How a conversation becomes the text that the model reads.</summary>
public sealed class ChatTemplate
{
    /// <summary>What the checkpoints of Gemma-2-it and their offspring carry as <c>chat_template</c>; <see cref="Render"/> does the same by hand.</summary>
    internal const string Gemma2Jinja =
        "{{ bos_token }}"
        + "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        + "{% for message in messages %}"
        + "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        + "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
        + "{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}"
        + "{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}"
        + "{% endfor %}"
        + "{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}";

    private ChatTemplate(string name) => Name = name;

    /// <summary>The template of Gemma-2-it.</summary>
    public static ChatTemplate Gemma2 { get; } = new("gemma2");

    /// <summary>Its name on the command line: <c>gemma2</c>.</summary>
    public string Name { get; }

    /// <summary>Finds out which template a checkpoint wants.</summary>
    /// <param name="tokenizerConfigPath">Its tokenizer_config.json, which need not exist; null for a checkpoint without one.</param>
    /// <returns>The template, and a note for the user if the checkpoint did not say which.</returns>
    /// <exception cref="CheckpointException">The checkpoint has a template that is not known, or its files are damaged.</exception>
    public static DetectedChatTemplate Detect(string? tokenizerConfigPath) => ChatTemplateDetection.Detect(tokenizerConfigPath);

    /// <summary>
    /// Writes a conversation out: <c>&lt;bos&gt;</c>, then of each message <c>&lt;start_of_turn&gt;ROLE\nCONTENT&lt;end_of_turn&gt;\n</c>
    /// with <c>model</c> for <c>assistant</c> and the content stripped of white space. Special tokens inside a content stay as they are.
    /// </summary>
    /// <param name="messages">One or more; <c>user</c> exactly at the even places. The last one may be anybody's.</param>
    /// <param name="addGenerationPrompt">Append the opening of a model's turn, as one does before generating. Scoring does not.</param>
    /// <exception cref="InputException">No messages, a system message first, or roles that do not alternate.</exception>
    public string Render(IReadOnlyList<Message> messages, bool addGenerationPrompt = false) => Write(messages, addGenerationPrompt, []);

    /// <summary>The token ids of a conversation; they begin with <c>&lt;bos&gt;</c>.</summary>
    /// <param name="tokenizer">The checkpoint's tokenizer.</param>
    /// <param name="messages">As for <see cref="Render"/>.</param>
    /// <param name="addGenerationPrompt">As for <see cref="Render"/>.</param>
    /// <param name="typed">What special tokens are that stand in a message; the template's own always are tokens.</param>
    /// <returns>[tokens] ids.</returns>
    /// <exception cref="InputException">As for <see cref="Render"/> and <see cref="Tokenizer.Encode(string)"/>.</exception>
    public int[] Encode(Tokenizer tokenizer, IReadOnlyList<Message> messages, bool addGenerationPrompt = false, SpecialTokens typed = SpecialTokens.Tokens)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        List<Range> words = [];
        string text = Write(messages, addGenerationPrompt, words);
        return tokenizer.Encode(text, typed == SpecialTokens.Text ? words : []);
    }

    // As Render; `words` gets the places of what comes from the messages: roles, which are rendered as they are, and contents.
    private static string Write(IReadOnlyList<Message> messages, bool addGenerationPrompt, List<Range> words)
    {
        ArgumentNullException.ThrowIfNull(messages);
        if (messages.Count == 0) throw new InputException("The conversation has no messages. Give at least a user's prompt and an assistant's response.");
        StringBuilder text = new("<bos>");
        for (int i = 0; i < messages.Count; i++)
        {
            (string role, string content) = messages[i];
            CheckTurn(i, role, content);
            text.Append("<start_of_turn>");
            Append(role == "assistant" ? "model" : role);
            text.Append('\n');
            Append(Strip(content));
            text.Append("<end_of_turn>\n");
        }
        if (addGenerationPrompt) text.Append("<start_of_turn>model\n");
        return text.ToString();

        void Append(ReadOnlySpan<char> part)
        {
            words.Add(text.Length..(text.Length + part.Length));
            text.Append(part);
        }
    }

    private static void CheckTurn(int index, string? role, string? content)
    {
        if (role is null) throw new InputException($"Message {index} (counted from 0) has no role. Give \"user\" or \"assistant\".");
        if (content is null) throw new InputException($"Message {index} (counted from 0) has no content. An empty one is \"\".");
        if (index == 0 && role == "system")
            throw new InputException("The template of Gemma-2 has no system role. Put the system message's text at the beginning of the first user message.");
        bool user = role == "user", userExpected = index % 2 == 0;
        if (user != userExpected)
            throw new InputException($"Message {index} (counted from 0) has the role {Shown.Quoted(role)}, but roles must alternate "
                + $"user/assistant/user/assistant/…: here it must {(userExpected ? "be" : "not be")} \"user\". "
                + (user ? "Join neighbouring messages of one speaker into one." : "Only assistants' turns go between users'."));
    }

    // Python's str.strip(), which also takes the separators \x1c … \x1f that C# does not count as white space.
    private static ReadOnlySpan<char> Strip(string text)
    {
        int start = 0, end = text.Length;
        while (start < end && IsSpace(text[start])) start++;
        while (end > start && IsSpace(text[end - 1])) end--;
        return text.AsSpan(start, end - start);

        static bool IsSpace(char c) => char.IsWhiteSpace(c) || c is >= '\x1c' and <= '\x1f';
    }
}
