using System.Runtime.ExceptionServices;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;
using LdlVk.Runtime.Model.Heads;

namespace LdlVk.Scoring;

/// <summary>
/// A checkpoint on its devices, and the scoring of token ids there: texts are gathered in windows, packed into waves, and their results
/// given in input order. Thread-safe. Owns the checkpoint and the devices.
/// </summary>
internal sealed class ScoringSession : IDisposable
{
    /// <summary>Micro-batches' worth of texts in a window, so that texts with a common beginning meet.</summary>
    private const int WindowBatches = 16;

    /// <summary>
    /// Tokens that a text counts at least towards a window: one that failed has none, but is kept until its window is done.
    /// </summary>
    private const int MinTextTokens = 16;

    private readonly Checkpoint _checkpoint;
    private readonly PlacedModel _model;
    private readonly ModelLock _lock;
    private readonly RewardModelOptions _options;
    private readonly long _windowTokens;
    private bool _disposed;

    private ScoringSession(Checkpoint checkpoint, PlacedModel model, RewardModelOptions options, Notice? tuningNote)
    {
        (_checkpoint, _model, _options, TuningNote) = (checkpoint, model, options, tuningNote);
        _lock = new ModelLock(model);
        _windowTokens = Math.Max((long)WindowBatches * Plan.BatchTokens, Plan.WaveTokens);
        AttributeNames = Labels.Read(checkpoint.Folder, checkpoint.Head.Attributes, checkpoint.Head.AttributeNames);
    }

    /// <summary>See <see cref="RewardModel.Warning"/>.</summary>
    public event Action<Notice>? Warning;

    /// <summary>Which layers are on which device, and how texts go through them.</summary>
    public ExecutionPlan Plan => _model.Plan;

    /// <summary>See <see cref="RewardModel.ComputeError"/>.</summary>
    public ComputeError? ComputeError => _model.ComputeError;

    /// <summary>See <see cref="RewardModel.PromptCache"/>.</summary>
    public PromptCacheUse PromptCache
    {
        get
        {
            PromptCacheUse use = _model.CacheUse;
            long tokenBytes = Plan.CacheTokens == 0 ? 0 : Plan.Stages.Sum(stage => stage.CacheBytes) / Plan.CacheTokens;
            return use with { Bytes = use.Stored * tokenBytes, HostBytes = use.HostStored * tokenBytes };
        }
    }

    /// <inheritdoc cref="RewardModel.Identity"/>
    public ScoreIdentity Identity => ScoreIdentity.Of(_checkpoint, _options, Plan);

    /// <inheritdoc cref="Checkpoint.UnusedTensors"/>
    public IReadOnlyList<string> UnusedTensors => _checkpoint.UnusedTensors;

    /// <summary>See <see cref="RewardModel.AttributeNames"/>.</summary>
    public IReadOnlyList<string> AttributeNames { get; }

    /// <summary>See <see cref="RewardModel.TuningNote"/>.</summary>
    public Notice? TuningNote { get; }

    /// <summary>Longest text in tokens.</summary>
    public int MaxTokens => _checkpoint.Config.MaxPositions;

    /// <summary>Plans, opens the devices and uploads the weights; the checkpoint belongs to the session from when this returns.</summary>
    public static ScoringSession Load(
        Checkpoint checkpoint, Func<StagePlan, IDevice> open, RewardModelOptions options, IProgress<LoadProgress>? progress,
        CancellationToken cancellationToken)
    {
        ExecutionPlan plan = Placement.Plan(checkpoint, options);
        var settings = new LoadSettings(plan.Weights, options.Heads, options.EmbeddingScale, options.Compute)
        {
            CacheTokens = plan.CacheTokens,
            HostCacheTokens = plan.HostCacheTokens,
        };
        Notice? tuned = null;
        PlacedModel model = PlacedModel.Load(Open, checkpoint, plan, settings, progress, options.Timeline, cancellationToken);
        model.MeasuresNextWave = options is { MeasureComputeError: true, Compute: not ComputeMode.Auto };
        return new ScoringSession(checkpoint, model, options, tuned);

        IDevice Open(StagePlan stage)
        {
            // Only Linear is tuned, and computing in int8 does without it.
            if (!options.Tune || options.Compute == ComputeMode.Int8) return open(stage);
            (IDevice device, Notice? note) = FirstUse.Open(
                () => open(stage), checkpoint.Config, plan, stage, options.Compute, cancellationToken);
            tuned ??= note;
            return device;
        }
    }

