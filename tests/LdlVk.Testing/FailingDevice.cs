using LdlVk.Runtime.Devices;

namespace LdlVk.Testing;

/// <summary>
/// A device that passes everything on, except that one of its calls, counted from when it is armed, fails; a lost device stays lost.
/// </summary>
public class FailingDevice(IDevice inner) : IDevice
{
    private int _left = -1, _movesLeft = -1;
    private DeviceFailure _failure;

    /// <summary>Whether the armed call has been reached.</summary>
    public bool HasFailed { get; private set; }

    /// <summary>Rows of a tensor for which there is memory.</summary>
    public int MostRows { get; set; } = int.MaxValue;

    /// <summary>Rows of a tensor for which there is host memory.</summary>
    public int MostSavedRows { get; set; } = int.MaxValue;

    /// <summary>Whether there is no memory for what comes back from host memory.</summary>
    public bool RestoresFail { get; set; }

    /// <summary>What each call waits for before it finds the device lost: one that hangs.</summary>
    public ManualResetEventSlim? Hangs { get; set; }

    /// <summary>Whether each read finds the device lost.</summary>
    public bool IsLostAtReads { get; set; }

    /// <summary>Reads begun and neither finished nor given up.</summary>
    public int Unread { get; private set; }

    /// <summary>The most there were.</summary>
    public int MostUnread { get; private set; }

    public bool IsDisposed { get; private set; }

    public virtual DeviceInfo Info => inner.Info;
    public long AllocatedBytes => inner.AllocatedBytes;
    public long PeakBytes => inner.PeakBytes;
    public long PinnedBytes => inner.PinnedBytes;

    /// <summary>Lets <paramref name="calls"/> calls pass; the one after them fails.</summary>
    public void Arm(int calls, DeviceFailure failure = DeviceFailure.OutOfMemory) => (_left, _failure, HasFailed) = (calls, failure, false);

    /// <summary>As <see cref="Arm"/>, counting the calls that copy to host memory or back alone.</summary>
    public void ArmMoves(int calls, DeviceFailure failure) => (_movesLeft, _failure, HasFailed) = (calls, failure, false);

    public ITensor CreateTensor(int rows, int columns) => rows <= MostRows
        ? Next().CreateTensor(rows, columns)
        : throw new DeviceException(
            $"no room for [{rows}, {columns}]; lower {OptionName.BatchTokens}", failure: DeviceFailure.OutOfMemory);

    public IWeight CreateWeight(WeightFormat format, int outputFeatures, int inputFeatures, string name) => Next().CreateWeight(format, outputFeatures, inputFeatures, name);
    public void Fill(IWeight weight, IWeightSource source, IProgress<long>? progress, CancellationToken cancellation) => Next().Fill(weight, source, progress, cancellation);
    public IHostWeight Pin(IWeightSource source, IProgress<long>? progress, CancellationToken cancellation) => Next().Pin(source, progress, cancellation);
    public IIndexList CreateIndices(ReadOnlySpan<int> values) => Next().CreateIndices(values);
    public ISegmentList CreateSegments(ReadOnlySpan<AttentionSegment> segments) => Next().CreateSegments(segments);
    public void Write(ITensor destination, int firstRow, ReadOnlySpan<float> values) => Next().Write(destination, firstRow, values);
    public void Read(ITensor source, Span<float> destination) => Next().Read(source, destination);
    public IHostTensor Save(ITensor source) => source.Rows <= MostSavedRows
        ? NextMove().Save(source) : throw new DeviceException($"no host memory for [{source.Rows}, {source.Columns}]", failure: DeviceFailure.OutOfMemory);
    public ITensor Restore(IHostTensor source) => !RestoresFail
        ? NextMove().Restore(source) : throw new DeviceException($"no room for [{source.Rows}, {source.Columns}]", failure: DeviceFailure.OutOfMemory);
    public IReadback BeginRead(ITensor source)
    {
        var readback = new Readback(this, Next().BeginRead(source));
        MostUnread = Math.Max(MostUnread, ++Unread);
        return readback;
    }


    public void Linear(ITensor output, ITensor input, IWeight weight, ITensor? bias, Activation activation, SumFormat sums) => Next().Linear(output, input, weight, bias, activation, sums);
    public void Int8Linear(ITensor output, ITensor input, IWeight weight, ITensor? bias = null) => Next().Int8Linear(output, input, weight, bias);
    public void RmsNorm(ITensor output, ITensor input, ITensor weight, float epsilon) => Next().RmsNorm(output, input, weight, epsilon);
    public void NormAdd(ITensor residual, ITensor y, ITensor weight, float epsilon) => Next().NormAdd(residual, y, weight, epsilon);
    public void Add(ITensor residual, ITensor y) => Next().Add(residual, y);
    public void AddNorm(ITensor output, ITensor residual, ITensor y, ITensor? yWeight, ITensor weight, float epsilon) => Next().AddNorm(output, residual, y, yWeight, weight, epsilon);
    public void HeadNorm(ITensor x, int heads, ITensor weight, float epsilon) => Next().HeadNorm(x, heads, weight, epsilon);
    public void Rope(ITensor x, int heads, IIndexList positions, ITensor table) => Next().Rope(x, heads, positions, table);
    public void Attention(ITensor output, ITensor queries, ITensor keys, ITensor values, ISegmentList segments, in AttentionShape shape) => Next().Attention(output, queries, keys, values, segments, shape);
    public void GatedLinear(ITensor output, ITensor scratch, ITensor input, IWeight gate, IWeight up, GateActivation activation, SumFormat sums) => Next().GatedLinear(output, scratch, input, gate, up, activation, sums);
    public void GateMultiply(ITensor output, ITensor gate, ITensor up, GateActivation activation) => Next().GateMultiply(output, gate, up, activation);
    public void GatherRows(ITensor output, ITensor input, IIndexList rows) => Next().GatherRows(output, input, rows);
    public void LdlReadout(ITensor output, ITensor regression, ITensor gating, float gateTemperature) => Next().LdlReadout(output, regression, gating, gateTemperature);
    public void Dispose()
    {
        IsDisposed = true;
        inner.Dispose();
    }

    private IDevice NextMove()
    {
        if (_movesLeft == 0) _left = 0;
        if (_movesLeft >= 0) _movesLeft--;
        return Next();
    }

    private IDevice Next()
    {
        if (Hangs is { } end)
        {
            end.Wait();
            throw new DeviceException("lost after a while (on purpose)", failure: DeviceFailure.Lost);
        }
        if (_left == 0)
        {
            HasFailed = true;
            if (_failure != DeviceFailure.Lost) _left = -1;
            throw new DeviceException($"{_failure} (on purpose)", failure: _failure);
        }

        if (_left > 0) _left--;
        return inner;
    }

    private sealed class Readback(FailingDevice device, IReadback values) : IReadback
    {
        private bool _ended;

        public void Finish(Span<float> destination)
        {
            End();
            if (device.IsLostAtReads) throw new DeviceException("lost (on purpose)", failure: DeviceFailure.Lost);
            device.Next();
            values.Finish(destination);
        }

        public void Dispose()
        {
            End();
            values.Dispose();
        }

        private void End()
        {
            if (!_ended) device.Unread--;
            _ended = true;
        }
    }
}
