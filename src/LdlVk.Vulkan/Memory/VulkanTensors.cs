using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Device;
using LdlVk.Vulkan.Kernels;

namespace LdlVk.Vulkan.Memory;

/// <summary>Device memory with one owner.</summary>
/// <param name="device">The device that the memory belongs to.</param>
/// <param name="allocation">The memory.</param>
/// <param name="shared">The uses by the stream that fills it and by the one that computes with it; null if one stream does both.</param>
internal abstract class VulkanMemory(VulkanDevice device, Allocation allocation, SharedUse? shared = null) : IDeviceObject, IDisposable
{
    private bool _disposed;

    public VulkanDevice Device => device;

    IDevice IDeviceObject.Device => device;

    public bool IsDisposed => _disposed;

    public SharedUse? Shared => shared;

    /// <summary>The memory, while it is owned.</summary>
    public Allocation Allocation
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return allocation;
        }
    }

    /// <summary>All of its bytes.</summary>
    public MemoryRange Memory => new(Allocation.Address, Allocation.Size, shared);

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        Free();
    }

    protected virtual void Free() => device.Free(allocation, shared);
}

/// <summary>What kernels see of a tensor: an address, and rows of a padded length.</summary>
internal interface IVulkanTensor : IDeviceTensor
{
    ulong Address { get; }

    /// <summary>Floats from one row to the next: a multiple of the quantization group. The padding is always zero.</summary>
    int Stride { get; }

    VulkanTensor Owner { get; }

    int FirstRow { get; }

    /// <summary>The bytes of some rows.</summary>
    MemoryRange RangeOf(int firstRow, int rowCount) =>
        new(AddressOf(firstRow), (ulong)rowCount * (ulong)Stride * sizeof(float), Owner.Shared);

    /// <summary>Its bytes.</summary>
    MemoryRange Range => RangeOf(0, Rows);

    /// <summary>The address of one element; (0, 0) is <see cref="Address"/>.</summary>
    ulong AddressOf(int row, int column = 0) => Address + ((((ulong)row * (ulong)Stride) + (ulong)column) * sizeof(float));

    IDevice IDeviceObject.Device => Owner.Device;

    bool IDeviceObject.IsDisposed => Owner.IsDisposed;

    /// <summary>Its rows in its owner: views have all columns of their tensor.</summary>
    TensorPlace IDeviceTensor.Place => new(Owner, FirstRow, Rows);
}

internal sealed class VulkanTensor(VulkanDevice device, Allocation allocation, SharedUse? shared, int rows, int columns)
    : VulkanMemory(device, allocation, shared), IVulkanTensor
{
    private Allocation? _operand;

    public int Rows => rows;
    public int Columns => columns;
    public int Stride { get; } = WeightLayout.PaddedRow(columns);
    public ulong Address => Allocation.Address;
    public VulkanTensor Owner => this;
    public int FirstRow => 0;
    public ITensor View(int firstRow, int rowCount) => new VulkanView(this, firstRow, rowCount);

    /// <summary>The rows that <see cref="OperandMemory"/> holds converted, and their form; no rows that were written since.</summary>
    public (int First, int Count, OperandKind Kind) ConvertedRows { get; private set; }

    /// <summary>The form of the rows that were converted last, in which rows that are written now will probably be needed.</summary>
    public OperandKind UsualKind { get; private set; }

    /// <summary>Says that some rows are now held converted, and no others.</summary>
    public void SetConverted(int first, int count, OperandKind kind) => (ConvertedRows, UsualKind) = ((first, count, kind), kind);

    /// <summary>Says that some rows are written. Converted rows before the first or after the last of them stay.</summary>
    public void SetWritten(int first, int count)
    {
        (int heldFirst, int heldCount, OperandKind kind) = ConvertedRows;
        int before = Math.Min(first - heldFirst, heldCount), after = Math.Min(heldFirst + heldCount - (first + count), heldCount);
        ConvertedRows = before > 0 && before >= after ? (heldFirst, before, kind)
            : after > 0 ? (heldFirst + heldCount - after, after, kind) : default;
    }

    /// <summary>Memory for the tensor's rows as operands of products, allocated at the first call and freed with the tensor.</summary>
    /// <exception cref="ObjectDisposedException">The tensor is disposed.</exception>
    public Allocation OperandMemory(Func<Allocation> allocate)
    {
        _ = Allocation;
        return _operand ??= allocate();
    }

    public bool HoldsOperand(int firstRow, int rowCount, OperandKind kind) =>
        ConvertedRows.Kind == kind && ConvertedRows.First <= firstRow && firstRow + rowCount <= ConvertedRows.First + ConvertedRows.Count;

    protected override void Free()
    {
        base.Free();
        if (_operand is { } operand) Device.Free(operand, null);
    }
}

