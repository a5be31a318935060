using LdlVk.Runtime;
using LdlVk.Runtime.Devices;

namespace LdlVk.Tests;

/// <summary>A device that passes everything on, except that one of its calls, counted from when it is armed, fails.</summary>
internal sealed class FailingDevice(IDevice inner) : IDevice
{
    private int _left = -1;

    /// <summary>Whether the armed call has been reached.</summary>
    public bool HasFailed { get; private set; }

    public DeviceInfo Info => inner.Info;
    public long AllocatedBytes => inner.AllocatedBytes;

    /// <summary>Lets <paramref name="calls"/> calls pass; the one after them fails.</summary>
    public void Arm(int calls) => (_left, HasFailed) = (calls, false);

    public ITensor CreateTensor(int rows, int columns) => Next().CreateTensor(rows, columns);
    public IWeight CreateWeight(IWeightSource source, IProgress<long>? progress, CancellationToken cancellation) => Next().CreateWeight(source, progress, cancellation);
    public IIndexList CreateIndices(ReadOnlySpan<int> values) => Next().CreateIndices(values);
    public ISegmentList CreateSegments(ReadOnlySpan<AttentionSegment> segments) => Next().CreateSegments(segments);
    public void Write(ITensor destination, int firstRow, ReadOnlySpan<float> values) => Next().Write(destination, firstRow, values);
    public void Read(ITensor source, Span<float> destination) => Next().Read(source, destination);
    public void Linear(ITensor output, ITensor input, IWeight weight, ITensor? bias, Activation activation) => Next().Linear(output, input, weight, bias, activation);
    public void RmsNorm(ITensor output, ITensor input, ITensor weight, float epsilon) => Next().RmsNorm(output, input, weight, epsilon);
    public void NormAdd(ITensor residual, ITensor y, ITensor weight, float epsilon) => Next().NormAdd(residual, y, weight, epsilon);
    public void Rope(ITensor x, int heads, IIndexList positions, ITensor table) => Next().Rope(x, heads, positions, table);
    public void Attention(ITensor output, ITensor queries, ITensor keys, ITensor values, ISegmentList segments, in AttentionShape shape) => Next().Attention(output, queries, keys, values, segments, shape);
    public void GatedLinear(ITensor output, ITensor scratch, ITensor input, IWeight gate, IWeight up) => Next().GatedLinear(output, scratch, input, gate, up);
    public void GeluMultiply(ITensor output, ITensor gate, ITensor up) => Next().GeluMultiply(output, gate, up);
    public void GatherRows(ITensor output, ITensor input, IIndexList rows) => Next().GatherRows(output, input, rows);
    public void LdlReadout(ITensor output, ITensor regression, ITensor gating, float gateTemperature) => Next().LdlReadout(output, regression, gating, gateTemperature);
    public void Dispose() => inner.Dispose();

    private IDevice Next()
    {
        if (_left == 0)
        {
            HasFailed = true;
            throw new DeviceException("out of device memory (on purpose)");
        }

        if (_left > 0) _left--;
        return inner;
    }
}
