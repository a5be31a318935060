using System.Runtime.InteropServices;
using LdlVk.Runtime;
using LdlVk.Runtime.Devices;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan;

/// <summary>
/// The op set on one Vulkan device. Ops are recorded in call order into a <see cref="CommandStream"/>; memory comes from a
/// <see cref="MemoryAllocator"/>, data enters and leaves through a <see cref="StagingRing"/>, and <see cref="Kernels"/> holds the
/// pipelines. This file owns the handles and moves data; VulkanDevice.Ops.cs dispatches.
/// </summary>
internal sealed unsafe partial class VulkanDevice : IDevice
{
    private readonly VulkanInstance _instance;
    private readonly Device _device;
    private readonly PhysicalDeviceFacts _facts;
    private readonly CommandStream _stream;
    private readonly MemoryAllocator _memory;
    private readonly StagingRing _staging;
    private readonly Kernels _kernels;
    private readonly LinearKernels _linear;
    private bool _disposed;

    public VulkanDevice(VulkanInstance instance, PhysicalDevice physicalDevice, int index, LinearFamily? linear = null)
    {
        Vk api = instance.Api;
        _instance = instance;
        _facts = PhysicalDeviceFacts.Of(api, physicalDevice);
        Info = _facts.ToInfo(index);
        float priority = 1;
        var queue = new DeviceQueueCreateInfo(queueFamilyIndex: _facts.ComputeQueueFamily, queueCount: 1, pQueuePriorities: &priority);
        var v12 = new PhysicalDeviceVulkan12Features(sType: StructureType.PhysicalDeviceVulkan12Features)
        {
            BufferDeviceAddress = true,
            TimelineSemaphore = true,
        };
        var create = new DeviceCreateInfo(pNext: &v12, queueCreateInfoCount: 1, pQueueCreateInfos: &queue);
        api.CreateDevice(physicalDevice, in create, null, out _device).Check("vkCreateDevice");
        try
        {
            _stream = new CommandStream(api, _device, _facts.ComputeQueueFamily);
            _memory = new MemoryAllocator(api, _device, _facts, _stream.Finish);
            _staging = new StagingRing(api, _device, _facts, _stream);
            _kernels = new Kernels(api, _device, _facts);
            _linear = new LinearKernels(linear ?? LinearKernels.FamilyFor(_facts), _facts.SubgroupSize);
        }
        catch
        {
            DestroyHandles();
            throw;
        }
    }

    public DeviceInfo Info { get; }

    public long AllocatedBytes => _memory.UsedBytes;

