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

    /// <summary>
    /// Maximum number of characters of a text that is truncated, as a multiple of what the model takes: tokenizing needs memory and time
    /// for all of it.
    /// </summary>
    private const int Truncatable = 8;

    /// <summary>Bytes of the objects of a text with an error, which is in no queue.</summary>
    private const int ErrorBytes = 256;

    /// <summary>More tokens than a template puts around a message.</summary>
    private const int Marks = 64;

    private readonly List<TokenizedText> _texts = [];
    private string? _longPrompt;
    private long _characters, _tokens, _kept;

    /// <summary>The model.</summary>
    public RewardModel Model => model;

    /// <summary>Whether the texts are read at every token.</summary>
    public bool EveryToken { get; set; }

    /// <summary>How special tokens in messages are read.</summary>
    public SpecialTokens SpecialTokens { get; set; } = options.SpecialTokens;

    /// <summary>The model's name.</summary>
    public string ModelName => options.ModelName;

    /// <summary>Maximum number of texts of a request.</summary>
    public int MaxTexts => options.MaxTexts;

    /// <summary>Bytes beside the token ids that the request holds until it is answered.</summary>
    public long KeptBytes => _kept + (sizeof(char) * (long)(_longPrompt?.Length ?? 0));

    /// <summary>The texts so far.</summary>
    public IReadOnlyList<TokenizedText> Texts => _texts;

    /// <summary>Applies the model's chat template to a conversation and adds it.</summary>
    /// <param name="conversation">The conversation.</param>
    /// <param name="cut">What happens if the text is too long.</param>
    public void Add(Conversation conversation, Truncation cut = default)
    {
        IReadOnlyList<Message> messages = conversation.Messages;
        bool isRefusedIfLong = !model.Truncates && cut.Cut is null;
        if (messages.Count > (isRefusedIfLong ? 1 : Truncatable) * model.MaxTokens)
        {
            AddError($"the conversation has {messages.Count} messages, and the model takes at most {model.MaxTokens} tokens. Shorten it.");
            return;
        }

        if (isRefusedIfLong && messages.Count > 1 && ReferenceEquals(messages[^2].Content, _longPrompt))
        {
            AddError($"the prompt alone has more than the {model.MaxTokens} tokens that the model takes. Shorten it.");
            return;
        }

        Add(messages.Select(m => m.Content), Encode, cut);

        TokenizedText Encode()
        {
            TokenizedText text = model.Encode(conversation, SpecialTokens);
            if (messages.Count < 2) return text;
            // Each of many responses would otherwise be tokenized with the same prompt, in vain. A character is at most 4 tokens.
            long least = text.Ids.Length - (4L * messages[^1].Content.Length) - Marks;
            if (least > model.MaxTokens) _longPrompt = messages[^2].Content;
            return text;
        }
    }

    /// <summary>Adds a text that already contains the chat template.</summary>
    /// <param name="text">The text.</param>
    /// <param name="bos">Whether a text without <c>&lt;bos&gt;</c> gets one.</param>
    /// <param name="cut">What happens if the text is too long.</param>
    public void AddTemplated(string text, bool bos = true, Truncation cut = default) =>
        Add([text], () => model.EncodeTemplated(text, bos), cut);

    /// <summary>Adds a text as token ids.</summary>
    /// <param name="ids">The ids.</param>
    /// <param name="cut">What happens if the text is too long.</param>
    /// <param name="steps">The index of each step's last token; null if none are given.</param>
    public void Add(int[] ids, Truncation cut = default, int[]? steps = null) => Add(Cut(new TokenizedText(ids) { Steps = steps }, cut));

    /// <summary>Counts a string that the answer will have.</summary>
    public void Keep(string text) => _kept += sizeof(char) * (long)text.Length;

    /// <summary>Adds an error in the place of a text that could not be read.</summary>
    public void AddError(string reason)
    {
        Keep(reason);
        Add(TokenizedText.Failed(reason));
    }

    private void Add(IEnumerable<string> contents, Func<TokenizedText> tokenize, Truncation cut)
    {
        cancellationToken.ThrowIfCancellationRequested();
        long characters = contents.Sum(content => (long)content.Length);
        _characters += characters;
        long max = (long)Repetition * options.MaxBodyBytes;
        if (_characters > max)
            throw new RequestException(
                413,
                $"The texts have more than {max} characters in total, where a prompt counts once for each response. "
                + $"Send fewer in a request.");
        if (WhyTooLong(contents, characters, cut) is { } reason)
        {
            Add(TokenizedText.Failed(reason));
            return;
        }

        TokenizedText text = tokenize();
        Add(text.Error is null ? Cut(text, cut) : text);
    }

    /// <summary>Cuts a text that is too long; one with steps is refused, since their ends would be lost.</summary>
    private TokenizedText Cut(TokenizedText text, Truncation cut)
    {
        int[] ids = cut.Apply(text.Ids, model.MaxTokens);
        return text.Steps is null || ids.Length == text.Ids.Length ? text with { Ids = ids } : TokenizedText.Failed(
            $"the text has {text.Ids.Length} tokens, and cutting it would lose the ends of steps. Shorten it.");
    }

    /// <summary>Throws if a text is too long to be tokenized.</summary>
    public void CheckLength(IEnumerable<string> contents)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (WhyTooLong(contents, contents.Sum(content => (long)content.Length), Truncation.WithoutMiddle) is { } reason)
            throw new RequestException(413, reason);
    }

    /// <summary>Returns why a text is too long to be tokenized; null if it is not.</summary>
    private string? WhyTooLong(IEnumerable<string> contents, long characters, Truncation cut)
    {
        long most = (long)LongestToken * model.MaxTokens;
        if (characters <= most) return null;
        if (!model.Truncates && cut.Cut is null)
            return $"the text has {characters} characters, and the model takes at most {model.MaxTokens} tokens. Shorten it.";
        if (characters > Truncatable * most)
            return $"the text has {characters} characters; at most {Truncatable * most} are read, also of a text that is truncated.";
        // The time and the memory of tokenization are those of the longest word.
        foreach (string content in contents)
        {
            ReadOnlySpan<char> rest = content;
            while (rest.Length > most)
            {
                int word = rest.IndexOfAny(" \n\t\r");
                if (word < 0) word = rest.Length;
                if (word > most) return $"the text has a word of {word} characters. A text that is truncated has words of at most {most}.";
                rest = word == rest.Length ? [] : rest[(word + 1)..];
            }
        }

        return null;
    }

    private void Add(TokenizedText text)
    {
        if (_texts.Count == MaxTexts)
            throw new RequestException(413, $"The request has more than {MaxTexts} texts. Send several requests.");
        TokenizedText read = model.Check(text with { EveryToken = EveryToken });
        _tokens += read.Ids.Length;
        if (read.Error is not null) _kept += ErrorBytes;
        // The queue would refuse them all; the rest need not be tokenized.
        if (_tokens > options.MaxQueueTokens)
            throw new RequestException(
                413,
                $"The texts have more than {options.MaxQueueTokens} tokens in total, which is the limit. Send fewer texts in a request.");
        _texts.Add(read);
    }
}
