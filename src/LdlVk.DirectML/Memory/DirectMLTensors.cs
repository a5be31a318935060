using System.Runtime.InteropServices;
using LdlVk.DirectML.Device;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML.Memory;

/// <summary>Device memory with one owner.</summary>
internal abstract class DirectMLMemory(DirectMLDevice device, GpuBuffer buffer) : IDeviceObject, IDisposable
{
    private bool _disposed;

    public IDevice Device => device;

    public bool IsDisposed => _disposed;

    /// <summary>The memory, while it is owned.</summary>
    public GpuBuffer Buffer
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return buffer;
        }
    }

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        device.Free(buffer);
    }
}

/// <summary>
/// A tensor as ops see it: rows <see cref="Stride"/> floats apart. The stride is a multiple of 32, so that every row and every view starts
/// where DirectML lets a tensor start (at a multiple of 16 bytes). The padding is zero and never written.
/// </summary>
internal interface IDirectMLTensor : IDeviceTensor
{
    DirectMLTensor Owner { get; }

    int FirstRow { get; }

    /// <summary>Floats from one row to the next.</summary>
    int Stride => Owner.Stride;

    /// <summary>The bytes of some rows, padding included.</summary>
    Region RegionOf(int firstRow, int rowCount) =>
        new(Owner.Buffer, (ulong)(FirstRow + firstRow) * (ulong)Stride * sizeof(float), (ulong)rowCount * (ulong)Stride * sizeof(float));

    /// <summary>Whether the two share memory.</summary>
    bool Overlaps(IDirectMLTensor other) => Place.Overlaps(other.Place);

    IDevice IDeviceObject.Device => Owner.Device;

    bool IDeviceObject.IsDisposed => Owner.IsDisposed;

    /// <summary>Its rows in its owner: views have all columns of their tensor.</summary>
    TensorPlace IDeviceTensor.Place => new(Owner, FirstRow, Rows);
}

internal sealed class DirectMLTensor(DirectMLDevice device, GpuBuffer buffer, int rows, int columns) : DirectMLMemory(device, buffer),
    IDirectMLTensor
{
    public int Rows => rows;

    public int Columns => columns;

    public int Stride { get; } = WeightLayout.PaddedRow(columns);

    public DirectMLTensor Owner => this;

    public int FirstRow => 0;

    public ITensor View(int firstRow, int rowCount) => new DirectMLView(this, firstRow, rowCount);
}

internal sealed class DirectMLView : IDirectMLTensor
{
    public DirectMLView(IDirectMLTensor tensor, int firstRow, int rowCount)
    {
        OpChecks.View(tensor, firstRow, rowCount);
        (Owner, FirstRow, Rows) = (tensor.Owner, tensor.FirstRow + firstRow, rowCount);
    }

    public int Rows { get; }

    public int Columns => Owner.Columns;

    public DirectMLTensor Owner { get; }

    public int FirstRow { get; }

    public ITensor View(int firstRow, int rowCount) => new DirectMLView(this, firstRow, rowCount);

    public void Dispose()
    {
        // The tensor owns the memory.
    }
}

/// <summary>A tensor's rows in host memory, padding included.</summary>
internal sealed class DirectMLHostTensor(DirectMLDevice device, GpuBuffer buffer, int rows, int columns) : IHostTensor, IDeviceObject
{
    public IDevice Device => device;

    public bool IsDisposed { get; private set; }

    public int Rows => rows;

    public int Columns => columns;

    public GpuBuffer Buffer => buffer;

    public void Dispose()
    {
        if (IsDisposed) return;
        IsDisposed = true;
        device.FreeSaved(buffer);
    }
}

/// <summary>Values in rows of <see cref="WeightLayout.RowBytes"/>, then, on the next 256-byte boundary, the scales.</summary>
internal sealed class DirectMLWeight(DirectMLDevice device, GpuBuffer buffer, WeightFormat format, int outputFeatures, int inputFeatures)
    : DirectMLMemory(device, buffer), IWeight
{
    public int OutputFeatures => outputFeatures;

    public int InputFeatures => inputFeatures;

    public WeightFormat Format => format;

    /// <summary>The scale of the source it was last filled from; an op takes its value when it is recorded.</summary>
    public float Scale { get; set; } = 1;

    /// <summary>The values from a row on.</summary>
    public Region ValuesFrom(int row) => Buffer.All.From((ulong)row * (ulong)WeightLayout.RowBytes(format, inputFeatures));

    /// <summary>The values of some rows.</summary>
    public Region Values(int firstRow, int rows) => ValuesFrom(
        firstRow) with { Bytes = (ulong)rows * (ulong)WeightLayout.RowBytes(format, inputFeatures) };

    /// <summary>The scales from a row on.</summary>
    public Region ScalesFrom(int row) =>
        Buffer.All.From(ScalesOffset(format, outputFeatures, inputFeatures)
            + ((ulong)row * (ulong)WeightLayout.ScalesPerRow(format, inputFeatures) * 2));

    /// <summary>The scales of some rows; no bytes if the format has none.</summary>
    public Region Scales(int firstRow, int rows) => ScalesFrom(
        firstRow) with { Bytes = (ulong)rows * (ulong)WeightLayout.ScalesPerRow(format, inputFeatures) * 2 };

    public static ulong ScalesOffset(WeightFormat format, int outputFeatures, int inputFeatures) =>
        (((ulong)outputFeatures * (ulong)WeightLayout.RowBytes(format, inputFeatures)) + 255) & ~255ul;
}

/// <summary>Integers, followed by zeros up to a whole number of row blocks.</summary>
internal sealed class DirectMLIndices(DirectMLDevice device, GpuBuffer buffer, int[] values) : DirectMLMemory(device, buffer),
    IDeviceIndexList
{
    public int Count => values.Length;

    public ReadOnlySpan<int> Values => values;

    public int Largest { get; } = values.Length == 0 ? -1 : values.Max();

    public int PlaceOfLargest { get; } = values.Length == 0 ? 0 : Array.IndexOf(values, values.Max());
}

/// <summary>Segments. Only the host reads them.</summary>
internal sealed class DirectMLSegments(DirectMLDevice device, IReadOnlyList<AttentionSegment> segments) : ISegmentList, IDeviceObject
{
    private bool _disposed;

    public IDevice Device => device;

    public bool IsDisposed => _disposed;

    public IReadOnlyList<AttentionSegment> Segments
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return segments;
        }
    }

    public void Dispose() => _disposed = true;
}

/// <summary>A tensor's values on their way: buffers of whole rows, padding included.</summary>
internal sealed class DirectMLReadback(DirectMLDevice device, ITensor source, int stride) : IReadback
{
    private readonly Queue<(HostBuffer Buffer, int Rows)> _parts = new();
    private readonly int _rows = source.Rows, _columns = source.Columns;

    public void Add(HostBuffer buffer, int rows) => _parts.Enqueue((buffer, rows));

    public void Finish(Span<float> destination)
    {
        OpChecks.ReadLength(_rows, _columns, destination.Length);
        int done = 0;
        foreach ((HostBuffer buffer, int rows) in _parts)
        {
            device.WaitFor(buffer.BusyUntil);
            ReadOnlySpan<float> padded = MemoryMarshal.Cast<byte, float>(buffer.Bytes);
            for (int row = 0; row < rows; row++, done += _columns) padded.Slice(row * stride, _columns).CopyTo(destination[done..]);
        }
    }

    public void Dispose()
    {
        while (_parts.TryDequeue(out (HostBuffer Buffer, int Rows) part)) device.End(part.Buffer);
    }
}
