using System.Diagnostics;
using System.Runtime.CompilerServices;
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
    private readonly IDevice _device;
    private readonly ScoringEngine _engine;
    private readonly TextEncoder _text;
    private readonly RewardModelOptions _options;
    private readonly int _batchTokens;
    /// <summary>Never disposed: it has no handle unless one asks for it, and callers may still wait for it.</summary>
    private readonly SemaphoreSlim _turn = new(1, 1);

    private volatile bool _disposed;

    private RewardModel(Checkpoint checkpoint, IDevice device, ScoringEngine engine, TextEncoder text, WeightFormat weights, RewardModelOptions options)
    {
        (_checkpoint, _device, _engine, _text, _options) = (checkpoint, device, engine, text, options);
        Weights = weights;
        AttributeNames = Labels.Read(checkpoint.Folder, checkpoint.Head.Attributes);
        _batchTokens = options.BatchTokensFor(device.Info);
    }

    /// <summary>The device it runs on.</summary>
    public DeviceInfo Device => _device.Info;

    /// <summary>Format of the backbone's weights.</summary>
    public WeightFormat Weights { get; }

    /// <summary>Longest text in tokens.</summary>
    public int MaxTokens => _engine.MaxTokens;

    /// <summary>Names of the attributes, from the checkpoint's labels.json; their numbers where it has none.</summary>
    public IReadOnlyList<string> AttributeNames { get; }

    /// <summary>What the user should know about how the checkpoint was understood; null if nothing.</summary>
    public string? Note => _text.HasTokenizer ? _text.Note : null;

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
        string folder, RewardModelOptions? options = null, IProgress<LoadProgress>? progress = null, CancellationToken cancellation = default)
    {
        options ??= new RewardModelOptions();
        options.Check();
        Checkpoint checkpoint = Checkpoint.Open(folder);
        IDevice? device = null;
        try
        {
            var text = new TextEncoder(checkpoint.Folder, options.ChatTemplate);
            // An unknown template is an error before the weights are uploaded, not after.
            if (text.HasTokenizer) _ = text.Note;
            (DeviceInfo chosen, WeightFormat weights) = Placement.Choose(checkpoint, options);
            device = ComputeDevices.Open(chosen);
            ScoringEngine engine = ScoringEngine.Load(
                device, checkpoint, new LoadSettings(weights, options.Heads, options.EmbeddingScale), progress, cancellation);
            return new RewardModel(checkpoint, device, engine, text, weights, options);
        }
        catch
        {
            device?.Dispose();
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
    public Reward Score(int[] tokenIds, ITrace? trace = null, CancellationToken cancellation = default) =>
        ScoreWindow([tokenIds], 0, trace, null, cancellation)[0].Value;

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
    /// <param name="conversations">The conversations; read ahead by a few micro-batches, so any number is fine.</param>
    /// <param name="progress">Told after each micro-batch.</param>
    /// <param name="cancellation">Ends the run between micro-batches.</param>
    public IAsyncEnumerable<ScoreResult> ScoreManyAsync(
        IEnumerable<Conversation> conversations, IProgress<ScoreProgress>? progress = null, CancellationToken cancellation = default) =>
        ScoreManyAsync(conversations.Select(TryTokenize), progress, cancellation);

    /// <summary>Scores many texts given as token ids, or as the error that kept a text from becoming ids.</summary>
    public async IAsyncEnumerable<ScoreResult> ScoreManyAsync(
        IEnumerable<TokenizedText> texts, IProgress<ScoreProgress>? progress = null, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        var meter = new Meter(progress);
        long first = 0;
        foreach (IReadOnlyList<TokenizedText> window in Windows(texts))
        {
            int[][] ids = [.. window.Select(t => t.Ids ?? [])];
            long start = first;
            ScoreResult[] results = await Task.Run(() => ScoreWindow(ids, start, null, meter, cancellation), cancellation).ConfigureAwait(false);
            for (int i = 0; i < results.Length; i++)
                yield return window[i].Error is { } error ? new ScoreResult(start + i, null, error) : results[i];
            first += window.Count;
        }
    }

    /// <summary>Frees the device, after the micro-batch that is being computed; calls still under way end with an error.</summary>
    public void Dispose()
    {
        _turn.Wait();
        try
        {
            if (_disposed) return;
            _disposed = true;
            _engine.Dispose();
            _device.Dispose();
            _checkpoint.Dispose();
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>The rewards of the responses to a prompt, in their order.</summary>
    private Reward[] ScoreResponses(string prompt, IReadOnlyList<string> responses)
    {
        int[][] texts = [.. responses.Select(r => Tokenize(new Conversation(prompt, r)))];
        return [.. ScoreWindow(texts, 0, null, null, CancellationToken.None).Select(r => r.Value)];
    }

    /// <summary>Cuts the texts into windows of about <see cref="WindowBatches"/> micro-batches.</summary>
    private IEnumerable<IReadOnlyList<TokenizedText>> Windows(IEnumerable<TokenizedText> texts)
    {
        List<TokenizedText> window = [];
        long tokens = 0;
        foreach (TokenizedText text in texts)
        {
            window.Add(text);
            // A text that failed has no tokens, but is kept until its window is done: it counts as much as a short one.
            tokens += Math.Max(text.Ids?.Length ?? 0, MinimumWindowTokens);
            if (tokens < (long)WindowBatches * _batchTokens) continue;
            yield return window;
            (window, tokens) = ([], 0);
        }

        if (window.Count > 0) yield return window;
    }

    private ScoreResult[] ScoreWindow(IReadOnlyList<int[]> texts, long first, ITrace? trace, Meter? meter, CancellationToken cancellation)
    {
        var results = new ScoreResult[texts.Count];
        List<int[]> valid = [];
        List<int> numbers = [];
        for (int i = 0; i < texts.Count; i++)
        {
            try
            {
                int[] ids = _options.Truncate ? DropMiddle(texts[i], MaxTokens) : texts[i];
                _engine.Check(ids);
                valid.Add(ids);
                numbers.Add(i);
            }
            catch (InputException e)
            {
                results[i] = new ScoreResult(first + i, null, e.Message);
            }
        }

        foreach (MicroBatch batch in Packer.Pack(valid, _batchTokens, _options.SharePrefixes))
        {
            Reward[] rewards = ScoreBatch(batch, trace, cancellation);
            for (int i = 0; i < rewards.Length; i++)
            {
                int number = numbers[batch.Texts[i]];
                results[number] = float.IsFinite(rewards[i].Score)
                    ? new ScoreResult(first + number, rewards[i], null)
                    : new ScoreResult(first + number, null, $"the score is {rewards[i].Score}, not a finite number: the model's values left the range of fp32. Check the checkpoint's weights.");
            }

            meter?.Add(batch);
        }

        return results;
    }

    /// <summary>One micro-batch when it is this caller's turn: callers alternate batch by batch.</summary>
    private Reward[] ScoreBatch(MicroBatch batch, ITrace? trace, CancellationToken cancellation)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        cancellation.ThrowIfCancellationRequested();
        _turn.Wait(cancellation);
        try
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return _engine.Score(batch, trace);
        }
        finally
        {
            _turn.Release();
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
