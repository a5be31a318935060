using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Caching;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;

namespace LdlVk.Runtime.Execution;

/// <summary>
/// A loaded reward model on one or several devices: waves of micro-batches in, rewards out. Each device has a stage of consecutive layers
/// and a thread of its own; waves follow each other through the stages, so that all devices are busy. Thread-safe. Owns the weights, not
/// the devices. Nothing else may use the devices while a wave is computed.
/// </summary>
public sealed class ScoringEngine : IDisposable
{
    private readonly Stage[] _stages;
    private readonly StageWorker[] _workers;
    private readonly ComputeMode _compute;

    internal ScoringEngine(Stage[] stages, ComputeMode compute, ITimeline? timeline = null, CacheRoom cache = default)
    {
        (_stages, _compute) = (stages, compute);
        Cache = cache.Tokens > 0 ? new PromptCache(cache.Tokens, cache.HostTokens) : null;
        _workers = [.. stages.Select((stage, i) => new StageWorker(stage, i, timeline))];
    }

    /// <summary>
    /// What waves leave for later ones; null for nothing. A wave that was packed with it is begun once, in the order of packing.
    /// </summary>
    public PromptCache? Cache { get; }

    /// <summary>
    /// Throws unless the ids can be scored: 1 to <see cref="BackboneConfig.MaxPositions"/> of them, each in the vocabulary.
    /// </summary>
    /// <exception cref="InputException">They cannot; the message says why.</exception>
    public static void Check(BackboneConfig config, ReadOnlySpan<int> ids)
    {
        ArgumentNullException.ThrowIfNull(config);
        if (ids.IsEmpty) throw new InputException("the text has no tokens.");
        if (ids.Length > config.MaxPositions)
            throw new InputException(
                $"the text has {ids.Length} tokens, and the model takes at most {config.MaxPositions}. Shorten it, or pass "
                    + $"{OptionName.Truncate} to drop tokens from its middle.");
        CheckVocabulary(config, ids);
    }

    /// <summary>Throws unless each id is in the vocabulary.</summary>
    /// <exception cref="InputException">One is not.</exception>
    public static void CheckVocabulary(BackboneConfig config, ReadOnlySpan<int> ids)
    {
        ArgumentNullException.ThrowIfNull(config);
        foreach (int id in ids)
        {
            if ((uint)id < (uint)config.VocabularySize) continue;
            throw new InputException(
                $"token id {id} is outside the vocabulary of {config.VocabularySize}. The ids are from another tokenizer.");
        }
    }

    /// <summary>
    /// Queues a wave of checked texts and returns before it is computed; more waves can be queued before its rewards are awaited. Waves are
    /// computed in order. Reward i belongs to text i of <see cref="Wave.Texts"/>.
    /// </summary>
    public PendingWave Begin(Wave wave, ITrace? trace = null) => Begin(wave, new ForwardOptions(_compute, trace));

    /// <summary>As <see cref="Begin(Wave, ITrace?)"/>, and waits for the rewards.</summary>
    public Reward[] Score(Wave wave, ITrace? trace = null) => Run(wave, new ForwardOptions(_compute, trace)).Rewards;

    /// <summary>Scores a micro-batch that does not depend on others.</summary>
    public Reward[] Score(MicroBatch batch, ITrace? trace = null) => Score(new Wave([batch]), trace);

    /// <summary>
    /// As <see cref="Score(Wave, ITrace?)"/>, in the mode <see cref="ComputeMode.Auto"/> with the same weights: the reference for the error
    /// of other modes.
    /// </summary>
    public Reward[] ScoreExactly(Wave wave) => Run(wave, new ForwardOptions(ComputeMode.Auto)).Rewards;

    /// <summary>
    /// As <see cref="Score(MicroBatch, ITrace?)"/>, and the hidden states [texts · hidden] that the heads read (after the final norm).
    /// </summary>
    public (Reward[] Rewards, float[] Hidden) ScoreWithHidden(MicroBatch batch) => ScoreWithHidden(new Wave([batch]));

    internal (Reward[] Rewards, float[] Hidden) ScoreWithHidden(Wave wave) => Run(wave, new ForwardOptions(_compute, ReadsHidden: true));

