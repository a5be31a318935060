using System.Diagnostics;
using LdlVk.Runtime.Devices;

namespace LdlVk.Benchmarking;

/// <summary>A warmed-up model on a device, for measuring scenarios. Not thread-safe.</summary>
public sealed class BenchSession : IDisposable
{
    private readonly IDevice _opened;
    private readonly ProfiledDevice _device;
    private readonly BenchModel _model;

    private BenchSession(IDevice opened, ProfiledDevice device, BenchModel model, BenchContext context, PeakMemory memory) =>
        (_opened, _device, _model, Context, Memory) = (opened, device, model, context, memory);

    /// <summary>The common properties of all measurements of this session.</summary>
    public BenchContext Context { get; }

    /// <summary>Peak memory of the model, without that of the yardsticks.</summary>
    public PeakMemory Memory { get; }

    /// <summary>Opens the device, loads the model, computes every scenario once, and measures the yardsticks.</summary>
    /// <param name="request">The request.</param>
    /// <param name="plan">The plan that <see cref="BenchRequest.MakePlan"/> made.</param>
    /// <param name="report">Called with each step when it begins; may be null.</param>
    /// <param name="cancellationToken">Cancels the loading.</param>
    /// <exception cref="LdlVkException">The device cannot be opened, is out of memory, or computes non-finite results.</exception>
    public static BenchSession Open(BenchRequest request, ExecutionPlan plan, Action<string>? report, CancellationToken cancellationToken)
    {
        report?.Invoke("weights");
        long start = Stopwatch.GetTimestamp();
        IDevice opened = ComputeDevices.Open(
            request.Device, request.MemoryLimit is null ? null : plan.Stages[0].Budget, request.UseKeptKernels);
        BenchModel? model = null;
        try
        {
            ProfiledDevice device = new(opened);
            double open = Lap();
            model = BenchModel.Create(device, request.Shape, request.Checkpoint, plan, request.Compute, cancellationToken);
            double weights = Lap();
            report?.Invoke("first result");
            model.Run(request.Scenarios[0]);
            double first = Lap();
            // Every other scenario runs once, to warm up, and to record the peak memory without the yardsticks.
            foreach (Scenario scenario in request.Scenarios.Skip(1)) model.Run(scenario);
            PeakMemory memory = new(device.PeakAllocatedBytes, Process.GetCurrentProcess().PeakWorkingSet64);
            BenchContext context = new(request.Device, request.Shape, request.Weights, request.Compute, MeasureYardsticks(request, opened),
                new ColdStart(open, weights, first), request.UseKeptKernels, device.WhyNotTimed);
            return new BenchSession(opened, device, model, context, memory);
        }
        catch
        {
            model?.Dispose();
            opened.Dispose();
            throw;
        }

        double Lap()
        {
            double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            start = Stopwatch.GetTimestamp();
            return seconds;
        }
    }

    /// <summary>Times a scenario, and profiles one more run of it.</summary>
    /// <param name="scenario">One of the request's scenarios.</param>
    /// <param name="runs">Number of timed runs.</param>
    /// <param name="cancellationToken">Cancels the measurement between two runs.</param>
    public Measurement Measure(Scenario scenario, int runs, CancellationToken cancellationToken) =>
        Measurement.Take(_device, _model, scenario, runs, cancellationToken);

    /// <inheritdoc/>
    public void Dispose()
    {
        _model.Dispose();
        _opened.Dispose();
    }

    /// <summary>Opens a second device without memory limit for the yardsticks, because the model may use nearly all of the limit.</summary>
    private static Yardsticks MeasureYardsticks(BenchRequest request, IDevice opened)
    {
        using IDevice? unlimited = request.MemoryLimit is null
            ? null
            : ComputeDevices.Open(request.Device, useKeptKernels: request.UseKeptKernels);
        return Yardsticks.Measure(unlimited ?? opened, request.Weights);
    }
}
