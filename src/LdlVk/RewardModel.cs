using System.Runtime.CompilerServices;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Formatting;
using LdlVk.Runtime.Model;
using LdlVk.Scoring;

namespace LdlVk;

/// <summary>
/// A reward model, loaded and ready to score. A text's score has the same bits alone or in any batch. Thread-safe: concurrent calls
/// alternate, micro-batch by micro-batch. Dispose it to free the devices.
/// </summary>
public sealed class RewardModel : IDisposable
{
    private readonly ScoringSession _session;
    private readonly TextEncoder _text;
    private readonly RewardModelOptions _options;
    private readonly Lazy<ScoreIdentity> _identity;
    private Action<Notice>? _warning;
    private long _textsWithForeignMarkers;

    private RewardModel(ScoringSession session, TextEncoder text, RewardModelOptions options)
    {
        (_session, _text, _options) = (session, text, options);
        _identity = new(() => session.Identity);
        session.GateHint = GateHint;
        session.FindAnswer = FindAnswer;
        Notice[] notes = [.. ((Notice?[])[
            text.HasTokenizer ? text.Note : null, LoadNotes.Of(session.UnusedTensors),
            text.HasTokenizer && StepMarks == StepMarks.None ? LoadNotes.OfReading(c => Encode(c), ids => ReadPosition(ids)) : null])
            .OfType<Notice>()];
        Note = notes.Length == 0 ? null : Notice.Join(" ", notes);
    }

    /// <summary>
    /// Raised on the scoring thread after a failure that was mended: a lost device was opened again and given the weights again, or a batch
    /// was scored in smaller pieces for lack of memory; and on the thread that encodes, once, for a text with a marker of another model's
    /// chat template. The argument is a message for the user.
    /// </summary>
    public event Action<Notice>? Warning
    {
        add
        {
            _session.Warning += value;
            _warning += value;
        }
        remove
        {
            _session.Warning -= value;
            _warning -= value;
        }
    }

    /// <summary>Number of texts so far with a marker of another model's chat template, see <see cref="ForeignMarkers"/>.</summary>
    public long TextsWithForeignMarkers => Interlocked.Read(ref _textsWithForeignMarkers);

    /// <summary>Which layers are on which device, and how texts go through them.</summary>
    public ExecutionPlan Plan => _session.Plan;

    /// <summary>The devices, in the order of their layers.</summary>
    public IReadOnlyList<DeviceInfo> Devices => [.. Plan.Stages.Select(s => s.Device)];

    /// <summary>Format of the backbone's weights on the devices.</summary>
    public WeightFormat Weights => Plan.Weights;

    /// <summary>How the backbone's products are computed.</summary>
    public ComputeMode Compute => _options.Compute;

    /// <summary>What scores depend on. The first use reads the model's files in part, which takes up to some seconds.</summary>
    /// <exception cref="CheckpointException">The model's files cannot be read.</exception>
    public ScoreIdentity Identity => _identity.Value;

    /// <summary>
    /// The error of the first micro-batch's scores; null before it, and unless <see cref="RewardModelOptions.MeasureComputeError"/> is set.
    /// </summary>
    public ComputeError? ComputeError => _session.ComputeError;

    /// <summary>How full the prompt cache is, and what it did since the model was loaded; zeros without one.</summary>
    public PromptCacheUse PromptCache => _session.PromptCache;

    /// <summary>Longest text in tokens.</summary>
    public int MaxTokens => _session.MaxTokens;

    /// <summary>Whether longer texts lose tokens from their middle, see <see cref="RewardModelOptions.Truncate"/>.</summary>
    public bool Truncates => _options.Truncate;

    /// <summary>Whether texts with markers of another model's chat template are refused.</summary>
    public bool RefusesForeignMarkers => _options.ForeignMarkers == ForeignMarkers.Refuse;

    /// <summary>
    /// Names of the attributes from the checkpoint's labels.json, or their numbers; empty for a model that gives the score alone.
    /// </summary>
    public IReadOnlyList<string> AttributeNames => _session.AttributeNames;

    /// <summary>What the user should know about how the checkpoint was understood; null if nothing.</summary>
    public Notice? Note { get; }