    public ITensor CreateTensor(int rows, int columns)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(rows);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(columns);
        ulong bytes = (ulong)rows * (ulong)WeightLayout.PaddedRow(columns) * sizeof(float);
        Allocation allocation = Allocate(bytes);
        _instance.Api.CmdFillBuffer(_stream.Next(), allocation.Block.Buffer, allocation.Offset, bytes, 0);
        return new VulkanTensor(this, allocation, rows, columns);
    }

    public IWeight CreateWeight(IWeightSource source, IProgress<long>? progress = null, CancellationToken cancellation = default)
    {
        Allocation allocation = Allocate((ulong)WeightLayout.MatrixBytes(source.Format, source.OutputFeatures, source.InputFeatures));
        try
        {
            new WeightUpload(_staging, source, allocation).Run(progress, cancellation);
            return new VulkanWeight(this, allocation, source);
        }
        catch
        {
            Free(allocation);
            throw;
        }
    }

    public IIndexList CreateIndices(ReadOnlySpan<int> values) =>
        new VulkanIndices(this, UploadInts(values), values.Length);

    public ISegmentList CreateSegments(ReadOnlySpan<AttentionSegment> segments)
    {
        List<int> blocks = [];
        for (int s = 0; s < segments.Length; s++)
            for (int first = 0; first < segments[s].QueryCount; first += AttentionQueryBlock)
                blocks.AddRange([s, first]);
        const int SegmentInts = 6;
        int[] ints = [.. MemoryMarshal.Cast<AttentionSegment, int>(segments), .. blocks];
        return new VulkanSegments(this, UploadInts(ints), segments.ToArray(), blocks.Count / 2, segments.Length * SegmentInts * sizeof(int));
    }

    public void Write(ITensor destination, int firstRow, ReadOnlySpan<float> values)
    {
        int rows = OpChecks.WriteRows(destination, firstRow, values.Length);
        IVulkanTensor tensor = Own(destination);
        int columns = tensor.Columns, stride = tensor.Stride;
        int rowsPerChunk = Math.Max(1, StagingRing.ChunkBytes / (stride * sizeof(float)));
        for (int done = 0; done < rows; done += rowsPerChunk)
        {
            int count = Math.Min(rowsPerChunk, rows - done);
            ulong offset = (ulong)(tensor.FirstRow + firstRow + done) * (ulong)stride * sizeof(float);
            _staging.Upload(tensor.Owner.Allocation, offset, count * stride * sizeof(float), values.Slice(done * columns, count * columns), (bytes, chunk) =>
            {
                Span<float> padded = MemoryMarshal.Cast<byte, float>(bytes);
                for (int row = 0; row < count; row++)
                {
                    chunk.Slice(row * columns, columns).CopyTo(padded[(row * stride)..]);
                    padded.Slice((row * stride) + columns, stride - columns).Clear();
                }
            });
        }
    }

    public void Read(ITensor source, Span<float> destination)
    {
        OpChecks.Read(source, destination.Length);
        IVulkanTensor tensor = Own(source);
        int columns = tensor.Columns, stride = tensor.Stride;
        float[] row = new float[stride * Math.Max(1, Math.Min(source.Rows, StagingRing.ChunkBytes / (stride * sizeof(float))))];
        int rowsPerChunk = row.Length / stride;
        for (int done = 0; done < source.Rows; done += rowsPerChunk)
        {
            int count = Math.Min(rowsPerChunk, source.Rows - done);
            Allocation all = tensor.Owner.Allocation;
            Allocation part = all with { Offset = all.Offset + ((ulong)(tensor.FirstRow + done) * (ulong)stride * sizeof(float)) };
            _staging.Download(part, MemoryMarshal.AsBytes(row.AsSpan(0, count * stride)));
            for (int i = 0; i < count; i++) row.AsSpan(i * stride, columns).CopyTo(destination[((done + i) * columns)..]);
        }
    }

    internal void Free(Allocation allocation)
    {
        if (!_disposed) _memory.Free(allocation);
    }

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        try
        {
            _stream.Finish();
        }
        catch (DeviceException)
        {
            // A lost device cannot be waited for; its handles can still be destroyed.
        }

        DestroyHandles();
        _instance.Dispose();
    }

    /// <summary>Destroys what has been made so far, in the reverse order.</summary>
    private void DestroyHandles()
    {
        _kernels?.Dispose();
        _staging?.Dispose();
        _memory?.Dispose();
        _stream?.Dispose();
        _instance.Api.DestroyDevice(_device, null);
    }

    private Allocation Allocate(ulong bytes)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return _memory.Allocate(bytes);
    }

    private Allocation UploadInts(ReadOnlySpan<int> values)
    {
        Allocation allocation = Allocate((ulong)values.Length * sizeof(int));
        const int Chunk = StagingRing.ChunkBytes / sizeof(int);
        for (int done = 0; done < values.Length; done += Chunk)
        {
            ReadOnlySpan<int> part = values.Slice(done, Math.Min(Chunk, values.Length - done));
            _staging.Upload(allocation, (ulong)done * sizeof(int), part.Length * sizeof(int), part,
                static (bytes, ints) => MemoryMarshal.AsBytes(ints).CopyTo(bytes));
        }

        return allocation;
    }
}
