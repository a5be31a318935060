using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;

namespace LdlVk.Runtime.Execution;

/// <summary>A loaded reward model on a device: micro-batches in, rewards out. Not thread-safe. Owns the weights, not the device.</summary>
public sealed class ScoringEngine : IDisposable
{
    private readonly Gemma2Model _model;
    private readonly LdlHead _head;
    private readonly Gemma2Config _config;

    internal ScoringEngine(Gemma2Config config, Gemma2Model model, LdlHead head) => (_config, _model, _head) = (config, model, head);

    /// <summary>Longest text in tokens.</summary>
    public int MaxTokens => _config.MaxPositions;

    /// <summary>Throws unless the ids can be scored: 1 to <see cref="MaxTokens"/> of them, each in the vocabulary.</summary>
    /// <exception cref="InputException">They cannot; the message says why.</exception>
    public void Check(ReadOnlySpan<int> ids)
    {
        if (ids.IsEmpty) throw new InputException("the text has no tokens.");
        if (ids.Length > MaxTokens) throw new InputException($"the text has {ids.Length} tokens, and the model takes at most {MaxTokens}. Shorten it, or pass --truncate to drop tokens from its middle.");
        foreach (int id in ids)
            if ((uint)id >= (uint)_config.VocabularySize) throw new InputException($"token id {id} is outside the vocabulary of {_config.VocabularySize}. The ids are from another tokenizer.");
    }

    /// <summary>
    /// Hands a micro-batch of checked texts to the device, which may still be computing when this returns: the next batch can be prepared
    /// and handed over before the rewards of this one are waited for. Reward i belongs to <see cref="MicroBatch.Texts"/>[i].
    /// </summary>
    public PendingRewards Begin(MicroBatch batch, ITrace? trace = null)
    {
        using ITensor hidden = _model.Forward(batch, trace);
        return _head.Begin(hidden, [.. batch.TokenCounts]);
    }

    /// <summary>As <see cref="Begin"/>, and waits for the rewards.</summary>
    public Reward[] Score(MicroBatch batch, ITrace? trace = null)
    {
        using PendingRewards pending = Begin(batch, trace);
        return pending.Finish();
    }

    /// <summary>As <see cref="Score"/>, computed as <see cref="ComputeMode.Auto"/> says, with the same weights: what other modes are measured against.</summary>
    public Reward[] ScoreExactly(MicroBatch batch)
    {
        ComputeMode mode = _model.Compute;
        _model.Compute = ComputeMode.Auto;
        try
        {
            return Score(batch);
        }
        finally
        {
            _model.Compute = mode;
        }
    }

    /// <summary>As <see cref="Score"/>, and the hidden states [texts · hidden] that the heads read (after the final norm).</summary>
    public (Reward[] Rewards, float[] Hidden) ScoreWithHidden(MicroBatch batch, IDevice device)
    {
        using ITensor hidden = _model.Forward(batch);
        float[] values = new float[hidden.Rows * hidden.Columns];
        device.Read(hidden, values);
        using PendingRewards pending = _head.Begin(hidden, [.. batch.TokenCounts]);
        return (pending.Finish(), values);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _model.Dispose();
        _head.Dispose();
    }

    /// <summary>Uploads a checkpoint to a device.</summary>
    /// <param name="device">Where to; must outlive the engine.</param>
    /// <param name="checkpoint">What; its embedding table is read while scoring, so it too must outlive the engine.</param>
    /// <param name="settings">Formats and numerics.</param>
    /// <param name="progress">Told what has been uploaded so far.</param>
    /// <param name="cancellation">Ends the loading; everything is freed.</param>
    /// <exception cref="UsageException">The settings contradict each other.</exception>
    public static ScoringEngine Load(
        IDevice device, Checkpoint checkpoint, LoadSettings settings, IProgress<LoadProgress>? progress = null, CancellationToken cancellation = default)
    {
        ModelMemory.CheckCompute(settings.Compute, settings.Weights);
        return new ModelLoader(device, checkpoint, settings, progress, cancellation).Load();
    }
}
