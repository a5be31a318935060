using LdlVk.Runtime;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;

namespace LdlVk;

/// <summary>
/// A checkpoint's weights on a device, and the way to put them there again when the device is lost. Owns the device, not the checkpoint.
/// Not thread-safe.
/// </summary>
internal sealed class PlacedModel : IDisposable
{
    private readonly Func<IDevice> _open;
    private readonly Checkpoint _checkpoint;
    private readonly LoadSettings _settings;
    private IDevice? _device;
    private ScoringEngine _engine;

    private PlacedModel(Func<IDevice> open, Checkpoint checkpoint, LoadSettings settings, IDevice device, ScoringEngine engine)
    {
        (_open, _checkpoint, _settings, _device, _engine) = (open, checkpoint, settings, device, engine);
        Info = device.Info;
    }

    /// <summary>What the device is.</summary>
    public DeviceInfo Info { get; }

    /// <summary>How often the weights were loaded again; work handed to the device before is gone.</summary>
    public int Generation { get; private set; }

    /// <summary>Whether <see cref="Measure"/> has yet to do its work.</summary>
    public bool MeasuresNextBatch { get; set; }

    /// <summary>What <see cref="Measure"/> found; null before.</summary>
    public ComputeError? ComputeError { get; private set; }

    /// <summary>Longest text in tokens.</summary>
    public int MaxTokens => _engine.MaxTokens;

    /// <summary>Opens a device and uploads a checkpoint to it.</summary>
    public static PlacedModel Load(
        Func<IDevice> open, Checkpoint checkpoint, LoadSettings settings, IProgress<LoadProgress>? progress, CancellationToken cancellation)
    {
        (IDevice device, ScoringEngine engine) = Place(open, checkpoint, settings, progress, cancellation);
        return new PlacedModel(open, checkpoint, settings, device, engine);
    }

    /// <inheritdoc cref="ScoringEngine.Check"/>
    public void Check(ReadOnlySpan<int> ids) => _engine.Check(ids);

    /// <summary>The model, ready to score; loaded again if it is not on the device since an attempt at that failed.</summary>
    public ScoringEngine Engine(CancellationToken cancellation)
    {
        if (_device is null) Reload(cancellation);
        return _engine;
    }

    /// <summary>Opens the device afresh and loads the weights again.</summary>
    /// <exception cref="DeviceException">It does not come back; the next use tries again.</exception>
    public void Reload(CancellationToken cancellation)
    {
        Dispose();
        Generation++;
        try
        {
            (_device, _engine) = Place(_open, _checkpoint, _settings, null, cancellation);
        }
        catch (LdlVkException e)
        {
            throw new DeviceException($"{Info.Id} ({Info.Name}) was lost, and the model cannot be put there again: {e.Message}", e, DeviceFailure.Lost);
        }
    }

    /// <summary>Scores a batch once more, exactly, and keeps how far its rewards are off, if <see cref="MeasuresNextBatch"/> asks.</summary>
    public void Measure(MicroBatch batch, Reward[] rewards)
    {
        if (!MeasuresNextBatch || _device is null) return;
        MeasuresNextBatch = false;
        try
        {
            ComputeError = ComputeError.Between(rewards, _engine.ScoreExactly(batch));
        }
        catch (DeviceException)
        {
            // The rewards stand. What befell the device shows at the next batch, where it can be mended.
        }
    }

    public void Dispose()
    {
        if (_device is null) return;
        _engine.Dispose();
        _device.Dispose();
        _device = null;
    }

    private static (IDevice Device, ScoringEngine Engine) Place(
        Func<IDevice> open, Checkpoint checkpoint, LoadSettings settings, IProgress<LoadProgress>? progress, CancellationToken cancellation)
    {
        IDevice device = open();
        try
        {
            return (device, ScoringEngine.Load(device, checkpoint, settings, progress, cancellation));
        }
        catch
        {
            device.Dispose();
            throw;
        }
    }
}
