using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using LdlVk.Runtime;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;

namespace LdlVk;

/// <summary>
/// A reward model, loaded and ready: texts in, rewards out. A text's score has the same bits alone or in any company. Thread-safe;
/// the device computes one micro-batch at a time, so concurrent calls alternate. Dispose it to free the device.
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
    private readonly int _batchTokens;
    private bool _disposed;

    private RewardModel(Checkpoint checkpoint, PlacedModel model, TextEncoder text, WeightFormat weights, RewardModelOptions options)
    {
        (_checkpoint, _model, _text, _options) = (checkpoint, model, text, options);
        _turns = new ScoringTurns(model, message => Warning?.Invoke(message));
        Weights = weights;
        AttributeNames = Labels.Read(checkpoint.Folder, checkpoint.Head.Attributes);
        _batchTokens = options.BatchTokens;
    }

    /// <summary>
    /// Told, on the thread that scores, what went wrong and was mended: that the device was lost, opened again and given the weights
    /// again; that a batch was scored in smaller pieces for want of memory.
    /// </summary>
    public event Action<string>? Warning;

    /// <summary>The device it runs on.</summary>
    public DeviceInfo Device => _model.Info;

    /// <summary>Format of the backbone's weights.</summary>
    public WeightFormat Weights { get; }

    /// <summary>How far the scores of the first micro-batch were off; null before it, and unless <see cref="RewardModelOptions.MeasureComputeError"/> asks.</summary>
    public ComputeError? ComputeError => _model.ComputeError;

    /// <summary>Longest text in tokens.</summary>
    public int MaxTokens => _model.MaxTokens;

    /// <summary>Names of the attributes, from the checkpoint's labels.json; their numbers where it has none.</summary>
    public IReadOnlyList<string> AttributeNames { get; }

    /// <summary>What the user should know about how the checkpoint was understood; null if nothing.</summary>
    public string? Note => _text.HasTokenizer ? _text.Note : null;

    /// <summary>That loading took the time to look for fast tiles on a device new to this model; null if it did not.</summary>
    public string? TuningNote { get; private init; }

    /// <summary>Opens a checkpoint folder and uploads it to a device.</summary>
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
        Load(folder, device => ComputeDevices.Open(device), options, progress, cancellation);

    /// <summary>As <see cref="Load(string, RewardModelOptions?, IProgress{LoadProgress}?, CancellationToken)"/>, with a way of the caller's to open the device.</summary>
    internal static RewardModel Load(
        string folder, Func<DeviceInfo, IDevice> open, RewardModelOptions? options = null, IProgress<LoadProgress>? progress = null, CancellationToken cancellation = default)
    {
        options ??= new RewardModelOptions();
        options.Check();
        Checkpoint checkpoint = Checkpoint.Open(folder);
        try
        {
            var text = new TextEncoder(checkpoint.Folder, options.ChatTemplate);
            // An unknown template is an error before the weights are uploaded, not after.
            if (text.HasTokenizer) _ = text.Note;
            (DeviceInfo chosen, WeightFormat weights) = Placement.Choose(checkpoint, options);
            var settings = new LoadSettings(weights, options.Heads, options.EmbeddingScale, options.Compute);
            string? tuned = null;
            PlacedModel model = PlacedModel.Load(Open, checkpoint, settings, progress, cancellation);
            model.MeasuresNextBatch = options is { MeasureComputeError: true, Compute: not ComputeMode.Auto };
            return new RewardModel(checkpoint, model, text, weights, options) { TuningNote = tuned };

            IDevice Open()
            {
                // What is tuned is Linear, which computing in int8 does without.
                if (!options.Tune || options.Compute == ComputeMode.Int8) return open(chosen);
                (IDevice device, tuned) = FirstUse.Open(() => open(chosen), checkpoint.Config, weights, options.BatchTokens, cancellation);
                return device;
            }
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    /// <summary>Token ids of a conversation, template included.</summary>
    /// <exception cref="InputException">The conversation does not fit the template.</exception>
    public int[] Tokenize(Conversation conversation) => _text.Encode(conversation);

    /// <summary>
    /// As <see cref="Tokenize"/>, with what is wrong as the result's error. A checkpoint without a tokenizer fails conversations one by
    /// one, for texts given as ids can still be scored.
    /// </summary>
    public TokenizedText TryTokenize(Conversation conversation)
    {
        try
        {
            return new TokenizedText(Tokenize(conversation));
        }
        catch (Exception e) when (e is InputException or CheckpointException)
        {
            return TokenizedText.Failed(e.Message);
        }
    }

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
            MicroBatch batch = Packer.Pack(window.Valid, _batchTokens).Single();
            using ScoringTurns.Turn turn = _turns.Take(cancellation);
            window.Add(batch, turn.Model.Engine(cancellation).Score(batch, trace));
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

    /// <summary>Scores many conversations; results come in input order as their window is done.</summary>
    /// <param name="conversations">
    /// The conversations; read ahead of the results by some micro-batches, so any number is fine. They are read between the results, never
    /// at the same time as the caller uses one, on a thread of the pool.
    /// </param>
    /// <param name="progress">Told after each micro-batch.</param>
    /// <param name="cancellation">Ends the run between micro-batches.</param>
    public IAsyncEnumerable<ScoreResult> ScoreManyAsync(
        IEnumerable<Conversation> conversations, IProgress<ScoreProgress>? progress = null, CancellationToken cancellation = default) =>
        ScoreManyAsync(conversations.Select(TryTokenize), progress, cancellation);

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

    /// <summary>Cuts the texts into windows of about <see cref="WindowBatches"/> micro-batches.</summary>
    private IEnumerable<ScoringWindow> Windows(IEnumerable<TokenizedText> texts)
    {
        List<TokenizedText> window = [];
        long tokens = 0, first = 0;
        foreach (TokenizedText text in texts)
        {
            window.Add(text);
            // A text that failed has no tokens, but is kept until its window is done: it counts as much as a short one.
            tokens += Math.Max(text.Ids?.Length ?? 0, MinimumWindowTokens);
            if (tokens < (long)WindowBatches * _batchTokens) continue;
            yield return Window(window, first);
            first += window.Count;
            (window, tokens) = ([], 0);
        }

        if (window.Count > 0) yield return Window(window, first);
    }

    private ScoringWindow Window(IReadOnlyList<TokenizedText> texts, long first) => new(texts, first, ids =>
    {
        ids = _options.Truncate ? DropMiddle(ids, MaxTokens) : ids;
        _model.Check(ids);
        return ids;
    });

    /// <summary>
    /// The results of windows, in order. The device always has work: the next window is read, packed and handed over while it computes. A
    /// source that fails ends the run after the results of what it gave before.
    /// </summary>
    private IEnumerable<ScoreResult[]> ScoreWindows(IEnumerable<ScoringWindow> windows, Meter? meter, CancellationToken cancellation)
    {
        using var pipeline = new ScoringPipeline(_turns, _options.SharePrefixes, batch => meter?.Add(batch), cancellation);
        using IEnumerator<ScoringWindow> source = windows.GetEnumerator();
        Queue<ScoringWindow> open = new();
        ExceptionDispatchInfo? broken = null;
        while (Next(source, ref broken) is { } window)
        {
            open.Enqueue(window);
            foreach (MicroBatch batch in Packer.Pack(window.Valid, _batchTokens, _options.SharePrefixes))
            {
                pipeline.Add(window, batch);
                while (open.Peek().IsDone) yield return open.Dequeue().Results;
            }

            // One without a text that can be scored has no batches.
            while (open.TryPeek(out ScoringWindow? first) && first.IsDone) yield return open.Dequeue().Results;
        }

        while (pipeline.FinishOldest())
            while (open.TryPeek(out ScoringWindow? first) && first.IsDone) yield return open.Dequeue().Results;
        broken?.Throw();
    }

    private static ScoringWindow? Next(IEnumerator<ScoringWindow> source, ref ExceptionDispatchInfo? broken)
    {
        try
        {
            return source.MoveNext() ? source.Current : null;
        }
        catch (Exception e)
        {
            broken = ExceptionDispatchInfo.Capture(e);
            return null;
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
