using LdlVk.Runtime.Devices;

namespace LdlVk.Vulkan;

/// <summary>Device memory with one owner.</summary>
internal abstract class VulkanMemory(VulkanDevice device, Allocation allocation) : IDisposable
{
    private bool _disposed;

    protected VulkanDevice Device => device;

    /// <summary>The memory, while it is owned.</summary>
    public Allocation Allocation
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return allocation;
        }
    }

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        device.Free(allocation);
    }
}

/// <summary>What kernels see of a tensor: an address, and rows of a padded length.</summary>
internal interface IVulkanTensor : ITensor
{
    ulong Address { get; }

    /// <summary>Floats from one row to the next: a multiple of the quantisation group, the padding always zero.</summary>
    int Stride { get; }

    VulkanTensor Owner { get; }

    int FirstRow { get; }
}

internal sealed class VulkanTensor(VulkanDevice device, Allocation allocation, int rows, int columns)
    : VulkanMemory(device, allocation), IVulkanTensor
{
    public int Rows => rows;
    public int Columns => columns;
    public int Stride { get; } = WeightLayout.PaddedRow(columns);
    public ulong Address => Allocation.Address;
    public VulkanTensor Owner => this;
    public int FirstRow => 0;
    public ITensor View(int firstRow, int rowCount) => new VulkanView(this, firstRow, rowCount);
}

internal sealed class VulkanView : IVulkanTensor
{
    public VulkanView(IVulkanTensor tensor, int firstRow, int rowCount)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(firstRow);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(rowCount);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rowCount, tensor.Rows - firstRow);
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

/// <summary>Values in rows of <see cref="WeightLayout.PaddedRow"/> elements, then, on the next 16-byte boundary, the scales.</summary>
internal sealed class VulkanWeight(VulkanDevice device, Allocation allocation, IWeightSource source)
    : VulkanMemory(device, allocation), IWeight
{
    public int OutputFeatures { get; } = source.OutputFeatures;
    public int InputFeatures { get; } = source.InputFeatures;
    public WeightFormat Format { get; } = source.Format;
    public float Scale { get; } = source.Scale;
    public ulong ScalesAddress => Allocation.Address + ScalesOffset(Format, OutputFeatures, InputFeatures);

    public static ulong ScalesOffset(WeightFormat format, int outputFeatures, int inputFeatures) =>
        (ulong)outputFeatures * (ulong)WeightLayout.PaddedRow(inputFeatures) * (ulong)WeightLayout.ElementBytes(format);
}

internal sealed class VulkanIndices(VulkanDevice device, Allocation allocation, int count) : VulkanMemory(device, allocation), IIndexList
{
    public int Count => count;
    public ulong Address => Allocation.Address;
}

/// <summary>Segments, and the list of query blocks over which attention's workgroups are spread.</summary>
internal sealed class VulkanSegments(VulkanDevice device, Allocation allocation, IReadOnlyList<AttentionSegment> segments, int blocks, int blockOffset)
    : VulkanMemory(device, allocation), ISegmentList
{
    public IReadOnlyList<AttentionSegment> Segments => segments;
    public int Blocks => blocks;
    public ulong SegmentsAddress => Allocation.Address;
    public ulong BlocksAddress => Allocation.Address + (ulong)blockOffset;
}
