using System.Security.Cryptography;
using System.Text;
using LdlVk.Runtime.Text.Jinja;

namespace LdlVk.Runtime.Text;

/// <summary>
/// Llama 3's template: <c>&lt;|begin_of_text|&gt;</c>, then for each message
/// <c>&lt;|start_header_id|&gt;ROLE&lt;|end_header_id|&gt;\n\nCONTENT&lt;|eot_id|&gt;</c>, the content without surrounding white space.
/// Llama 3.1's template begins with a system message of two fixed dates, followed by the content of the conversation's own system message.
/// </summary>
internal sealed class Llama3Template(string name, string title, bool dated) : ChatTemplate(name, title, "<|begin_of_text|>")
{
    private const string Jinja =
        "{% set loop_messages = messages %}{% for message in loop_messages %}"
        + "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'"
        + "+ message['content'] | trim + '<|eot_id|>' %}"
        + "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
        + "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}";

    /// <summary>
    /// SHA-256 of the tokens of Llama 3.1's published template (<see cref="JinjaTemplate.Canonical"/>). The text itself is mostly about
    /// tools, which scoring does not use.
    /// </summary>
    private const string DatedHash = "95b98deb29dd63d5ba84c8596adee186d32130039876a18565735cd484c6547d";

    internal override string TurnEnd => "<|eot_id|>";

    internal override bool Is(string jinja) => dated
        ? JinjaTemplate.Canonical(jinja) is { } tokens
            && Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(tokens))) == DatedHash
        : JinjaTemplate.Canonical(jinja) == JinjaTemplate.Canonical(Jinja);

    private protected override void Write(ConversationText text, IReadOnlyList<Message> messages, bool addGenerationPrompt)
    {
        text.Add(BosToken);
        int first = 0;
        if (dated)
        {
            Header(text, "system").Add("Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n");
            if (messages[0].Role == "system") text.AddTyped(Strip(messages[first++].Content));
            text.Add(TurnEnd);
        }
        for (int i = first; i < messages.Count; i++)
        {
            (string role, string content) = messages[i];
            if (dated && role is ("tool" or "ipython"))
                throw new InputException(
                    $"Message {i} (counted from 0) has the role {Shown.Quoted(role)}; tool messages are not supported. "
                    + $"Put its content into a user message.");
            Header(text, role).AddTyped(Strip(content)).Add(TurnEnd);
        }
        if (addGenerationPrompt) Header(text, "assistant");
    }

    private static ConversationText Header(ConversationText text, string role) =>
        text.Add("<|start_header_id|>").AddTyped(role).Add("<|end_header_id|>\n\n");
}
