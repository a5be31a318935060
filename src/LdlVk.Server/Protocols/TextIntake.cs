using LdlVk.Server.Http;

namespace LdlVk.Server.Protocols;

/// <summary>Collects, tokenizes and checks the texts of one request. A text that cannot be scored is kept as an error.</summary>
/// <param name="model">The model whose tokenizer encodes the texts.</param>
/// <param name="options">The limits.</param>
/// <param name="cancellationToken">Signals that the client has disconnected: the next text ends the request.</param>
internal sealed class TextIntake(RewardModel model, ServerOptions options, CancellationToken cancellationToken = default)
{
    /// <summary>
    /// Maximum number of characters of a Gemma-2 token. It shows that a very long text has too many tokens, without tokenizing it.
    /// </summary>
    private const int LongestToken = 64;

    /// <summary>
    /// Maximum number of characters of all texts, as a multiple of the largest body. A prompt counts once for each of its responses.
    /// </summary>
    private const int Repetition = 4;

    private long _characters;
    private readonly List<TokenizedText> _texts = [];

    /// <summary>The model's name.</summary>
    public string ModelName => options.ModelName;

    /// <summary>Maximum number of texts of a request.</summary>
    public int MaxTexts => options.MaxTexts;

    /// <summary>The texts so far.</summary>
    public IReadOnlyList<TokenizedText> Texts => _texts;

    /// <summary>Applies the model's chat template to a conversation and adds it.</summary>
    /// <param name="conversation">The conversation.</param>
    /// <param name="typed">How special tokens in its messages are read; null for the server's default.</param>
    /// <param name="cut">What happens if the text is too long.</param>
    public void Add(Conversation conversation, SpecialTokens? typed = null, Truncation cut = default) =>
        Add(
            conversation.Messages.Sum(m => (long)m.Content.Length),
            () => model.Encode(conversation, typed ?? options.SpecialTokens), cut);

    /// <summary>Adds a text that already contains the chat template.</summary>
    /// <param name="text">The text.</param>
    /// <param name="bos">Whether a text without <c>&lt;bos&gt;</c> gets one.</param>
    /// <param name="cut">What happens if the text is too long.</param>
    public void AddTemplated(string text, bool bos = true, Truncation cut = default) =>
        Add(text.Length, () => model.EncodeTemplated(text, bos), cut);

    /// <summary>Adds a text as token ids.</summary>
    /// <param name="ids">The ids.</param>
    /// <param name="cut">What happens if the text is too long.</param>
    public void Add(int[] ids, Truncation cut = default) => Add(new TokenizedText(cut.Apply(ids, model.MaxTokens)));

    /// <summary>Adds an error in the place of a text that could not be read.</summary>
    public void AddError(string reason) => Add(TokenizedText.Failed(reason));

    private void Add(long characters, Func<TokenizedText> tokenize, Truncation cut)
    {
        cancellationToken.ThrowIfCancellationRequested();
        _characters += characters;
        long max = (long)Repetition * options.MaxBodyBytes;
        if (_characters > max)
            throw new RequestException(
                413,
                $"The texts have more than {max} characters in total, where a prompt counts once for each response. "
                + $"Send fewer in a request.");
        if (!model.Truncates && cut.Cut is null && characters > (long)LongestToken * model.MaxTokens)
        {
            Add(TokenizedText.Failed(
                $"the text has {characters} characters, and the model takes at most {model.MaxTokens} tokens. Shorten it."));
            return;
        }

        TokenizedText text = tokenize();
        Add(text.Error is null ? new TokenizedText(cut.Apply(text.Ids, model.MaxTokens)) : text);
    }

    private void Add(TokenizedText text)
    {
        if (_texts.Count == MaxTexts)
            throw new RequestException(413, $"The request has more than {MaxTexts} texts. Send several requests.");
        _texts.Add(model.Check(text));
    }
}