    /// <summary>
    /// Frees the weights after the micro-batches that are queued on the devices. Unfinished waves are abandoned.
    /// </summary>
    public void Dispose()
    {
        foreach (StageWorker worker in _workers) worker.Dispose();
        foreach (Stage stage in _stages) stage.Dispose();
    }

    /// <summary>Uploads a checkpoint to the devices of a plan.</summary>
    /// <param name="stages">Which layers go to which device, in order; the devices must outlive the engine.</param>
    /// <param name="checkpoint">
    /// The checkpoint. Its embedding table and streamed layers are read while scoring, so it must outlive the engine.
    /// </param>
    /// <param name="settings">Formats and numerics.</param>
    /// <param name="progress">Gets the number of bytes uploaded so far.</param>
    /// <param name="timeline">Gets the devices' activity.</param>
    /// <param name="cancellationToken">Ends the loading; everything is freed.</param>
    /// <exception cref="UsageException">The settings contradict each other.</exception>
    public static ScoringEngine Load(
        IReadOnlyList<PlacedStage> stages, Checkpoint checkpoint, LoadSettings settings,
        IProgress<LoadProgress>? progress = null, ITimeline? timeline = null, CancellationToken cancellationToken = default)
    {
        ModelMemory.CheckCompute(settings.Compute, settings.Weights);
        var meter = new Meter(progress, ModelMemory.Of(checkpoint.Config, checkpoint.Head, settings.Weights, settings.Heads).WeightBytes);
        return Load(stages, new CheckpointWeights(checkpoint, settings), settings.Compute, progress is null ? null : meter, timeline,
            cancellationToken, new CacheRoom(settings.CacheTokens, settings.HostCacheTokens));
    }

    /// <summary>
    /// As
    /// <see cref="Load(IReadOnlyList{PlacedStage}, Checkpoint, LoadSettings, IProgress{LoadProgress}?, ITimeline?, CancellationToken)"/>,
    /// with all layers on one device.
    /// </summary>
    public static ScoringEngine Load(
        IDevice device, Checkpoint checkpoint, LoadSettings settings, IProgress<LoadProgress>? progress = null,
        CancellationToken cancellationToken = default) =>
        Load([new PlacedStage(device, new StageLayers(0, checkpoint.Config.Layers))], checkpoint, settings, progress, null,
            cancellationToken);

    /// <summary>Loads the stages, one after another: their devices share the files, and often the bus.</summary>
    internal static ScoringEngine Load(
        IReadOnlyList<PlacedStage> stages, IModelWeights weights, ComputeMode compute, IProgress<long>? progress, ITimeline? timeline,
        CancellationToken cancellationToken, CacheRoom cache = default)
    {
        List<Stage> loaded = [];
        try
        {
            foreach (PlacedStage stage in stages) loaded.Add(new StageLoader(stage.Device, weights, stage.Layers, progress, timeline,
                cancellationToken).Load());
            return new ScoringEngine([.. loaded], compute, timeline, cache);
        }
        catch
        {
            foreach (Stage stage in loaded) stage.Dispose();
            throw;
        }
    }

    private (Reward[] Rewards, float[] Hidden) Run(Wave wave, ForwardOptions options)
    {
        using PendingWave pending = Begin(wave, options);
        return pending.FinishWithHidden();
    }

    private PendingWave Begin(Wave wave, ForwardOptions options)
    {
        ArgumentNullException.ThrowIfNull(wave);
        if (wave.Traffic.Any(traffic => traffic.Cache != Cache)) throw new CacheMissException();
        PendingWave pending;
        // All stages get the waves in the same order, and what they drop.
        lock (_workers)
        {
            pending = new PendingWave(wave, options, _stages.Length, Cache?.Begin() ?? []);
            foreach (StageWorker worker in _workers) worker.Add(pending);
        }

        return pending;
    }

    private sealed class Meter(IProgress<LoadProgress>? progress, long total) : IProgress<long>
    {
        private long _done;

        public void Report(long value) => progress?.Report(new LoadProgress(_done += value, total));
    }
}