    /// <summary>
    /// The text that is scored: with the model's reward token at its end if it has one, up to the last token that the head reads (see
    /// <see cref="Checkpoint.ReadPositions"/>), and with tokens dropped from the middle where <see cref="RewardModelOptions.Truncate"/>
    /// says so.
    /// </summary>
    /// <exception cref="InputException">It cannot be scored.</exception>
    public PackedText Check(TokenizedText text)
    {
        int[] ids = text.Ids;
        if (ids.Length == 0) ScoringEngine.Check(_checkpoint.Config, ids);
        ids = _checkpoint.Complete(ids);
        if (text.EveryToken) return CheckEvery(ids);
        int[] reads = Reads(ids, text.Steps);
        ids = Cut(ids, reads);
        if (_options.Truncate && ids.Length > MaxTokens)
        {
            (ids, int[]? steps) = Truncated(ids, text.Steps);
            reads = Reads(ids, steps);
            ids = Cut(ids, reads);
        }

        ScoringEngine.Check(_checkpoint.Config, ids);
        return new PackedText(ids, reads) { Prompt = Plan.CacheTokens == 0 ? 0 : FindAnswer?.Invoke(ids) ?? 0 };
    }

    /// <summary>The text that is read at every token.</summary>
    private PackedText CheckEvery(int[] ids)
    {
        if (!Head.ScoresTokens)
            throw new InputException("a score for each token is asked for, and this model's head reads chosen tokens of a whole text.");
        if (_options.Truncate && ids.Length > MaxTokens) ids = DropMiddle(ids, MaxTokens);
        ScoringEngine.Check(_checkpoint.Config, ids);
        return new PackedText(ids, [.. Enumerable.Range(0, ids.Length)]);
    }

    private int[] Reads(int[] ids, int[]? steps)
    {
        try
        {
            return _checkpoint.ReadPositions(ids, steps);
        }
        catch (InputException e) when (Head.GatePattern.Count > 0 && steps is null && GateHint is not null)
        {
            throw new InputException(e.Notice + GateHint());
        }
    }

    /// <summary>Attention is causal: what follows the last token that is read changes nothing.</summary>
    private int[] Cut(int[] ids, int[] reads)
    {
        int last = reads.Max();
        if (last == ids.Length - 1) return ids;
        ScoringEngine.CheckVocabulary(_checkpoint.Config, ids.AsSpan(last));
        return ids[..(last + 1)];
    }

    /// <summary>Drops tokens from the middle, which must not be the end of a step.</summary>
    private (int[] Ids, int[]? Steps) Truncated(int[] ids, int[]? steps)
    {
        int from = MaxTokens / 2, to = ids.Length - (MaxTokens - from);
        if (steps?.FirstOrDefault(step => step >= from && step < to, -1) is { } lost and >= 0)
            throw new InputException(
                $"the text has {ids.Length} tokens, the model takes {MaxTokens}, and {OptionName.Truncate} would drop the end of a step at "
                + $"token {lost}. Shorten the text.");
        return (DropMiddle(ids, MaxTokens), steps is null ? null : [.. steps.Select(step => step < from ? step : step - (to - from))]);
    }

    /// <summary>See <see cref="RewardModel.ReadPosition"/>.</summary>
    public int ReadPosition(ReadOnlySpan<int> ids) => _checkpoint.ReadPosition(ids);

    /// <summary>What is said of the gate's pattern where a text lacks it.</summary>
    public Func<Notice>? GateHint { get; set; }

    /// <summary>Returns where a text's last answer begins; 0 if that is not known.</summary>
    public Func<ReadOnlySpan<int>, int>? FindAnswer { get; set; }

    /// <summary>See <see cref="RewardModel.ReadPositions"/>.</summary>
    public int[] ReadPositions(TokenizedText text) => Reads(_checkpoint.Complete(text.Ids), text.Steps);

    /// <summary>The head.</summary>
    public ModelHead Head => _checkpoint.Head;

    /// <summary>Scores one text once, and records its intermediates.</summary>
    /// <exception cref="InputException">It cannot be scored.</exception>
    public Reward ScoreTraced(TokenizedText text, ITrace trace, CancellationToken cancellationToken)
    {
        ScoringWindow window = Window([text], 0);
        if (window.IsDone) return window.Results[0].Value;
        // A trace takes everything once, so there is no second try.
        Wave wave = Plan.Pack(window.Valid, sharePrefixes: false).Single();
        using ModelLock.Holder holder = _lock.Acquire(cancellationToken);
        window.Add(wave, holder.Model.Engine(cancellationToken).Score(wave, trace));
        return window.Results[0].Value;
    }

