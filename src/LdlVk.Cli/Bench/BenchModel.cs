using LdlVk.Runtime;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;

namespace LdlVk.Cli.Bench;

/// <summary>What is measured, on its device: a backbone with made-up weights, or a checkpoint's whole reward model.</summary>
internal sealed class BenchModel : IDisposable
{
    private readonly IDisposable _model;
    private readonly Func<MicroBatch, IEnumerable<float>> _compute;

    private BenchModel(IDisposable model, Func<MicroBatch, IEnumerable<float>> compute) => (_model, _compute) = (model, compute);

    /// <summary>Puts a model on a device.</summary>
    /// <param name="device">Where to.</param>
    /// <param name="shape">The backbone.</param>
    /// <param name="checkpoint">The checkpoint of that shape; null for made-up weights.</param>
    /// <param name="weights">Format of the matrices.</param>
    /// <param name="compute">How products are computed.</param>
    /// <param name="rows">Rows of the largest micro-batch, for the memory's count.</param>
    /// <param name="cancellation">Ends the loading.</param>
    /// <exception cref="DeviceException">It does not fit.</exception>
    public static BenchModel Create(
        IDevice device, BenchShape shape, Checkpoint? checkpoint, WeightFormat weights, ComputeMode compute, int rows, CancellationToken cancellation)
    {
        if (checkpoint is not null)
        {
            ModelMemory.Require(checkpoint, device.Info, weights, WeightFormat.Fp32, rows, compute);
            ScoringEngine engine = ScoringEngine.Load(device, checkpoint, new LoadSettings(weights, Compute: compute), null, cancellation);
            return new BenchModel(engine, batch => engine.Score(batch).Select(r => r.Score));
        }

        long bytes = ModelMemory.OfBackbone(shape.Config, weights).On(device.Info, shape.Config, weights, compute).Total(rows);
        if (!ModelMemory.Fits(bytes, device.Info))
            throw new DeviceException($"{shape.Config.Layers} layers of {shape.Name} with {Output.Text.Format(weights)} weights and {rows} rows need {Output.Text.Bytes(bytes)}, and {Output.Text.Device(device.Info)} has {Output.Text.Bytes(device.Info.FreeMemoryBytes)} free. Use fewer --layers, smaller --weights or fewer tokens.");
        SyntheticModel synthetic = new(device, shape.Config, weights, cancellation) { Compute = compute };
        return new BenchModel(synthetic, synthetic.LastHidden);
    }

    /// <summary>Computes a scenario, and looks at the results.</summary>
    /// <exception cref="DeviceException">A result is not finite.</exception>
    public void Run(Scenario scenario)
    {
        foreach (MicroBatch batch in scenario.Batches)
            if (!_compute(batch).All(float.IsFinite)) throw new DeviceException($"{scenario.Label}: a result is not finite; its speed means nothing. Please report it with the output of ldlvk devices.");
    }

    /// <inheritdoc/>
    public void Dispose() => _model.Dispose();
}
