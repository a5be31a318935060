using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;

namespace LdlVk.Benchmarking;

/// <summary>
/// The model under measurement on its device: a backbone with generated weights, or the whole reward model of a checkpoint.
/// </summary>
internal sealed class BenchModel : IDisposable
{
    private readonly IDisposable _model;
    private readonly Func<Wave, IEnumerable<float>> _compute;
    private readonly ExecutionPlan _plan;

    private BenchModel(IDisposable model, Func<Wave, IEnumerable<float>> compute, ExecutionPlan plan) =>
        (_model, _compute, _plan) = (model, compute, plan);

    /// <summary>Loads a model onto a device, or generates its weights there.</summary>
    /// <param name="device">The device.</param>
    /// <param name="shape">The backbone.</param>
    /// <param name="checkpoint">The checkpoint of that shape; null for generated weights.</param>
    /// <param name="plan">The layers that the device holds and those that are streamed.</param>
    /// <param name="compute">How products are computed.</param>
    /// <param name="cancellationToken">Cancels the loading.</param>
    public static BenchModel Create(
        IDevice device, BenchShape shape, Checkpoint? checkpoint, ExecutionPlan plan, ComputeMode compute,
        CancellationToken cancellationToken)
    {
        var settings = new LoadSettings(plan.Weights, Compute: compute);
        PlacedStage[] stages = [new PlacedStage(device, plan.Stages[0].Layers)];
        if (checkpoint is not null)
        {
            ScoringEngine engine = ScoringEngine.Load(stages, checkpoint, settings, null, null, cancellationToken);
            return new BenchModel(engine, wave => engine.Score(wave).Select(r => r.Score), plan);
        }

        SyntheticModel synthetic = new(stages, shape.Config, settings, cancellationToken);
        return new BenchModel(synthetic, synthetic.LastHidden, plan);
    }

    /// <summary>Computes a scenario and checks that its results are finite.</summary>
    /// <exception cref="DeviceException">A result is not finite.</exception>
    public void Run(Scenario scenario)
    {
        foreach (Wave wave in _plan.Streams ? [new Wave(scenario.Batches)] : scenario.Batches.Select(b => new Wave([b])))
        {
            if (!_compute(wave).All(float.IsFinite))
            {
                throw new DeviceException(
                    $"{scenario.Label}: a result is not finite; its speed means nothing. "
                        + "Please report it with the output of ldlvk devices.");
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _model.Dispose();
}
