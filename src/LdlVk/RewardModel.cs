using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using LdlVk.Runtime;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;
using LdlVk.Runtime.Text;

namespace LdlVk;

/// <summary>
/// A reward model, loaded and ready: texts in, rewards out. A text's score has the same bits alone or in any company. Thread-safe;
/// the devices compute one micro-batch at a time each, so concurrent calls alternate. Dispose it to free the devices.
/// </summary>
public sealed class RewardModel : IDisposable
{
    /// <summary>Micro-batches' worth of texts that are read ahead, so that texts with a common beginning meet.</summary>
    private const int WindowBatches = 16;

    /// <summary>What a text counts at least towards a window.</summary>
    private const int MinimumWindowTokens = 16;

    private readonly Checkpoint _checkpoint;
    private readonly PlacedModel _model;
    private readonly ScoringTurns _turns;
    private readonly TextEncoder _text;
    private readonly RewardModelOptions _options;
    private readonly long _windowTokens;
    private bool _disposed;

    private RewardModel(Checkpoint checkpoint, PlacedModel model, TextEncoder text, RewardModelOptions options)
    {
        (_checkpoint, _model, _text, _options) = (checkpoint, model, text, options);
        _turns = new ScoringTurns(model, message => Warning?.Invoke(message));
        AttributeNames = checkpoint.Head is LdlHeads heads ? Labels.Read(checkpoint.Folder, heads.Attributes) : [];
        _windowTokens = Math.Max((long)WindowBatches * Plan.BatchTokens, Plan.WaveTokens);
    }

    /// <summary>
    /// Told, on the thread that scores, what went wrong and was mended: that the device was lost, opened again and given the weights
    /// again; that a batch was scored in smaller pieces for want of memory.
    /// </summary>
    public event Action<string>? Warning;

    /// <summary>The devices it runs on, which layers each has, and how texts go through them.</summary>
    public ExecutionPlan Plan => _model.Plan;

    /// <summary>The devices, in the order of their layers.</summary>
    public IReadOnlyList<DeviceInfo> Devices => [.. Plan.Stages.Select(s => s.Device)];

    /// <summary>Format of the backbone's weights.</summary>
    public WeightFormat Weights => Plan.Weights;

    /// <summary>How far the scores of the first micro-batch were off; null before it, and unless <see cref="RewardModelOptions.MeasureComputeError"/> asks.</summary>
    public ComputeError? ComputeError => _model.ComputeError;

    /// <summary>Longest text in tokens.</summary>
    public int MaxTokens => _checkpoint.Config.MaxPositions;

    /// <summary>Whether texts that are longer lose tokens from their middle, see <see cref="RewardModelOptions.Truncate"/>.</summary>
    public bool Truncates => _options.Truncate;

    /// <summary>Names of the attributes, from the checkpoint's labels.json; their numbers where it has none. Empty for a model that gives the score alone.</summary>
    public IReadOnlyList<string> AttributeNames { get; }

    /// <summary>What the user should know about how the checkpoint was understood; null if nothing.</summary>
    public string? Note => _text.HasTokenizer ? _text.Note : null;

    /// <summary>That loading took the time to look for fast tiles on a device new to this model; null if it did not.</summary>
    public string? TuningNote { get; private init; }

    /// <summary>What <see cref="Load(string, RewardModelOptions?, IProgress{LoadProgress}?, CancellationToken)"/> would do: nothing is loaded.</summary>
    /// <param name="folder">The checkpoint.</param>
    /// <param name="options">How to run; null for the defaults.</param>
    /// <exception cref="CheckpointException">The checkpoint is damaged or not supported.</exception>
    /// <exception cref="UsageException">An option is wrong.</exception>
    /// <exception cref="DeviceException">No device is large enough.</exception>
    public static ExecutionPlan MakePlan(string folder, RewardModelOptions? options = null)
    {
        using Checkpoint checkpoint = Checkpoint.Open(folder);
        return MakePlan(checkpoint, options);
    }

    /// <summary>As <see cref="MakePlan(string, RewardModelOptions?)"/>, for an open checkpoint.</summary>
    public static ExecutionPlan MakePlan(Checkpoint checkpoint, RewardModelOptions? options = null)
    {
        options ??= new RewardModelOptions();
        options.Check();
        return Placement.Plan(checkpoint, options);
    }