    /// <summary>Scores texts as one window; the results are in their order.</summary>
    /// <exception cref="DeviceException">A device failed, and not all could be scored.</exception>
    public ScoreResult[] ScoreTogether(IReadOnlyList<TokenizedText> texts, CancellationToken cancellationToken) =>
        ScoreWindows([Window(texts, 0)], null, cancellationToken).Last();

    /// <summary>
    /// Scores texts window by window, in input order. If the source fails, its exception follows the results of the texts that it gave
    /// before; if a device fails, its exception follows the results up to the first text that was not scored.
    /// </summary>
    public IEnumerable<ScoreResult[]> ScoreMany(IEnumerable<TokenizedText> texts, IProgress<ScoreProgress>? progress,
        CancellationToken cancellationToken) =>
        ScoreWindows(Windows(texts), progress, cancellationToken);

    /// <summary>Frees the devices, after the micro-batches that they have been given; calls still under way end with an error.</summary>
    public void Dispose()
    {
        _lock.Dispose();
        if (Interlocked.Exchange(ref _disposed, true)) return;
        _checkpoint.Dispose();
    }

    /// <summary>Cuts the texts into windows of <see cref="WindowBatches"/> micro-batches, or of a wave if that is more.</summary>
    private IEnumerable<ScoringWindow> Windows(IEnumerable<TokenizedText> texts)
    {
        List<TokenizedText> window = [];
        long tokens = 0, first = 0;
        using IEnumerator<TokenizedText> source = texts.GetEnumerator();
        ExceptionDispatchInfo? failure = null;
        while (MoveNext(source, ref failure))
        {
            TokenizedText text = source.Current;
            window.Add(text);
            tokens += Math.Max(text.Ids?.Length ?? 0, MinTextTokens);
            if (tokens < _windowTokens) continue;
            yield return Window(window, first);
            first += window.Count;
            (window, tokens) = ([], 0);
        }

        if (window.Count > 0) yield return Window(window, first);
        failure?.Throw();
    }

    private ScoringWindow Window(IReadOnlyList<TokenizedText> texts, long first) => new(texts, first, Check, _options.StepAggregation);

    /// <summary>Yields each window's results in input order; before an exception, the results up to the first text that has none.</summary>
    private IEnumerable<ScoreResult[]> ScoreWindows(IEnumerable<ScoringWindow> windows, IProgress<ScoreProgress>? progress,
        CancellationToken cancellationToken)
    {
        Queue<ScoringWindow> open = new();
        using IEnumerator<ScoreResult[]> done = ScoreWindows(windows, open, new ProgressMeter(progress), cancellationToken).GetEnumerator();
        ExceptionDispatchInfo? failure = null;
        while (MoveNext(done, ref failure)) yield return done.Current;
        if (failure is null) yield break;
        if (open.TryPeek(out ScoringWindow? first)) yield return first.LeadingResults;
        failure.Throw();
    }

    /// <summary>
    /// Yields each window's results in input order. <paramref name="open"/> holds the windows that are not finished. The devices always
    /// have work: the next window is read, packed and handed over while they compute.
    /// </summary>
    private IEnumerable<ScoreResult[]> ScoreWindows(IEnumerable<ScoringWindow> windows, Queue<ScoringWindow> open, ProgressMeter meter,
        CancellationToken cancellationToken)
    {
        // Each device has a wave that it computes and one behind it, and one more is being prepared.
        int depth = (2 * Plan.Stages.Count) + 1;
        using var pipeline = new ScoringPipeline(_lock, depth, _options.SharePrefixes, meter.Add, message => Warning?.Invoke(message),
            cancellationToken);
        using IEnumerator<ScoringWindow> source = windows.GetEnumerator();
        ExceptionDispatchInfo? failure = null;
        while (MoveNext(source, ref failure))
        {
            ScoringWindow window = source.Current;
            open.Enqueue(window);
            using (IEnumerator<Wave> waves = pipeline.Pack(window))
            {
                while (pipeline.AddNext(window, waves))
                    while (open.Peek().IsDone) yield return open.Dequeue().Results;
            }

            // A window without a text that can be scored has no waves.
            while (open.TryPeek(out ScoringWindow? first) && first.IsDone) yield return open.Dequeue().Results;
        }

        while (pipeline.FinishOldest())
            while (open.TryPeek(out ScoringWindow? first) && first.IsDone) yield return open.Dequeue().Results;
        failure?.Throw();
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
    public static int[] DropMiddle(int[] ids, int length) =>
        ids.Length <= length ? ids : [.. ids.AsSpan(0, length / 2), .. ids.AsSpan(ids.Length - (length - (length / 2)))];
}
