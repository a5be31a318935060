using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Benchmarking;

/// <summary>A request to <see cref="BenchSession"/>.</summary>
/// <param name="Device">The device.</param>
/// <param name="Shape">The backbone.</param>
/// <param name="Weights">Format of the matrices.</param>
/// <param name="Scenarios">The scenarios, at least one. The first one is part of the cold start.</param>
public sealed record BenchRequest(DeviceInfo Device, BenchShape Shape, WeightFormat Weights, IReadOnlyList<Scenario> Scenarios)
{
    /// <summary>The checkpoint of that shape, whose whole reward model is measured; null for generated weights without heads.</summary>
    public Checkpoint? Checkpoint { get; init; }

    /// <summary>How products are computed.</summary>
    public ComputeMode Compute { get; init; }

    /// <summary>
    /// Bytes of the device's memory that the model may use; null for all free memory. Layers that do not fit are streamed.
    /// </summary>
    public long? MemoryLimit { get; init; }

    /// <summary>Whether kernels compiled in earlier runs are used; otherwise all are compiled.</summary>
    public bool UseKeptKernels { get; init; } = true;

    /// <summary>Rows of the largest micro-batch.</summary>
    private int Rows => Scenarios.Max(s => s.MaxBatchRows);

    private ModelMemory Memory => Checkpoint is null
        ? ModelMemory.OfBackbone(Shape.Config, Weights)
        : ModelMemory.Of(Shape.Config, Checkpoint.Head, Weights, WeightFormat.Fp32);

    /// <summary>Plans which layers the device holds and which are streamed. Nothing is loaded.</summary>
    /// <exception cref="DeviceException">Not even a single layer fits.</exception>
    public ExecutionPlan MakePlan() => Planner.Make(new PlanRequest(Shape.Config, Memory, Weights, [Device])
    {
        BatchTokens = Rows,
        Compute = Compute,
        MemoryLimits = MemoryLimit is { } limit ? [limit] : [],
        HostBytes = long.MaxValue,
    });

    /// <summary>Returns a sentence with the memory that the model needs without streaming, and the free memory.</summary>
    public string DescribeMemory()
    {
        long needed = Memory.On(Device, Shape.Config, Weights, Compute).Total(Rows);
        return $"{Shape.Config.Layers} layers of {Shape.Name} with {Readable.Name(Weights)} weights and {Rows} rows need "
            + $"{Readable.Bytes(needed)}, and {Readable.Device(Device)} has {Readable.Bytes(Device.FreeMemoryBytes)} free.";
    }
}
