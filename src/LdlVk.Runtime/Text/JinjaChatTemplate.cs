using System.Security.Cryptography;
using System.Text;
using LdlVk.Runtime.Text.Jinja;

namespace LdlVk.Runtime.Text;

/// <summary>A chat template in Jinja: a checkpoint's own, or a file. What it is, it tells by rendering a short conversation.</summary>
internal sealed class JinjaChatTemplate : ChatTemplate
{
    private static readonly Message System = new("system", "Qx1"), User = new("user", "Qx2"), Assistant = new("assistant", "Qx3");

    private readonly JinjaTemplate _template;
    private readonly IReadOnlyDictionary<string, string> _tokens;
    private readonly DateTime _date;
    private bool _printsDate;

    /// <summary>Parses a template.</summary>
    /// <param name="source">Its text.</param>
    /// <param name="tokens">The tokenizer's special tokens by name, such as <c>bos_token</c>.</param>
    /// <param name="date">The date that it prints if it asks for today's.</param>
    /// <exception cref="JinjaException">It is not Jinja, or uses a part that is not here.</exception>
    public JinjaChatTemplate(string source, IReadOnlyDictionary<string, string> tokens, DateTime date)
        : base($"jinja-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(source)))[..12]}", "the checkpoint's",
            tokens.GetValueOrDefault("bos_token", ""))
    {
        (_template, _tokens, _date) = (new JinjaTemplate(source), tokens, date);
        Sample = Try([User, Assistant]);
        HasSystemRole = Try([System, User, Assistant])?.Contains(System.Content, StringComparison.Ordinal) == true;
        BeginsWithBos = BosToken.Length > 0 && Sample?.StartsWith(BosToken, StringComparison.Ordinal) == true;
        int end = Sample?.LastIndexOf(Assistant.Content, StringComparison.Ordinal) ?? -1;
        TurnEnd = end < 0 ? "" : Sample![(end + Assistant.Content.Length)..];
    }

    /// <summary>The text of a short conversation; null if the template refuses that.</summary>
    public string? Sample { get; }

    /// <summary>Whether the short conversation's words are not all in its text.</summary>
    public bool LeavesOutMessages => Sample is not null
        && !(Sample.Contains(User.Content, StringComparison.Ordinal) && Sample.Contains(Assistant.Content, StringComparison.Ordinal));

    public override bool BeginsWithBos { get; }

    public override bool HasSystemRole { get; }

    internal override bool PrintsDate => _printsDate;

    internal override string TurnEnd { get; }

    /// <summary>Renders variables other than a conversation's, such as tools: the messages as they are in the input.</summary>
    /// <exception cref="InputException">The template refuses them, fails, or does not end.</exception>
    public MarkedText Render(IEnumerable<KeyValuePair<string, object>> variables, long characters)
    {
        try
        {
            Dictionary<string, object> all = new(StringComparer.Ordinal) { ["tools"] = None.Value, ["documents"] = None.Value };
            foreach ((string name, string token) in _tokens) all[name] = MarkedText.OfTemplate(token);
            foreach ((string name, object value) in variables) all[name] = value;
            (MarkedText text, bool hasDate) = _template.Render(all, characters, _date);
            _printsDate |= hasDate;
            return text;
        }
        catch (JinjaException e)
        {
            throw new InputException(
                e.Fault == JinjaFault.Refused
                    ? $"The chat template refuses the conversation: {Shown.Short(e.Message)}"
                    : $"The chat template cannot render the conversation. Line {e.Line}: {Shown.Short(e.Message)}",
                e);
        }
    }

    internal override bool Is(string jinja) => false;

    private protected override void Write(ConversationText text, IReadOnlyList<Message> messages, bool addGenerationPrompt)
    {
        if (Sample is not null && !HasSystemRole && messages[0].Role == "system") throw NoSystemRole();
        MarkedText rendered = Render(
            [
                new("messages", new ListValue([.. messages.Select(Value)])),
                new("add_generation_prompt", Python.Of(addGenerationPrompt)),
            ],
            messages.Sum(message => (long)message.Role.Length + message.Content.Length));
        text.Add(rendered);
    }

    private static InputException NoSystemRole() => new(
        $"The checkpoint's chat template has no system role. Put the system message's text at the beginning of the first user message; "
        + $"{OptionName.SystemMessages.Of("merge")} does that.");

    private static DictValue Value(Message message) => new DictValue()
        .Set("role", MarkedText.OfMessage(message.Role)).Set("content", MarkedText.OfMessage(message.Content));

    private string? Try(Message[] messages)
    {
        try
        {
            return Render([new("messages", new ListValue([.. messages.Select(Value)])), new("add_generation_prompt", Python.False)],
                100).Value;
        }
        catch (InputException)
        {
            return null; // the template says why when a conversation is rendered
        }
    }
}
