using LdlVk.Server.Http;

namespace LdlVk.Server.Protocols;

/// <summary>Takes the texts of one request, tokenises and checks them. A text that cannot be scored is kept as an error.</summary>
/// <param name="model">Whose tokens.</param>
/// <param name="options">The limits.</param>
/// <param name="gone">Says that nobody waits for the answer any more: the next text ends the request.</param>
internal sealed class TextIntake(RewardModel model, ServerOptions options, CancellationToken gone = default)
{
    /// <summary>No token of Gemma-2 has more characters: a longer text need not be tokenised to know that it is too long.</summary>
    private const int LongestToken = 64;

    /// <summary>Characters of all texts, as a multiple of the largest body: a prompt counts for each of its responses.</summary>
    private const int Repetition = 4;

    private long _characters;
    private readonly List<TokenizedText> _texts = [];

    /// <summary>The model's name.</summary>
    public string ModelName => options.ModelName;

    /// <summary>Texts of a request at most.</summary>
    public int Most => options.MaxTexts;

    /// <summary>The texts so far.</summary>
    public IReadOnlyList<TokenizedText> Texts => _texts;

    /// <summary>Adds a conversation, to which the model's template is applied.</summary>
    /// <param name="conversation">The conversation.</param>
    /// <param name="typed">What special tokens in its messages are; null for the server's default.</param>
    public void Add(Conversation conversation, SpecialTokens? typed = null) =>
        Add(conversation.Messages.Sum(m => (long)m.Content.Length), () => model.Encode(conversation, typed ?? options.SpecialTokens));

    /// <summary>Adds a text that holds the template already.</summary>
    /// <param name="text">The text.</param>
    /// <param name="bos">Whether a <c>&lt;bos&gt;</c> comes first where the text has none; it is never doubled.</param>
    /// <param name="cut">What is done with the ids before they are checked, such as dropping some.</param>
    public void AddTemplated(string text, bool bos = true, Func<int[], int[]>? cut = null)
    {
        Add(text.Length, () =>
        {
            TokenizedText ids = bos ? model.EncodeTemplated(text) : model.EncodeText(text);
            return ids.Error is null && cut is not null ? new TokenizedText(cut(ids.Ids)) : ids;
        });
    }

    /// <summary>Adds a text as token ids, which are used as they are.</summary>
    public void Add(int[] ids) => Add(new TokenizedText(ids));

    /// <summary>Adds what could not even be read as a text.</summary>
    public void AddError(string reason) => Add(TokenizedText.Failed(reason));

    private void Add(long characters, Func<TokenizedText> tokenize)
    {
        gone.ThrowIfCancellationRequested();
        _characters += characters;
        long most = (long)Repetition * options.MaxBodyBytes;
        if (_characters > most)
            throw new RequestException(
                413, $"The texts have more than {most} characters together, prompts counted for each response. Send fewer in a request.");
        bool hopeless = !model.Truncates && characters > (long)LongestToken * model.MaxTokens;
        Add(hopeless
            ? TokenizedText.Failed(
                $"the text has {characters} characters, and the model takes at most {model.MaxTokens} tokens. Shorten it.")
            : tokenize());
    }

    private void Add(TokenizedText text)
    {
        if (_texts.Count == Most) throw new RequestException(413, $"The request has more than {Most} texts. Send several requests.");
        _texts.Add(model.Check(text));
    }
}