    /// <summary>How the model's code marks the steps of a response; none for a model that scores whole texts.</summary>
    public StepMarks StepMarks => _session.Head.StepMarks;

    /// <summary>How the scores of steps become one; null for a model that scores whole texts.</summary>
    public StepAggregation? StepAggregation =>
        StepMarks == StepMarks.None ? null : _options.StepAggregation ?? _session.Head.DefaultAggregation;

    /// <summary>A phrase that says which positions of a text the head reads.</summary>
    public string ReadSummary => _session.Head.ReadSummary;

    /// <summary>That loading spent time on tuning a device for this model; null if it did not.</summary>
    public Notice? TuningNote => _session.TuningNote;

    /// <summary>
    /// The plan that <see cref="Load(string, RewardModelOptions?, IProgress{LoadProgress}?, CancellationToken)"/> would follow. Nothing is
    /// loaded.
    /// </summary>
    /// <param name="folder">The checkpoint.</param>
    /// <param name="options">How to run; null for the defaults.</param>
    /// <exception cref="CheckpointException">The checkpoint is damaged or not supported.</exception>
    /// <exception cref="UsageException">An option is wrong.</exception>
    /// <exception cref="DeviceException">No device is large enough.</exception>
    public static ExecutionPlan MakePlan(string folder, RewardModelOptions? options = null)
    {
        using Checkpoint checkpoint = Checkpoint.Open(folder, options?.Adapter, options?.Head);
        return MakePlan(checkpoint, options);
    }

    /// <summary>As <see cref="MakePlan(string, RewardModelOptions?)"/>, for an open checkpoint.</summary>
    public static ExecutionPlan MakePlan(Checkpoint checkpoint, RewardModelOptions? options = null)
    {
        options ??= new RewardModelOptions();
        ArgumentNullException.ThrowIfNull(checkpoint);
        options.Check();
        options.CheckFor(checkpoint.Head);
        options.CheckForText(checkpoint);
        return Placement.Plan(checkpoint, options);
    }

    /// <summary>Opens a checkpoint folder and uploads the weights to one device, or divides them over several.</summary>
    /// <param name="folder">A Hugging Face folder with safetensors or pytorch_model.bin, config.json, heads in files of their own, and
    /// tokenizer.json or tokenizer.model; or that of a PEFT adapter.</param>
    /// <param name="options">How to run; null for the defaults.</param>
    /// <param name="progress">Told how much has been uploaded.</param>
    /// <param name="cancellationToken">Ends the loading.</param>
    /// <exception cref="CheckpointException">The checkpoint is damaged or not supported.</exception>
    /// <exception cref="UsageException">An option is wrong.</exception>
    /// <exception cref="DeviceException">The device failed or is too small.</exception>
    public static Task<RewardModel> LoadAsync(
        string folder, RewardModelOptions? options = null, IProgress<LoadProgress>? progress = null,
        CancellationToken cancellationToken = default) =>
        Task.Run(() => Load(folder, options, progress, cancellationToken), cancellationToken);

    /// <summary>As <see cref="LoadAsync"/>, on the calling thread.</summary>
    public static RewardModel Load(
        string folder, RewardModelOptions? options = null, IProgress<LoadProgress>? progress = null,
        CancellationToken cancellationToken = default) =>
        Load(folder, stage => ComputeDevices.Open(stage.Device, options?.Memory.Count > 0 ? stage.Budget : null), options, progress,
            cancellationToken);