/// <summary>A tensor's rows in host memory, padding included. Only the stream that copies uses it.</summary>
internal sealed class VulkanHostTensor(VulkanDevice device, Allocation memory, int rows, int columns) : IHostTensor, IDeviceObject
{
    public IDevice Device => device;

    public bool IsDisposed { get; private set; }

    public int Rows => rows;

    public int Columns => columns;

    public Allocation Memory => memory;

    public void Dispose()
    {
        if (IsDisposed) return;
        IsDisposed = true;
        device.FreeSaved(memory);
    }
}

internal sealed class VulkanView : IVulkanTensor
{
    public VulkanView(IVulkanTensor tensor, int firstRow, int rowCount)
    {
        OpChecks.View(tensor, firstRow, rowCount);
        (Owner, FirstRow, Rows) = (tensor.Owner, tensor.FirstRow + firstRow, rowCount);
    }

    public int Rows { get; }
    public int Columns => Owner.Columns;
    public int Stride => Owner.Stride;
    public ulong Address => Owner.Address + ((ulong)FirstRow * (ulong)Stride * sizeof(float));
    public VulkanTensor Owner { get; }
    public int FirstRow { get; }
    public ITensor View(int firstRow, int rowCount) => new VulkanView(this, firstRow, rowCount);

    public void Dispose()
    {
        // The tensor owns the memory.
    }
}

/// <summary>
/// A weight: values in rows of <see cref="WeightLayout.PaddedRow"/> elements, then, at the next 16-byte boundary, the scales.
/// </summary>
internal sealed class VulkanWeight(
    VulkanDevice device, Allocation allocation, SharedUse? shared, WeightFormat format, int outputFeatures, int inputFeatures)
    : VulkanMemory(device, allocation, shared), IWeight
{
    public int OutputFeatures => outputFeatures;
    public int InputFeatures => inputFeatures;
    public WeightFormat Format => format;

    /// <summary>The scale of the source it was last filled from; an op takes its value when it is recorded.</summary>
    public float Scale { get; set; } = 1;

    public ulong AddressOf(int feature) => Allocation.Address + ScalesOffset(Format, feature, InputFeatures);

    /// <summary>
    /// The address of a feature's first scale. Kernels read scales in pairs, so the number of scales before it must be even.
    /// </summary>
    public ulong ScalesAddressOf(int feature) => Allocation.Address + ScalesOffset(Format, OutputFeatures, InputFeatures)
        + ((ulong)feature * (ulong)WeightLayout.ScalesPerRow(Format, InputFeatures) * 2);

    public static ulong ScalesOffset(WeightFormat format, int outputFeatures, int inputFeatures) =>
        (ulong)outputFeatures * (ulong)WeightLayout.RowBytes(format, inputFeatures);
}

/// <summary>Integers, with the place of the largest: checking it suffices to keep kernels within their operands.</summary>
internal sealed class VulkanIndices(VulkanDevice device, Allocation allocation, int count, int placeOfLargest, int largest)
    : VulkanMemory(device, allocation), IDeviceIndexList
{
    public int Count => count;
    public int PlaceOfLargest => placeOfLargest;

    public int Largest => largest;

    public ulong Address => Allocation.Address;
}

/// <summary>A list of query blocks (segment, first query) of one size; attention runs a workgroup for each block and head.</summary>
/// <param name="Size">Queries of a block; the last of a segment may be shorter.</param>
/// <param name="Count">Number of blocks.</param>
/// <param name="Offset">Bytes from the segments to the list.</param>
internal readonly record struct QueryBlocks(int Size, int Count, int Offset)
{
    /// <summary>Bytes of an entry.</summary>
    public const int EntryBytes = 2 * sizeof(int);
}

/// <summary>Segments, and a list of query blocks for each block size of attention's kernels.</summary>
internal sealed class VulkanSegments(
    VulkanDevice device, Allocation allocation, IReadOnlyList<AttentionSegment> segments, IReadOnlyList<QueryBlocks> blocks)
    : VulkanMemory(device, allocation), ISegmentList
{
    public IReadOnlyList<AttentionSegment> Segments => segments;
    public ulong SegmentsAddress => Allocation.Address;

    /// <summary>The blocks of a size.</summary>
    public QueryBlocks BlocksOf(int size) => blocks.First(b => b.Size == size);
}
