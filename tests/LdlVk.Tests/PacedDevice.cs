using System.Diagnostics;
using System.Runtime.CompilerServices;
using LdlVk.Runtime.Devices;

namespace LdlVk.Tests;

/// <summary>
/// A device whose time is made up: it computes nothing, each layer of a micro-batch takes it a given time, each matrix brought in another,
/// on timelines of their own. Values can be read when the clock gets there. Other calls return at once, but for a Fill from a source that is
/// not in the device's host memory: it reads the rows when the weight's memory is free.
/// </summary>
internal sealed class PacedDevice(IDevice inner, TimeSpan layer, TimeSpan fill) : IDevice
{
    /// <summary>When each weight is there to be used, and is not used any more.</summary>
    private readonly ConditionalWeakTable<IWeight, Use> _weights = [];

    private long _computed, _filled;

    private sealed class Use
    {
        public long There, Done;
    }

    public DeviceInfo Info => inner.Info;
    public long AllocatedBytes => inner.AllocatedBytes;
    public long PeakBytes => inner.PeakBytes;
    public long PinnedBytes => inner.PinnedBytes;

    public IHostTensor Save(ITensor source) => inner.Save(source);
    public ITensor Restore(IHostTensor source) => inner.Restore(source);
    public ITensor CreateTensor(int rows, int columns) => inner.CreateTensor(rows, columns);
    public IWeight CreateWeight(WeightFormat format, int outputFeatures, int inputFeatures, string name) => inner.CreateWeight(format, outputFeatures, inputFeatures, name);
    public IHostWeight Pin(IWeightSource source, IProgress<long>? progress, CancellationToken cancellation) => inner.Pin(source, progress, cancellation);
    public IIndexList CreateIndices(ReadOnlySpan<int> values) => inner.CreateIndices(values);
    public ISegmentList CreateSegments(ReadOnlySpan<AttentionSegment> segments) => inner.CreateSegments(segments);
    public void Write(ITensor destination, int firstRow, ReadOnlySpan<float> values) => inner.Write(destination, firstRow, values);

    public void Fill(IWeight weight, IWeightSource source, IProgress<long>? progress, CancellationToken cancellation)
    {
        Use use = _weights.GetOrCreateValue(weight);
        if (source is not IHostWeight) WaitUntil(use.Done);
        _filled = use.There = Math.Max(Math.Max(_filled, use.Done), Stopwatch.GetTimestamp()) + Ticks(fill);
    }

    public void Read(ITensor source, Span<float> destination)
    {
        using IReadback read = BeginRead(source);
        read.Finish(destination);
    }

    public IReadback BeginRead(ITensor source) => new Readback(inner.BeginRead(source), _computed);

    public void Linear(ITensor output, ITensor input, IWeight weight, ITensor? bias, Activation activation, SumFormat sums)
    {
        Use use = _weights.GetOrCreateValue(weight);
        use.Done = _computed = Math.Max(_computed, use.There);
    }

    public void GatedLinear(ITensor output, ITensor scratch, ITensor input, IWeight gate, IWeight up, GateActivation activation, SumFormat sums)
    {
        Linear(output, input, gate, null, Activation.None, sums);
        Linear(output, input, up, null, Activation.None, sums);
    }

    public void Attention(ITensor output, ITensor queries, ITensor keys, ITensor values, ISegmentList segments, in AttentionShape shape) =>
        _computed = Math.Max(_computed, Stopwatch.GetTimestamp()) + Ticks(layer);

    public void Int8Linear(ITensor output, ITensor input, IWeight weight, ITensor? bias = null) => Linear(output, input, weight, bias, Activation.None, SumFormat.Fp32);

    public void RmsNorm(ITensor output, ITensor input, ITensor weight, float epsilon)
    {
    }

    public void NormAdd(ITensor residual, ITensor y, ITensor weight, float epsilon)
    {
    }

    public void Add(ITensor residual, ITensor y)
    {
    }

    public void AddNorm(ITensor output, ITensor residual, ITensor y, ITensor? yWeight, ITensor weight, float epsilon)
    {
    }

    public void HeadNorm(ITensor x, int heads, ITensor weight, float epsilon)
    {
    }

    public void Rope(ITensor x, int heads, IIndexList positions, ITensor table)
    {
    }

    public void GateMultiply(ITensor output, ITensor gate, ITensor up, GateActivation activation)
    {
    }

    public void GatherRows(ITensor output, ITensor input, IIndexList rows)
    {
    }

    public void LdlReadout(ITensor output, ITensor regression, ITensor gating, float gateTemperature)
    {
    }

    public void Dispose() => inner.Dispose();

    private static void WaitUntil(long time)
    {
        TimeSpan left = Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), time);
        if (left > TimeSpan.Zero) Thread.Sleep(left);
        // Sleep counts in milliseconds.
        while (Stopwatch.GetTimestamp() < time) Thread.SpinWait(50);
    }

    private static long Ticks(TimeSpan time) => (long)(time.TotalSeconds * Stopwatch.Frequency);

    private sealed class Readback(IReadback values, long ready) : IReadback
    {
        public void Finish(Span<float> destination)
        {
            WaitUntil(ready);
            values.Finish(destination);
        }

        public void Dispose() => values.Dispose();
    }
}