    /// <summary>
    /// As <see cref="Load(string, RewardModelOptions?, IProgress{LoadProgress}?, CancellationToken)"/>, with devices that the caller opens.
    /// </summary>
    internal static RewardModel Load(
        string folder, Func<StagePlan, IDevice> open, RewardModelOptions? options = null, IProgress<LoadProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        options ??= new RewardModelOptions();
        options.Check();
        Checkpoint checkpoint = Checkpoint.Open(folder, options.Adapter, options.Head);
        try
        {
            options.CheckFor(checkpoint.Head);
            options.CheckForText(checkpoint);
            var text = new TextEncoder(checkpoint.TextFolder, options.ChatTemplate, options.SystemMessages, options.TemplateDate);
            // An unknown template is an error before the weights are uploaded, not after.
            if (text.HasTokenizer) _ = text.Note;
            return new RewardModel(ScoringSession.Load(checkpoint, open, options, progress, cancellationToken), text, options);
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    /// <summary>The text of a conversation as the model reads it: with its template, and with what marks steps.</summary>
    /// <exception cref="InputException">The conversation does not fit the template.</exception>
    public string Render(Conversation conversation) => _text.Render(conversation, StepMarks, _options.StepSeparator);

    /// <summary>The text that <see cref="EncodeTemplated"/> tokenizes.</summary>
    public string Complete(string text) => _text.Complete(text);

    /// <summary>Token ids of a conversation, template included.</summary>
    /// <param name="conversation">The conversation.</param>
    /// <param name="typed">How special tokens within a message are read; null for <see cref="RewardModelOptions.SpecialTokens"/>.</param>
    /// <param name="addGenerationPrompt">Whether the opening of the next turn follows; what is scored has none.</param>
    /// <exception cref="InputException">The conversation does not fit the template.</exception>
    /// <exception cref="CheckpointException">The checkpoint has no tokenizer.</exception>
    public int[] Tokenize(Conversation conversation, SpecialTokens? typed = null, bool addGenerationPrompt = false) =>
        _text.Encode(conversation, typed ?? _options.SpecialTokens, addGenerationPrompt);

    /// <summary>Token ids of a text as it is.</summary>
    /// <param name="text">The text.</param>
    /// <param name="addSpecialTokens">Whether it gets what the tokenizer puts around every text: mostly bos, rarely eos.</param>
    /// <exception cref="CheckpointException">The checkpoint has no tokenizer.</exception>
    public int[] Tokenize(string text, bool addSpecialTokens = true) => addSpecialTokens ? _text.EncodeWhole(text) : _text.Encode(text);

    /// <summary>The text of token ids, with its special tokens.</summary>
    /// <exception cref="InputException">An id is outside the vocabulary.</exception>
    /// <exception cref="CheckpointException">The checkpoint has no tokenizer.</exception>
    public string Detokenize(ReadOnlySpan<int> ids) => _text.Decode(ids);

    /// <summary>A token's piece in the vocabulary, such as "▁the"; "" if there is no such token.</summary>
    public string Piece(int id) => _text.Piece(id);

    /// <summary>
    /// As <see cref="Tokenize(Conversation, SpecialTokens?, bool)"/>, but an error is part of the result. A checkpoint without a tokenizer
    /// is an error of each conversation, since texts given as ids can still be scored.
    /// </summary>
    public TokenizedText Encode(Conversation conversation, SpecialTokens? typed = null) =>
        EncodedOrFailed(() => EncodeSteps(conversation, typed), [.. conversation.Messages.Select(m => m.Content)]);

    /// <summary>
    /// Token ids of a text that holds the template and its special tokens already, or why there are none. Padding and end-of-text tokens
    /// at its ends and a second <c>&lt;bos&gt;</c> are taken off, and what is missing of the template's end is added.
    /// </summary>
    /// <param name="text">The text.</param>
    /// <param name="bos">Whether a text without <c>&lt;bos&gt;</c> gets one, if the template begins with it.</param>
    public TokenizedText EncodeTemplated(string text, bool bos = true) =>
        EncodedOrFailed(() => Marked(new TokenizedText(_text.EncodeTemplated(text, bos))), text);

    /// <summary>
    /// Returns the index of the token that the head reads: the last one, unless the text contains the model's padding token.
    /// </summary>
    /// <param name="ids">The ids of a text, at least one.</param>
    public int ReadPosition(ReadOnlySpan<int> ids) => _session.ReadPosition(ids);

    /// <summary>
    /// The ids that would be scored: up to the token that the head reads, truncated where <see cref="RewardModelOptions.Truncate"/> is set;
    /// or why they cannot be.
    /// </summary>
    public TokenizedText Check(TokenizedText text) => text.Error is not null ? text : EncodedOrFailed(() =>
    {
        PackedText packed = _session.Check(Marked(text));
        return text with { Ids = packed.Ids, Steps = StepMarks == StepMarks.None ? null : packed.Reads };
    });

    /// <summary>
    /// Returns a text with the positions of its steps, if the model marks steps by a token and no positions are given.
    /// </summary>
    public TokenizedText Marked(TokenizedText text) => _text.Marked(text, StepMarks);

    /// <summary>Whether the model can be read at every token of a text. See <see cref="TokenizedText.EveryToken"/>.</summary>
    public bool ScoresTokens => _session.Head.ScoresTokens;

    /// <summary>
    /// The positions that the head reads, in the head's order: the score's, which is the last, with the gate's before it if the model has
    /// gates; or those of the steps.
    /// </summary>
    /// <exception cref="InputException">The text lacks what the head reads.</exception>
    public IReadOnlyList<int> ReadPositions(TokenizedText text) => _session.ReadPositions(Marked(text));

    /// <summary>
    /// Returns ids without those in the middle that are too many, as <see cref="RewardModelOptions.Truncate"/> drops them.
    /// </summary>
    /// <param name="ids">The ids.</param>
    /// <param name="max">Maximum number of ids to keep.</param>
    public static int[] DropMiddle(int[] ids, int max) => ScoringSession.DropMiddle(ids, max);

    /// <summary>Scores one conversation.</summary>
    /// <exception cref="InputException">It cannot be scored.</exception>
    public Reward Score(Conversation conversation)
    {
        TokenizedText text = EncodeSteps(conversation, null);
        CheckMarkers([.. conversation.Messages.Select(m => m.Content)]);
        return _session.ScoreTogether([text], CancellationToken.None)[0].Value;
    }

    /// <summary>Scores one text given as token ids.</summary>
    /// <param name="tokenIds">The ids.</param>
    /// <param name="trace">Takes all intermediates; null for none.</param>
    /// <param name="cancellationToken">Ends it between micro-batches.</param>
    /// <exception cref="InputException">It cannot be scored.</exception>
    public Reward Score(int[] tokenIds, ITrace? trace = null, CancellationToken cancellationToken = default) =>
        Score(new TokenizedText(tokenIds), trace, cancellationToken);

    /// <inheritdoc cref="Score(int[], ITrace?, CancellationToken)"/>
    /// <param name="text">The text, with the positions of its steps if the model scores steps.</param>
    /// <param name="trace">Takes all intermediates; null for none.</param>
    /// <param name="cancellationToken">Ends it between micro-batches.</param>
    public Reward Score(TokenizedText text, ITrace? trace = null, CancellationToken cancellationToken = default) => trace is null
        ? _session.ScoreTogether([Marked(text)], cancellationToken)[0].Value
        : _session.ScoreTraced(Marked(text), trace, cancellationToken);

    /// <summary>Compares two responses to a prompt.</summary>
    /// <exception cref="InputException">One of them cannot be scored.</exception>
    public Comparison Compare(string prompt, string a, string b)
    {
        Reward[] both = ScoreResponses(prompt, [a, b]);
        return new Comparison(both[0], both[1]);
    }

    /// <summary>The responses to a prompt, best first; of equals, the earlier one first.</summary>
    /// <exception cref="InputException">One of them cannot be scored.</exception>
    public IReadOnlyList<RankedResponse> Rank(string prompt, IReadOnlyList<string> responses) =>
        [.. ScoreResponses(prompt, responses)
            .Select((reward, i) => new RankedResponse(i, responses[i], reward))
            .OrderByDescending(r => r.Reward.Score)];

    /// <summary>Scores some texts together on the calling thread, and returns when all are done.</summary>
    /// <param name="texts">The texts; more than a micro-batch are packed into several.</param>
    /// <param name="cancellationToken">Ends it between micro-batches.</param>
    /// <returns>A result for each, in their order.</returns>
    /// <exception cref="DeviceException">A device failed, and not all could be scored.</exception>
    public ScoreResult[] ScoreTogether(IReadOnlyList<TokenizedText> texts, CancellationToken cancellationToken = default) =>
        _session.ScoreTogether([.. texts.Select(Marked)], cancellationToken);

    /// <summary>Scores many conversations. The results come in input order, each as soon as its window of texts is done.</summary>
    /// <param name="conversations">
    /// The conversations; their number is not limited, since they are read only some micro-batches ahead of the results. They are read
    /// between the results, on a thread of the pool, never while the caller uses a result.
    /// </param>
    /// <param name="progress">Told after each micro-batch.</param>
    /// <param name="cancellationToken">Ends the scoring between micro-batches.</param>
    public IAsyncEnumerable<ScoreResult> ScoreManyAsync(
        IEnumerable<Conversation> conversations, IProgress<ScoreProgress>? progress = null,
        CancellationToken cancellationToken = default) =>
        ScoreManyAsync(conversations.Select(c => Encode(c)), progress, cancellationToken);

    /// <summary>Scores many texts given as token ids, or as the error that kept a text from becoming ids.</summary>
    public async IAsyncEnumerable<ScoreResult> ScoreManyAsync(
        IEnumerable<TokenizedText> texts, IProgress<ScoreProgress>? progress = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        using IEnumerator<ScoreResult[]> windows = _session.ScoreMany(texts.Select(Marked), progress, cancellationToken).GetEnumerator();
        while (await Task.Run(windows.MoveNext, cancellationToken).ConfigureAwait(false))
            foreach (ScoreResult result in windows.Current) yield return result;
    }

    /// <summary>Frees the devices, after the micro-batches that they compute; calls still under way end with an error.</summary>
    public void Dispose() => _session.Dispose();

    /// <summary>The rewards of the responses to a prompt, in their order.</summary>
    private Reward[] ScoreResponses(string prompt, IReadOnlyList<string> responses)
    {
        TokenizedText[] texts = [.. responses.Select(r => EncodeSteps(new Conversation(prompt, r), null))];
        foreach (string response in responses) CheckMarkers(prompt, response);
        return [.. _session.ScoreTogether(texts, CancellationToken.None).Select(r => r.Value)];
    }

    /// <summary>Counts and refuses texts with a marker of another model's template, or warns of the first.</summary>
    /// <exception cref="InputException">One has such a marker, and they are refused.</exception>
    private void CheckMarkers(params ReadOnlySpan<string> texts)
    {
        foreach (string text in texts)
        {
            if (_text.ForeignMarker(text) is not { } marker) continue;
            bool isFirst = Interlocked.Increment(ref _textsWithForeignMarkers) == 1;
            if (_options.ForeignMarkers == ForeignMarkers.Refuse)
                throw new InputException(
                    $"the text has {marker}. Send messages, or texts in this model's own template; or choose "
                    + $"{OptionName.ForeignMarkers.Of("warn")}.");
            if (isFirst)
                _warning?.Invoke(
                    $"A text has {marker}: was it made for another model? It is scored as it is, and so are others like it, which are "
                    + $"counted. {OptionName.ForeignMarkers.Of("refuse")} refuses them.");
            break;
        }
    }

    /// <summary>The ids of a conversation, with the positions of its steps if the model scores steps.</summary>
    private TokenizedText EncodeSteps(Conversation conversation, SpecialTokens? typed) =>
        _text.Encode(conversation, StepMarks, _options.StepSeparator, typed ?? _options.SpecialTokens);

    /// <summary>Where a text's last answer begins, by what the template has before it; 0 if that is not there.</summary>
    private int FindAnswer(ReadOnlySpan<int> ids)
    {
        ReadOnlySpan<int> marks = _text.AnswerMarks;
        return marks.IsEmpty || ids.LastIndexOf(marks) is not (>= 0 and var place) ? 0 : place + marks.Length;
    }

    /// <summary>The gate's pattern as text, and the template that should have written it.</summary>
    private Notice GateHint() => !_text.HasTokenizer ? "" : (Notice)(
        $" As text they are {Readable.Quoted(_text.Decode([.. _session.Head.GatePattern]))}, which the chat template puts before a "
        + $"response; the template is {_text.TemplateName}.");

    private TokenizedText EncodedOrFailed(Func<TokenizedText> encode, params ReadOnlySpan<string> texts)
    {
        try
        {
            TokenizedText encoded = encode();
            CheckMarkers(texts);
            return encoded;
        }
        catch (LdlVkException e) when (e is InputException or CheckpointException)
        {
            return TokenizedText.Failed(e.Notice);
        }
    }
}