    /// <summary>Opens a checkpoint folder and uploads it to a device, or divides it over several.</summary>
    /// <param name="folder">A Hugging Face folder with safetensors, config.json, the heads' .pt files and tokenizer.json.</param>
    /// <param name="options">How to run; null for the defaults.</param>
    /// <param name="progress">Told how much has been uploaded.</param>
    /// <param name="cancellation">Ends the loading.</param>
    /// <exception cref="CheckpointException">The checkpoint is damaged or not supported.</exception>
    /// <exception cref="UsageException">An option is wrong.</exception>
    /// <exception cref="DeviceException">The device failed or is too small.</exception>
    public static Task<RewardModel> LoadAsync(
        string folder, RewardModelOptions? options = null, IProgress<LoadProgress>? progress = null, CancellationToken cancellation = default) =>
        Task.Run(() => Load(folder, options, progress, cancellation), cancellation);

    /// <summary>As <see cref="LoadAsync"/>, on the calling thread.</summary>
    public static RewardModel Load(
        string folder, RewardModelOptions? options = null, IProgress<LoadProgress>? progress = null, CancellationToken cancellation = default) =>
        Load(folder, stage => ComputeDevices.Open(stage.Device, options?.Memory.Count > 0 ? stage.Budget : null), options, progress, cancellation);

