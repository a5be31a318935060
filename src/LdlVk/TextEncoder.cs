using LdlVk.Runtime.Text;
using LdlVk.Scoring;

namespace LdlVk;

/// <summary>
/// Turns texts and conversations into token ids as a checkpoint wants them. Needs the tokenizer's files alone. Thread-safe.
/// </summary>
public sealed class TextEncoder
{
    /// <summary>What there is for a chat template.</summary>
    public static IReadOnlyList<string> ChatTemplates { get; } = ["auto", .. ChatTemplate.All.Select(t => t.Name), "none"];

    private readonly Tokenizer? _tokenizer;
    private readonly Lazy<DetectedChatTemplate?> _template;
    private readonly Lazy<Padding> _padding;
    private readonly Lazy<TemplateMarkers> _markers;
    private readonly Lazy<int[]> _answerMarks;
    private readonly SystemMessages _system;

    /// <summary>Reads tokenizer.json or tokenizer.model, if there is one.</summary>
    /// <param name="folder">Folder of the checkpoint.</param>
    /// <param name="chatTemplate">
    /// <c>auto</c>: the checkpoint's own, looked for when it is first needed; a name of <see cref="ChatTemplate.All"/>: that one;
    /// <c>none</c>: contents joined as they are, between what the tokenizer puts around a text.
    /// </param>
    /// <param name="system">What happens to system messages where the template has no system role.</param>
    /// <param name="date">The date that the template prints if it asks for today's; null for <see
    /// cref="ChatTemplate.DefaultDate"/>.</param>
    /// <exception cref="CheckpointException">The tokenizer's file is damaged or of another kind.</exception>
    public TextEncoder(string folder, string chatTemplate = "auto", SystemMessages system = SystemMessages.Error, DateTime? date = null)
    {
        _system = system;
        _tokenizer = Tokenizer.Find(folder);
        _template = new(() => chatTemplate switch
        {
            "auto" => ChatTemplate.DetectFor(_tokenizer, Path.Combine(folder, "tokenizer_config.json"), date),
            _ when date is not null => throw new UsageException(
                $"The chat template {chatTemplate} prints no date, so {OptionName.TemplateDate} would change nothing. Leave it out."),
            "none" => null,
            _ => new DetectedChatTemplate(ChatTemplate.All.Single(t => t.Name == chatTemplate), Source: null, Note: null, Date: null),
        });
        _markers = new(() => new TemplateMarkers(Required));
        _answerMarks = new(FindAnswerMarks);
        _padding = new(() => new Padding(Required, _template.Value?.Template, Path.Combine(folder, "tokenizer_config.json")));
    }

    /// <summary>Whether there is a tokenizer.json or tokenizer.model; without one only token ids can be scored.</summary>
    public bool HasTokenizer => _tokenizer is not null;

    /// <summary>What the user should know about the choice of the template; null if nothing.</summary>
    /// <exception cref="CheckpointException">The checkpoint's template is not a known one.</exception>
    public Notice? Note => _template.Value?.Note;

    /// <summary>Name of the chat template that is used, and the date that it prints; <c>none</c> if there is none.</summary>
    /// <exception cref="CheckpointException">The checkpoint's template is not a known one.</exception>
    public string TemplateName => _template.Value is { } found
        ? found.Date is { } date ? $"{found.Template.Name} of {date}" : found.Template.Name
        : "none";

    /// <summary>Ids of a text as it is: no <c>&lt;bos&gt;</c>, no template.</summary>
    public int[] Encode(string text) => Required.Encode(text);

    /// <summary>
    /// Ids of a text as it is, with those that the tokenizer puts around every text: mostly bos, rarely eos; see
    /// <see cref="Tokenizer.Surround"/>.
    /// </summary>
    public int[] EncodeWhole(string text) => Required.Surround(Required.Encode(text));

    /// <summary>
    /// The first marker of another model's chat template in a text, in words; null if there is none. A marker that is one of this model's
    /// own tokens is none.
    /// </summary>
    public string? ForeignMarker(string text) => _tokenizer is null ? null : _markers.Value.Find(text);

    /// <summary>Finds the id of a token by its text.</summary>
    public bool TryGetId(string token, out int id) => Required.TryGetId(token, out id);

    /// <summary>The text of token ids, with its special tokens.</summary>
    /// <exception cref="InputException">An id is outside the vocabulary.</exception>
    public string Decode(ReadOnlySpan<int> ids) => Required.Decode(ids);

    /// <summary>A token's piece in the vocabulary; "" if there is no such token.</summary>
    public string Piece(int id) => Required.Piece(id) ?? "";

    /// <summary>
    /// Ids of a text that holds the template already. What trainers put around it is taken off: padding and end-of-text tokens, a second
    /// <c>&lt;bos&gt;</c>. What is missing of the template's end is added.
    /// </summary>
    /// <param name="text">The text.</param>
    /// <param name="bos">Whether a text without <c>&lt;bos&gt;</c> gets one, if the template begins with it.</param>
    public int[] EncodeTemplated(string text, bool bos = true) => Required.Encode(Complete(text, bos));

    /// <summary>
    /// The text that <see cref="EncodeTemplated"/> tokenizes: without what trainers put around it, and with the template's end.
    /// </summary>
    public string Complete(string text, bool bos = true) => _padding.Value.Strip(text, bos);

