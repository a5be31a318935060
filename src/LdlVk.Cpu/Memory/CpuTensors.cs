using LdlVk.Runtime.Devices;

namespace LdlVk.Cpu.Memory;

/// <summary>
/// A matrix in host memory. Rows start <see cref="Stride"/> floats apart, a multiple of 32, so that vector loops run over whole rows
/// without tails. The padding is zero always: an op that writes a row through whole vectors clears the padding again
/// (<see cref="ClearPadding"/>), since 0·∞ would otherwise leave a NaN there for the tensor's next user.
/// </summary>
internal sealed unsafe class CpuTensor : IDeviceTensor
{
    private readonly NativeBuffer _buffer;
    private readonly long _firstElement;
    private readonly bool _isView;

    public CpuTensor(IDevice device, NativeBuffer buffer, int rows, int columns)
        : this(device, buffer, rows, columns, 0, isView: false)
    {
    }

    private CpuTensor(IDevice device, NativeBuffer buffer, int rows, int columns, long firstElement, bool isView)
    {
        Device = device;
        Rows = rows;
        Columns = columns;
        _buffer = buffer;
        _firstElement = firstElement;
        _isView = isView;
    }

    public IDevice Device { get; }

    public bool IsDisposed => _buffer.IsFreed;

    public TensorPlace Place => new(_buffer, _firstElement, Elements(Rows, Columns));

    public int Rows { get; }

    public int Columns { get; }

    /// <summary>Floats from one row to the next.</summary>
    public int Stride => WeightLayout.PaddedRow(Columns);

    /// <summary>The first row.</summary>
    public float* Data => (float*)_buffer.Pointer + _firstElement;

    /// <summary>Floats of a matrix in memory, padding included.</summary>
    public static long Elements(int rows, int columns) => (long)rows * WeightLayout.PaddedRow(columns);

    /// <summary>Zeroes what lies behind the last column of a row.</summary>
    public void ClearPadding(float* row) => new Span<float>(row + Columns, Stride - Columns).Clear();

    public ITensor View(int firstRow, int rowCount)
    {
        OpChecks.View(this, firstRow, rowCount);
        return new CpuTensor(Device, _buffer, rowCount, Columns, _firstElement + Elements(firstRow, Columns), isView: true);
    }

    public void Dispose()
    {
        if (!_isView) _buffer.Dispose();
    }
}

/// <summary>A copy of a tensor's rows, padding included.</summary>
internal sealed unsafe class CpuHostTensor(IDevice device, NativeBuffer buffer, int rows, int columns) : IHostTensor, IDeviceObject
{
    public IDevice Device => device;

    public bool IsDisposed => buffer.IsFreed;

    public int Rows => rows;

    public int Columns => columns;

    public void* Data => buffer.Pointer;

    public long Bytes => buffer.Bytes;

    public void Dispose() => buffer.Dispose();
}

/// <summary>A weight matrix in host memory: rows as <see cref="WeightLayout"/> describes them, scales apart.</summary>
internal sealed unsafe class CpuWeight(
    IDevice device, WeightFormat format, int outputFeatures, int inputFeatures, NativeBuffer values, NativeBuffer? scales) : IWeight,
        IDeviceObject
{
    public IDevice Device => device;

    public bool IsDisposed => values.IsFreed;

    public int OutputFeatures => outputFeatures;

    public int InputFeatures => inputFeatures;

    public WeightFormat Format => format;

    /// <summary>The power of two that every element is multiplied by; the last source's.</summary>
    public float Scale { get; private set; } = 1;

    /// <summary>Elements of a stored row.</summary>
    public int Stride => WeightLayout.PaddedRow(InputFeatures);

    public byte* Values => (byte*)values.Pointer;

    /// <summary>The scales of all rows; null if the format has none.</summary>
    public Half* Scales => scales is null ? null : (Half*)scales.Pointer;

    /// <summary>Takes a source's rows and scale.</summary>
    public void Fill(IWeightSource source, int threads, IProgress<long>? progress, CancellationToken cancellationToken)
    {
        WeightRows.ReadAll(source, Values, Scales, threads, progress, cancellationToken);
        Scale = source.Scale;
    }

    public void Dispose()
    {
        values.Dispose();
        scales?.Dispose();
    }
}

/// <summary>A weight in memory that belongs to no device.</summary>
internal sealed unsafe class CpuHostWeight(CpuWeight weight, string name) : IHostWeight
{
    public string Name => name;

    public int OutputFeatures => weight.OutputFeatures;

    public int InputFeatures => weight.InputFeatures;

    public WeightFormat Format => weight.Format;

    public float Scale => weight.Scale;

    public void ReadRows(int firstRow, int rowCount, Span<byte> values, Span<Half> scales)
    {
        new ReadOnlySpan<byte>(weight.Values + (firstRow * WeightLayout.RowBytes(Format, InputFeatures)), values.Length).CopyTo(values);
        new ReadOnlySpan<Half>(weight.Scales + ((long)firstRow * WeightLayout.ScalesPerRow(Format, InputFeatures)),
            scales.Length).CopyTo(scales);
    }

    public void Dispose() => weight.Dispose();
}

/// <summary>A list of integers. It is small and only read, so that an array of the runtime serves.</summary>
internal sealed class CpuIndexList(IDevice device, int[] values) : IDeviceIndexList
{
    private int[]? _values = values;

    public IDevice Device => device;

    public bool IsDisposed => _values is null;

    public int Count { get; } = values.Length;

    public int Largest { get; } = values.Length == 0 ? -1 : values.Max();

    public int PlaceOfLargest { get; } = values.Length == 0 ? 0 : Array.IndexOf(values, values.Max());

    public int[] Values => _values ?? throw new ObjectDisposedException("index list");

    public void Dispose() => _values = null;
}

/// <summary>The segments of an attention call.</summary>
internal sealed class CpuSegmentList(IDevice device, AttentionSegment[] segments) : ISegmentList, IDeviceObject
{
    private AttentionSegment[]? _segments = segments;

    public IDevice Device => device;

    public bool IsDisposed => _segments is null;

    public IReadOnlyList<AttentionSegment> Segments => _segments ?? throw new ObjectDisposedException("segment list");

    public void Dispose() => _segments = null;
}

/// <summary>Values that are there already: on the processor an op is done when its method returns.</summary>
internal sealed class CpuReadback(int rows, int columns, float[] values) : IReadback
{
    public void Finish(Span<float> destination)
    {
        OpChecks.ReadLength(rows, columns, destination.Length);
        values.CopyTo(destination);
    }

    public void Dispose()
    {
        // Nothing of the device's is held.
    }
}