    /// <summary>As <see cref="Load(string, RewardModelOptions?, IProgress{LoadProgress}?, CancellationToken)"/>, with a way of the caller's to open the devices.</summary>
    internal static RewardModel Load(
        string folder, Func<StagePlan, IDevice> open, RewardModelOptions? options = null, IProgress<LoadProgress>? progress = null, CancellationToken cancellation = default)
    {
        options ??= new RewardModelOptions();
        options.Check();
        Checkpoint checkpoint = Checkpoint.Open(folder);
        try
        {
            var text = new TextEncoder(checkpoint.Folder, options.ChatTemplate);
            // An unknown template is an error before the weights are uploaded, not after.
            if (text.HasTokenizer) _ = text.Note;
            ExecutionPlan plan = Placement.Plan(checkpoint, options);
            var settings = new LoadSettings(plan.Weights, options.Heads, options.EmbeddingScale, options.Compute);
            string? tuned = null;
            PlacedModel model = PlacedModel.Load(Open, checkpoint, plan, settings, progress, options.Timeline, cancellation);
            model.MeasuresNextWave = options is { MeasureComputeError: true, Compute: not ComputeMode.Auto };
            return new RewardModel(checkpoint, model, text, options) { TuningNote = tuned };

            IDevice Open(StagePlan stage)
            {
                // What is tuned is Linear, which computing in int8 does without.
                if (!options.Tune || options.Compute == ComputeMode.Int8) return open(stage);
                (IDevice device, string? note) = FirstUse.Open(() => open(stage), checkpoint.Config, plan.Weights, plan.BatchTokens, cancellation);
                tuned ??= note;
                return device;
            }
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    /// <summary>The text of a conversation, template included.</summary>
    /// <exception cref="InputException">The conversation does not fit the template.</exception>
    public string Render(Conversation conversation) => _text.Render(conversation);

    /// <summary>Token ids of a conversation, template included.</summary>
    /// <param name="conversation">The conversation.</param>
    /// <param name="typed">What special tokens are that stand in a message; null for what <see cref="RewardModelOptions.SpecialTokens"/> says.</param>
    /// <exception cref="InputException">The conversation does not fit the template.</exception>
    public int[] Tokenize(Conversation conversation, SpecialTokens? typed = null) => _text.Encode(conversation, typed ?? _options.SpecialTokens);

    /// <summary>
    /// As <see cref="Tokenize"/>, with what is wrong as the result's error. A checkpoint without a tokenizer fails conversations one by
    /// one, for texts given as ids can still be scored.
    /// </summary>
    public TokenizedText TryTokenize(Conversation conversation, SpecialTokens? typed = null) => Try(() => Tokenize(conversation, typed));

    /// <summary>
    /// Token ids of a text that holds the template and its special tokens already, or why there are none: one <c>&lt;bos&gt;</c> comes
    /// first, whether the text has it or not.
    /// </summary>
    public TokenizedText TryTokenizeTemplated(string text) => Try(() => _text.EncodeTemplated(text));

    /// <summary>As <see cref="TryTokenizeTemplated"/>, without a <c>&lt;bos&gt;</c> that the text has not.</summary>
    public TokenizedText TryTokenizeText(string text) => Try(() => _text.Encode(text));

    /// <summary>The ids that are scored, those of a text too long cut if <see cref="RewardModelOptions.Truncate"/> says so; or why they cannot be.</summary>
    public TokenizedText Check(TokenizedText text) => text.Error is null ? Try(() => Checked(text.Ids)) : text;

    /// <summary>Scores one conversation.</summary>
    /// <exception cref="InputException">It cannot be scored.</exception>
    public Reward Score(Conversation conversation) => Score(Tokenize(conversation));

    /// <summary>Scores one text given as token ids; <paramref name="trace"/> takes the intermediates.</summary>
    /// <exception cref="InputException">It cannot be scored.</exception>
    public Reward Score(int[] tokenIds, ITrace? trace = null, CancellationToken cancellation = default)
    {
        ScoringWindow window = Window([new TokenizedText(tokenIds)], 0);
        if (trace is not null && !window.IsDone)
        {
            // A trace takes everything once, so there is no second try.
            Wave wave = Plan.Pack(window.Valid, sharePrefixes: false).Single();
            using ScoringTurns.Turn turn = _turns.Take(cancellation);
            window.Add(wave, turn.Model.Engine(cancellation).Score(wave, trace));
            return window.Results[0].Value;
        }

        return ScoreWindows([window], null, cancellation).Single()[0].Value;
    }

    /// <summary>Which of two responses to a prompt is better.</summary>
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

    /// <summary>Scores some texts together, on the calling thread, and returns when all are done. Callers at the same time alternate.</summary>
    /// <param name="texts">The texts; more than a micro-batch are packed into several.</param>
    /// <param name="cancellation">Ends it between micro-batches.</param>
    /// <returns>A result for each, in their order.</returns>
    /// <exception cref="DeviceException">A device failed, and not all could be scored.</exception>
    public ScoreResult[] ScoreTogether(IReadOnlyList<TokenizedText> texts, CancellationToken cancellation = default) =>
        ScoreWindows([Window(texts, 0)], null, cancellation).Last();

    /// <summary>Scores many conversations; results come in input order as their window is done.</summary>
    /// <param name="conversations">
    /// The conversations; read ahead of the results by some micro-batches, so any number is fine. They are read between the results, never
    /// at the same time as the caller uses one, on a thread of the pool.
    /// </param>
    /// <param name="progress">Told after each micro-batch.</param>
    /// <param name="cancellation">Ends the run between micro-batches.</param>
    public IAsyncEnumerable<ScoreResult> ScoreManyAsync(
        IEnumerable<Conversation> conversations, IProgress<ScoreProgress>? progress = null, CancellationToken cancellation = default) =>
        ScoreManyAsync(conversations.Select(c => TryTokenize(c)), progress, cancellation);

    /// <summary>Scores many texts given as token ids, or as the error that kept a text from becoming ids.</summary>
    public async IAsyncEnumerable<ScoreResult> ScoreManyAsync(
        IEnumerable<TokenizedText> texts, IProgress<ScoreProgress>? progress = null, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        using IEnumerator<ScoreResult[]> windows = ScoreWindows(Windows(texts), new Meter(progress), cancellation).GetEnumerator();
        while (await Task.Run(windows.MoveNext, cancellation).ConfigureAwait(false))
            foreach (ScoreResult result in windows.Current) yield return result;
    }

    /// <summary>Frees the device, after the micro-batch that is being computed; calls still under way end with an error.</summary>
    public void Dispose()
    {
        _turns.Dispose();
        if (Interlocked.Exchange(ref _disposed, true)) return;
        _checkpoint.Dispose();
    }

    /// <summary>The rewards of the responses to a prompt, in their order.</summary>
    private Reward[] ScoreResponses(string prompt, IReadOnlyList<string> responses)
    {
        ScoringWindow window = Window([.. responses.Select(r => new TokenizedText(Tokenize(new Conversation(prompt, r))))], 0);
        return [.. ScoreWindows([window], null, CancellationToken.None).Single().Select(r => r.Value)];
    }

    /// <summary>Cuts the texts into windows of about <see cref="WindowBatches"/> micro-batches, or of a wave if that is more.</summary>
    private IEnumerable<ScoringWindow> Windows(IEnumerable<TokenizedText> texts)
    {
        List<TokenizedText> window = [];
        long tokens = 0, first = 0;
        using IEnumerator<TokenizedText> source = texts.GetEnumerator();
        ExceptionDispatchInfo? broken = null;
        while (MoveNext(source, ref broken))
        {
            TokenizedText text = source.Current;
            window.Add(text);
            // A text that failed has no tokens, but is kept until its window is done: it counts as much as a short one.
            tokens += Math.Max(text.Ids?.Length ?? 0, MinimumWindowTokens);
            if (tokens < _windowTokens) continue;
            yield return Window(window, first);
            first += window.Count;
            (window, tokens) = ([], 0);
        }

        if (window.Count > 0) yield return Window(window, first);
        broken?.Throw();
    }

    private ScoringWindow Window(IReadOnlyList<TokenizedText> texts, long first) => new(texts, first, Checked);

    private int[] Checked(int[] ids)
    {
        ids = _options.Truncate ? DropMiddle(ids, MaxTokens) : ids;
        ScoringEngine.Check(_checkpoint.Config, ids);
        return ids;
    }

    private static TokenizedText Try(Func<int[]> ids)
    {
        try
        {
            return new TokenizedText(ids());
        }
        catch (Exception e) when (e is InputException or CheckpointException)
        {
            return TokenizedText.Failed(e.Message);
        }
    }

    /// <summary>
    /// The results of windows, in order. A source that fails ends the run after the results of what it gave before; a device that fails,
    /// after what was scored up to the first text that was not.
    /// </summary>
    private IEnumerable<ScoreResult[]> ScoreWindows(IEnumerable<ScoringWindow> windows, Meter? meter, CancellationToken cancellation)
    {
        Queue<ScoringWindow> open = new();
        using IEnumerator<ScoreResult[]> done = ScoreWindows(windows, open, meter, cancellation).GetEnumerator();
        ExceptionDispatchInfo? failure = null;
        while (MoveNext(done, ref failure)) yield return done.Current;
        if (failure is null) yield break;
        if (open.TryPeek(out ScoringWindow? first)) yield return first.LeadingResults;
        failure.Throw();
    }

    /// <summary>
    /// As the other, with the windows that are not done. The device always has work: the next window is read, packed and handed over while
    /// it computes.
    /// </summary>
    private IEnumerable<ScoreResult[]> ScoreWindows(IEnumerable<ScoringWindow> windows, Queue<ScoringWindow> open, Meter? meter, CancellationToken cancellation)
    {
        // Each device has a wave that it computes and one behind it, and one more is being prepared.
        int depth = (2 * Plan.Stages.Count) + 1;
        using var pipeline = new ScoringPipeline(_turns, depth, _options.SharePrefixes, batch => meter?.Add(batch), cancellation);
        using IEnumerator<ScoringWindow> source = windows.GetEnumerator();
        ExceptionDispatchInfo? broken = null;
        while (MoveNext(source, ref broken))
        {
            ScoringWindow window = source.Current;
            open.Enqueue(window);
            foreach (Wave wave in Plan.Pack(window.Valid, _options.SharePrefixes))
            {
                pipeline.Add(window, wave);
                while (open.Peek().IsDone) yield return open.Dequeue().Results;
            }

            // One without a text that can be scored has no batches.
            while (open.TryPeek(out ScoringWindow? first) && first.IsDone) yield return open.Dequeue().Results;
        }

        while (pipeline.FinishOldest())
            while (open.TryPeek(out ScoringWindow? first) && first.IsDone) yield return open.Dequeue().Results;
        broken?.Throw();
    }

    /// <summary>Moves on; false at the end, or where that fails.</summary>
    private static bool MoveNext<T>(IEnumerator<T> source, ref ExceptionDispatchInfo? failure)
    {
        try
        {
            return source.MoveNext();
        }
        catch (Exception e)
        {
            failure = ExceptionDispatchInfo.Capture(e);
            return false;
        }
    }

    /// <summary>The first and the last half of a text that is too long: the reward is read at its end.</summary>
    private static int[] DropMiddle(int[] ids, int length) =>
        ids.Length <= length ? ids : [.. ids.AsSpan(0, length / 2), .. ids.AsSpan(ids.Length - (length - (length / 2)))];

    /// <summary>Counts what has been done.</summary>
    private sealed class Meter(IProgress<ScoreProgress>? progress)
    {
        private readonly Stopwatch _watch = Stopwatch.StartNew();
        private long _texts, _tokens, _computed;

        public void Add(MicroBatch batch)
        {
            _texts += batch.Texts.Length;
            _tokens += batch.TokenCounts.Sum(count => (long)count);
            _computed += batch.Rows;
            progress?.Report(new ScoreProgress(_texts, _tokens, _computed, _watch.Elapsed));
        }
    }
}

/// <summary>A text as token ids, or why it could not become any.</summary>
/// <param name="Ids">The ids; empty where there is an error.</param>
/// <param name="Error">Why there are none; null if there are.</param>
public readonly record struct TokenizedText(int[] Ids, string? Error = null)
{
    /// <summary>A text that could not be tokenized.</summary>
    public static TokenizedText Failed(string error) => new([], error);
}