    /// <summary>Ids of a whole conversation, template included.</summary>
    /// <param name="conversation">The conversation.</param>
    /// <param name="typed">What special tokens are that stand in a message.</param>
    /// <param name="addGenerationPrompt">Whether the opening of the next turn follows; what is scored has none.</param>
    /// <exception cref="InputException">The conversation does not fit the template.</exception>
    /// <exception cref="CheckpointException">There is no tokenizer, or the template is not a known one.</exception>
    public int[] Encode(Conversation conversation, SpecialTokens typed = SpecialTokens.Tokens, bool addGenerationPrompt = false) =>
        Encode(conversation, typed, addGenerationPrompt, mark: null);

    /// <summary>Ids of a whole conversation, in whose last message a token is always one.</summary>
    /// <param name="conversation">The conversation.</param>
    /// <param name="typed">What other special tokens are that stand in a message.</param>
    /// <param name="mark">The token.</param>
    internal int[] EncodeMarked(Conversation conversation, SpecialTokens typed, string mark) => Encode(conversation, typed, false, mark);

    private int[] Encode(Conversation conversation, SpecialTokens typed, bool addGenerationPrompt, string? mark)
    {
        if (_template.Value is { Template: var template })
            return template.Encode(Required, MessagesFor(template, conversation), addGenerationPrompt, typed, mark);
        return Required.Surround(ChatTemplate.EncodeContents(Required, conversation.Messages, typed, mark));
    }

    /// <summary>
    /// Ids of a conversation, with the positions of its steps if the model scores steps: as a process reward model's own code writes them.
    /// </summary>
    /// <param name="conversation">The conversation.</param>
    /// <param name="marks">How the model's code marks steps.</param>
    /// <param name="separator">What separates the steps of a response that is one text; null for what the model's code takes.</param>
    /// <param name="typed">What special tokens are that stand in a message.</param>
    /// <exception cref="InputException">The conversation does not fit the template, or has steps where the model scores none, or none where
    /// it does.</exception>
    public TokenizedText Encode(Conversation conversation, StepMarks marks, string? separator, SpecialTokens typed = SpecialTokens.Tokens)
    {
        return marks != StepMarks.None ? new StepEncoder(this, marks, separator).Encode(conversation, typed)
            : new TokenizedText(Encode(WithoutSteps(conversation), typed));
    }

    /// <summary>Returns ids with the positions of the tokens that mark steps, if the model marks them so and none are given.</summary>
    public TokenizedText Marked(TokenizedText text, StepMarks marks) =>
        HasTokenizer && text.Error is null ? new StepEncoder(this, marks, null).Marked(text) : text;

    /// <summary>
    /// The text of a conversation with its template, as <see cref="Encode(Conversation, SpecialTokens, bool)"/> tokenizes it.
    /// </summary>
    /// <exception cref="InputException">The conversation does not fit the template.</exception>
    /// <exception cref="CheckpointException">The template is not a known one.</exception>
    public string Render(Conversation conversation) => _template.Value is { } template
        ? template.Template.Render(MessagesFor(template.Template, conversation))
        : string.Concat(conversation.Messages.Select(m => m.Content));

    /// <summary>As <see cref="Render(Conversation)"/>, with what marks the steps, if the model scores steps.</summary>
    /// <param name="conversation">The conversation.</param>
    /// <param name="marks">How the model's code marks steps.</param>
    /// <param name="separator">What separates the steps of a response that is one text; null for what the model's code takes.</param>
    /// <exception cref="InputException">The conversation does not fit the template, or the model's code.</exception>
    public string Render(Conversation conversation, StepMarks marks, string? separator = null) => marks == StepMarks.None
        ? Render(WithoutSteps(conversation)) : new StepEncoder(this, marks, separator).Render(conversation);

    /// <summary>The text of the tokenizer's bos token, whether or not it stands in front of every text; "" if there is none.</summary>
    internal string BosText => Required.DeclaredBos ?? (Required.Bos is { } bos ? Piece(bos) : "");

    /// <summary>
    /// The tokens that the template has between a prompt and its answer; none if it has fewer than two of its own, or if there is no
    /// tokenizer.
    /// </summary>
    internal ReadOnlySpan<int> AnswerMarks => _answerMarks.Value;

    private int[] FindAnswerMarks()
    {
        try
        {
            int[] ids = Encode(new Conversation("one", "two"));
            int to = ids.AsSpan().CommonPrefixLength(Encode(new Conversation("one", "six")));
            int[] other = Encode(new Conversation("ten", "two"));
            int same = 0;
            while (same < Math.Min(ids.Length, other.Length) && ids[^(same + 1)] == other[^(same + 1)]) same++;
            int from = ids.Length - same;
            return to - from >= 2 ? ids[from..to] : [];
        }
        catch (LdlVkException e) when (e is InputException or CheckpointException)
        {
            return [];
        }
    }

    private static Conversation WithoutSteps(Conversation conversation) => conversation.Steps is null ? conversation
        : throw new InputException(
            $"the text has steps, and this model scores whole texts. Leave them out, or choose {OptionName.Head.Of("steps")} if its head "
            + $"was trained on steps.");

    /// <summary>Returns the messages, with the system message merged where the template needs it and the options allow it.</summary>
    private IReadOnlyList<Message> MessagesFor(ChatTemplate template, Conversation conversation)
    {
        IReadOnlyList<Message> messages = conversation.Messages;
        return _system == SystemMessages.Merge && !template.HasSystemRole
            && messages is [{ Role: "system", Content: { } system }, { Role: "user", Content: { } user }, ..]
            ? [new Message("user", $"{system}\n\n{user}"), .. messages.Skip(2)]
            : messages;
    }

    private Tokenizer Required => _tokenizer
        ?? throw new CheckpointException(
            "the model has neither tokenizer.json nor tokenizer.model, so only input_ids can be scored. Download one from the model's "
            + "page, into its folder.");
}
