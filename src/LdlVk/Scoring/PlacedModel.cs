using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Caching;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;

namespace LdlVk.Scoring;

/// <summary>
/// A checkpoint's weights on the devices of a plan, and the way to put them there again when one is lost. Owns the devices, not the
/// checkpoint. Not thread-safe.
/// </summary>
internal sealed class PlacedModel : IDisposable
{
    private readonly Func<StagePlan, IDevice> _open;
    private readonly Checkpoint _checkpoint;
    private readonly LoadSettings _settings;
    private readonly ITimeline? _timeline;
    private readonly Lock _useLock = new();
    private PromptCacheUse _earlierUse;
    private List<IDevice> _devices = [];
    private ScoringEngine? _engine;

    private PlacedModel(Func<StagePlan, IDevice> open, Checkpoint checkpoint, ExecutionPlan plan, LoadSettings settings,
        ITimeline? timeline) =>
        (_open, _checkpoint, Plan, _settings, _timeline) = (open, checkpoint, plan, settings, timeline);

    /// <summary>Which layers are on which device.</summary>
    public ExecutionPlan Plan { get; }

    /// <summary>The devices, for messages.</summary>
    public string Name => string.Join(" with ", Plan.Stages.Select(NameOf));

    /// <summary>How often the weights were loaded again; work handed to the devices before is gone.</summary>
    public int Generation { get; private set; }

    /// <summary>What waves leave for later ones; null for nothing, and while the model is not on the devices.</summary>
    public PromptCache? Cache => _engine?.Cache;

    /// <summary>How full the cache is, and what it did since the model was first put on the devices.</summary>
    public PromptCacheUse CacheUse
    {
        get
        {
            lock (_useLock)
            {
                PromptCacheUse use = Cache?.Use ?? default;
                return use with
                {
                    Taken = use.Taken + _earlierUse.Taken,
                    Kept = use.Kept + _earlierUse.Kept,
                    Evicted = use.Evicted + _earlierUse.Evicted,
                    Misses = use.Misses + _earlierUse.Misses,
                    HostTaken = use.HostTaken + _earlierUse.HostTaken,
                    HostEvicted = use.HostEvicted + _earlierUse.HostEvicted,
                };
            }
        }
    }

    /// <summary>Whether <see cref="Measure"/> has yet to do its work.</summary>
    public bool MeasuresNextWave { get; set; }

    /// <summary>What <see cref="Measure"/> found; null before.</summary>
    public ComputeError? ComputeError { get; private set; }

    /// <summary>Opens the devices and uploads a checkpoint to them.</summary>
    public static PlacedModel Load(
        Func<StagePlan, IDevice> open, Checkpoint checkpoint, ExecutionPlan plan, LoadSettings settings, IProgress<LoadProgress>? progress,
        ITimeline? timeline, CancellationToken cancellationToken)
    {
        var model = new PlacedModel(open, checkpoint, plan, settings, timeline);
        model.Place(progress, cancellationToken);
        return model;
    }

    /// <summary>The model, ready to score; loaded again if it is not on the devices since an attempt at that failed.</summary>
    /// <exception cref="CheckpointException">A file of weights was changed since it was opened.</exception>
    public ScoringEngine Engine(CancellationToken cancellationToken)
    {
        // Embeddings and streamed layers are read from the files for each wave.
        _checkpoint.CheckUnchanged();
        if (_engine is null) Reload(cancellationToken);
        return _engine!;
    }

    /// <summary>Opens the devices afresh and loads the weights again.</summary>
    /// <exception cref="DeviceException">One does not come back; the next use tries again.</exception>
    public void Reload(CancellationToken cancellationToken)
    {
        Dispose();
        Generation++;
        try
        {
            Place(null, cancellationToken);
        }
        catch (LdlVkException e)
        {
            Notice others = Plan.Stages.Count == 1
                ? (Notice)$"Run it again when it is there, or with another {OptionName.Device}."
                : $"Run it again with {OptionName.Device} naming the devices that still work.";
            throw new DeviceException($"{Name} was lost, and the model cannot be put there again: {e.Notice} {others}", e,
                DeviceFailure.Lost);
        }
    }

    /// <summary>Scores a wave once more, exactly, and keeps how far its rewards are off, if <see cref="MeasuresNextWave"/> asks.</summary>
    public void Measure(Wave wave, Reward[] rewards)
    {
        if (!MeasuresNextWave || _engine is null) return;
        MeasuresNextWave = false;
        try
        {
            ComputeError = ComputeError.Between(rewards, _engine.ScoreExactly(wave));
        }
        catch (DeviceException)
        {
            // The rewards stand. What befell the device shows at the next wave, where it can be mended.
        }
    }

    public void Dispose()
    {
        _engine?.Dispose();
        lock (_useLock)
        {
            _earlierUse = CacheUse;
            _engine = null;
        }

        foreach (IDevice device in _devices) device.Dispose();
        _devices = [];
    }

    private void Place(IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        try
        {
            List<PlacedStage> stages = [];
            foreach (StagePlan stage in Plan.Stages)
            {
                cancellationToken.ThrowIfCancellationRequested();
                _devices.Add(Open(stage));
                stages.Add(new PlacedStage(_devices[^1], stage.Layers));
            }

            _engine = ScoringEngine.Load(stages, _checkpoint, _settings, progress, _timeline, cancellationToken);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    private IDevice Open(StagePlan stage)
    {
        try
        {
            return _open(stage);
        }
        catch (DeviceException e) when (Plan.Stages.Count > 1)
        {
            throw new DeviceException($"{NameOf(stage)} cannot be opened: {e.Notice}", e, e.Failure);
        }
    }

    private string NameOf(StagePlan stage) => Plan.Stages.Count == 1
        ? $"{stage.Device.Id} ({stage.Device.Name})"
        : $"{stage.Device.Id} ({stage.Device.Name}; layers {stage.Layers.First} to {stage.Layers.End - 1})";
}
