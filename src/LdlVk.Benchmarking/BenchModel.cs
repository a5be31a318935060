using LdlVk.Runtime;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;

namespace LdlVk.Benchmarking;

/// <summary>What is measured, on its device: a backbone with made-up weights, or a checkpoint's whole reward model.</summary>
internal sealed class BenchModel : IDisposable
{
    private readonly IDisposable _model;
    private readonly Func<Wave, IEnumerable<float>> _compute;
    private readonly ExecutionPlan _plan;

    private BenchModel(IDisposable model, Func<Wave, IEnumerable<float>> compute, ExecutionPlan plan) => (_model, _compute, _plan) = (model, compute, plan);

    /// <summary>Where the layers go.</summary>
    /// <param name="info">The device.</param>
    /// <param name="shape">The backbone.</param>
    /// <param name="checkpoint">The checkpoint of that shape; null for made-up weights.</param>
    /// <param name="weights">Format of the matrices.</param>
    /// <param name="compute">How products are computed.</param>
    /// <param name="rows">Rows of the largest micro-batch.</param>
    /// <param name="memory">Bytes of the device's memory to use at most; empty for what is free.</param>
    /// <exception cref="DeviceException">It does not fit, and no limit was asked for, so that streaming is not what is to be measured.</exception>
    public static ExecutionPlan Plan(DeviceInfo info, BenchShape shape, Checkpoint? checkpoint, WeightFormat weights, ComputeMode compute, int rows, IReadOnlyList<long> memory)
    {
        ModelMemory needed = checkpoint is null ? ModelMemory.OfBackbone(shape.Config, weights) : ModelMemory.Of(shape.Config, checkpoint.Head, weights, WeightFormat.Fp32);
        ExecutionPlan plan = Planner.Make(new PlanRequest(shape.Config, needed, weights, [info]) { BatchTokens = rows, Compute = compute, MemoryLimits = memory, HostBytes = long.MaxValue });
        return !plan.Streams || memory.Count > 0
            ? plan
            : throw new DeviceException($"{shape.Config.Layers} layers of {shape.Name} with {Readable.Name(weights)} weights and {rows} rows need {Readable.Bytes(needed.On(info, shape.Config, weights, compute).Total(rows))}, and {Readable.Device(info)} has {Readable.Bytes(info.FreeMemoryBytes)} free. Use fewer --layers, smaller --weights or fewer tokens, or give --memory to measure with layers that are streamed.");
    }

    /// <summary>Puts a model on a device.</summary>
    /// <param name="device">Where to.</param>
    /// <param name="shape">The backbone.</param>
    /// <param name="checkpoint">The checkpoint of that shape; null for made-up weights.</param>
    /// <param name="plan">Where the layers go.</param>
    /// <param name="compute">How products are computed.</param>
    /// <param name="cancellation">Ends the loading.</param>
    public static BenchModel Create(IDevice device, BenchShape shape, Checkpoint? checkpoint, ExecutionPlan plan, ComputeMode compute, CancellationToken cancellation)
    {
        var settings = new LoadSettings(plan.Weights, Compute: compute);
        PlacedStage[] stages = [new PlacedStage(device, plan.Stages[0].Layers)];
        if (checkpoint is not null)
        {
            ScoringEngine engine = ScoringEngine.Load(stages, checkpoint, settings, null, null, cancellation);
            return new BenchModel(engine, wave => engine.Score(wave).Select(r => r.Score), plan);
        }

        SyntheticModel synthetic = new(stages, shape.Config, settings, cancellation);
        return new BenchModel(synthetic, synthetic.LastHidden, plan);
    }

    /// <summary>Computes a scenario, and looks at the results.</summary>
    /// <exception cref="DeviceException">A result is not finite.</exception>
    public void Run(Scenario scenario)
    {
        foreach (Wave wave in _plan.Streams ? [new Wave(scenario.Batches)] : scenario.Batches.Select(b => new Wave([b])))
            if (!_compute(wave).All(float.IsFinite)) throw new DeviceException($"{scenario.Label}: a result is not finite; its speed means nothing. Please report it with the output of ldlvk devices.");
    }

    /// <inheritdoc/>
    public void Dispose() => _model.Dispose();
}
