using LdlVk.Runtime.Text.Jinja;

namespace LdlVk.Runtime.Text;

/// <summary>
/// Gemma-2's template: <c>&lt;bos&gt;</c>, then for each message <c>&lt;start_of_turn&gt;ROLE\nCONTENT&lt;end_of_turn&gt;\n</c>, with
/// <c>model</c> for <c>assistant</c> and the content without surrounding white space. Messages at even indices, and only those, have the
/// role <c>user</c>.
/// </summary>
internal sealed class Gemma2Template(string name, string title, bool bos) : ChatTemplate(name, title, "<bos>")
{
    private const string PrintBos = "{{ bos_token }}";

    /// <summary>
    /// The <c>chat_template</c> of Gemma-2-it and of models derived from it, without the part that prints <c>&lt;bos&gt;</c>.
    /// </summary>
    private const string Jinja =
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        + "{% for message in messages %}"
        + "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        + "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
        + "{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}"
        + "{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}"
        + "{% endfor %}"
        + "{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}";

    public override bool BeginsWithBos => bos;

    public override bool HasSystemRole => false;

    internal override string TurnEnd => "<end_of_turn>\n";

    internal override bool Is(string jinja) => JinjaTemplate.Canonical(jinja) == JinjaTemplate.Canonical(bos ? PrintBos + Jinja : Jinja);

    private protected override void Write(ConversationText text, IReadOnlyList<Message> messages, bool addGenerationPrompt)
    {
        if (bos) text.Add(BosToken);
        for (int i = 0; i < messages.Count; i++)
        {
            (string role, string content) = messages[i];
            CheckTurn(i, role);
            text.Add("<start_of_turn>").AddTyped(role == "assistant" ? "model" : role).Add("\n").AddTyped(Strip(content))
                .Add(TurnEnd);
        }
        if (addGenerationPrompt) text.Add("<start_of_turn>model\n");
    }

    private static void CheckTurn(int index, string role)
    {
        if (index == 0 && role == "system")
            throw new InputException(
                $"The template of Gemma-2 has no system role. Put the system message's text at the beginning of the first user message; "
                + $"{OptionName.SystemMessages.Of("merge")} does that.");
        bool user = role == "user", userExpected = index % 2 == 0;
        if (user != userExpected)
            throw new InputException($"Message {index} (counted from 0) has the role {Shown.Quoted(role)}, but roles must alternate "
                + $"user/assistant/user/assistant/…: here it must {(userExpected ? "be" : "not be")} \"user\". "
                + (user ? "Join neighboring messages of one speaker into one." : "Only assistant messages go between user messages."));
    }
}
