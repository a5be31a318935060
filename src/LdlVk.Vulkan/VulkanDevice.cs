using System.Runtime.InteropServices;
using LdlVk.Runtime.Devices;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan;

/// <summary>
/// The op set on one Vulkan device. Ops are recorded in call order into a <see cref="CommandStream"/>; memory comes from a
/// <see cref="MemoryAllocator"/>, data enters and leaves through a <see cref="StagingRing"/>, and <see cref="Kernels"/> holds the
/// pipelines. This file owns the handles and moves data; VulkanDevice.Ops.cs and the files beside it dispatch.
/// </summary>
internal sealed unsafe partial class VulkanDevice : IDevice, ITimedDevice
{
    private readonly VulkanInstance _instance;
    private readonly Device _device;
    private readonly PhysicalDeviceFacts _facts;
    private readonly CommandStream _stream;
    private readonly MemoryAllocator _memory;
    private readonly CommandStream? _copies;
    private readonly StagingRing _staging;
    private readonly Downloads _downloads;
    private readonly Kernels _kernels;
    private readonly LinearKernels _linear;
    private readonly AttentionKernels _attention;
    private bool _disposed;

    /// <summary>Opens a device and takes the instance over, to be disposed with it.</summary>
    public VulkanDevice(VulkanInstance instance, PhysicalDevice physicalDevice, int index, LinearFamily? linear, string? cacheFolder, UploadQueue upload)
    {
        Vk api = instance.Api;
        _instance = instance;
        _facts = PhysicalDeviceFacts.Of(instance, physicalDevice);
        LinearFamily family = linear ?? LinearKernels.FamilyFor(_facts);
        Info = _facts.ToInfo(index, family);
        QueueChoice queues = QueueChoice.For(_facts, upload);
        float* priorities = stackalloc float[] { 1, 1 };
        var queue = stackalloc DeviceQueueCreateInfo[2];
        for (int i = 0; i < queues.Families.Length; i++)
            queue[i] = new DeviceQueueCreateInfo(queueFamilyIndex: queues.Families[i], queueCount: i == 0 ? queues.ComputeFamilyQueues : 1, pQueuePriorities: priorities);
        using var features = new EnabledFeatures(api, physicalDevice, _facts);
        using var names = new NativeStrings([.. features.Extensions]);
        var create = new DeviceCreateInfo(pNext: features.Chain, queueCreateInfoCount: (uint)queues.Families.Length, pQueueCreateInfos: queue,
            enabledExtensionCount: names.Count, ppEnabledExtensionNames: names.Pointers);
        api.CreateDevice(physicalDevice, in create, null, out _device).Check("vkCreateDevice");
        try
        {
            bool watched = _facts.Kind != DeviceKind.Software;
            _stream = new CommandStream(api, _device, _facts.ComputeQueueFamily, 0, computes: true, watched);
            if (queues.Copy is { } copy) _copies = new CommandStream(api, _device, copy.Family, copy.Index, computes: false, watched);
            _memory = new MemoryAllocator(api, _device, _facts, _stream);
            _staging = new StagingRing(api, _device, _facts, _stream, _copies, queues.Families);
            _downloads = new Downloads(api, _device, _facts, _stream);
            string? cache = cacheFolder is null ? null : Path.Combine(cacheFolder, PipelineCacheFile.NameFor(_facts.Properties));
            _kernels = new Kernels(api, _device, new PipelineCacheFile(cache, _facts.Properties));
            _linear = new LinearKernels(family, _facts, new TileChoices(cacheFolder, _facts));
            _attention = new AttentionKernels(family, _facts.SubgroupSize);
        }
        catch
        {
            DestroyHandles();
            throw;
        }
    }

    public DeviceInfo Info { get; }

    /// <summary>Which kernels Linear runs.</summary>
    internal LinearKernels LinearKernels => _linear;

    public long AllocatedBytes => _memory.UsedBytes;

    public string? WhyNotTimed => _facts.TimestampBits == 0 ? $"the driver of {Info.Id} has no timestamps" : null;

    public IOpTimer StartTimer()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return WhyNotTimed is null ? new CommandTimer(_instance.Api, _device, _stream, _facts) : throw new NotSupportedException(WhyNotTimed);
    }

    /// <summary>Barriers recorded so far.</summary>
    internal long Barriers => _stream.Barriers;

    /// <summary>Blocks of device memory taken from the driver so far.</summary>
    internal int BlocksMade => _memory.BlocksMade;

    public ITensor CreateTensor(int rows, int columns)
    {
        ulong bytes = KernelLimits.TensorBytes(rows, columns);
        return Filled(bytes, () => $"a tensor [{rows}, {columns}]", allocation =>
        {
            if (bytes > 0)
            {
                CommandBuffer commands = _stream.Next(Work.Elementwise("CreateTensor", rows, columns), [], [new MemoryRange(allocation.Address, bytes)]);
                _instance.Api.CmdFillBuffer(commands, allocation.Block.Buffer, allocation.Offset, bytes, 0);
            }

            return new VulkanTensor(this, allocation, rows, columns);
        });
    }

    public IWeight CreateWeight(IWeightSource source, IProgress<long>? progress = null, CancellationToken cancellation = default)
    {
        ulong bytes = KernelLimits.WeightBytes(source.Name, source.Format, source.OutputFeatures, source.InputFeatures);
        return Filled(bytes, () => $"{source.Name} [{source.OutputFeatures}, {source.InputFeatures}] in {source.Format}", allocation =>
        {
            if (source is RandomWeightSource random) FillRandom(random, allocation);
            else new WeightUpload(_staging, source, allocation).Run(progress, cancellation);
            return new VulkanWeight(this, allocation, source);
        });
    }

    public IIndexList CreateIndices(ReadOnlySpan<int> values)
    {
        int place = 0, largest = -1;
        for (int i = 0; i < values.Length; i++)
        {
            if (values[i] < 0) throw new ArgumentException($"Index {i} is {values[i]}; indices are not negative.");
            if (values[i] > largest) (place, largest) = (i, values[i]);
        }

        int[] ints = values.ToArray();
        return Filled((ulong)ints.Length * sizeof(int), () => $"{ints.Length} indices", allocation =>
        {
            UploadInts(allocation, ints);
            return new VulkanIndices(this, allocation, ints.Length, place, largest);
        });
    }

    public ISegmentList CreateSegments(ReadOnlySpan<AttentionSegment> segments)
    {
        List<int> ints = [];
        foreach (AttentionSegment s in segments) ints.AddRange([s.QueryRow, s.QueryCount, s.QueryPosition, s.PrefixRow, s.PrefixLength, s.OwnRow]);
        List<QueryBlocks> blocks = [];
        foreach (int size in _linear.HasMatrixUnits ? [_attention.QueryBlock, .. MatrixQueryBlocks] : (ReadOnlySpan<int>)[_attention.QueryBlock])
        {
            int before = ints.Count;
            for (int s = 0; s < segments.Length; s++)
            {
                if (segments[s].QueryCount > MaxSegmentQueries) throw new ArgumentException($"Segment {s} has {segments[s].QueryCount} query rows; {MaxSegmentQueries} are supported.");
                for (int first = 0; first < segments[s].QueryCount; first += size) ints.AddRange([s, first]);
            }

            blocks.Add(new QueryBlocks(size, (ints.Count - before) * sizeof(int) / QueryBlocks.EntryBytes, before * sizeof(int)));
        }

        AttentionSegment[] kept = segments.ToArray();
        return Filled((ulong)ints.Count * sizeof(int), () => $"{kept.Length} segments", allocation =>
        {
            UploadInts(allocation, CollectionsMarshal.AsSpan(ints));
            return new VulkanSegments(this, allocation, kept, blocks);
        });
    }

    public void Write(ITensor destination, int firstRow, ReadOnlySpan<float> values)
    {
        int rows = OpChecks.WriteRows(destination, firstRow, values.Length);
        IVulkanTensor tensor = Output(destination);
        Allocation memory = tensor.Owner.Allocation;
        int columns = tensor.Columns, stride = tensor.Stride;
        int rowsPerChunk = StagingRing.ChunkBytes / (stride * sizeof(float));
        for (int done = 0; done < rows; done += rowsPerChunk)
        {
            int count = Math.Min(rowsPerChunk, rows - done);
            ulong offset = (ulong)(tensor.FirstRow + firstRow + done) * (ulong)stride * sizeof(float);
            _staging.Upload(memory, offset, count * stride * sizeof(float), mayWait: false, values.Slice(done * columns, count * columns), (bytes, chunk) =>
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
        int rowsAtOnce = StagingRing.ChunkBytes / (Own(source).Stride * sizeof(float));
        for (int done = 0; done < source.Rows; done += rowsAtOnce)
        {
            int count = Math.Min(rowsAtOnce, source.Rows - done);
            using IReadback rows = BeginRead(source.View(done, count));
            rows.Finish(destination.Slice(done * source.Columns, count * source.Columns));
        }
    }

    public IReadback BeginRead(ITensor source)
    {
        IVulkanTensor tensor = Own(source);
        int stride = tensor.Stride, rowsPerChunk = StagingRing.ChunkBytes / (stride * sizeof(float));
        var readback = new VulkanReadback(this, tensor);
        try
        {
            for (int done = 0; done < source.Rows; done += rowsPerChunk)
            {
                int count = Math.Min(rowsPerChunk, source.Rows - done);
                ulong offset = (ulong)(tensor.FirstRow + done) * (ulong)stride * sizeof(float);
                readback.Add(_downloads.Begin(tensor.Owner.Allocation, offset, count * stride * sizeof(float)), count);
            }

            readback.ReadyAt = _stream.Submit();
            return readback;
        }
        catch
        {
            readback.Dispose();
            throw;
        }
    }

    internal void WaitFor(VulkanReadback readback)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        _stream.Wait(readback.ReadyAt);
    }

    internal void End(HostBuffer chunk) => _downloads.End(chunk);

    internal void Free(Allocation allocation)
    {
        if (!_disposed) _memory.Free(allocation);
    }

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _stream.Drain();
        DestroyHandles();
        _instance.Dispose();
    }

    /// <summary>Destroys what has been made so far, in the reverse order.</summary>
    private void DestroyHandles()
    {
        _kernels?.Dispose();
        _downloads?.Dispose();
        _staging?.Dispose();
        _memory?.Dispose();
        _copies?.Dispose();
        _stream?.Dispose();
        _instance.Api.DestroyDevice(_device, null);
    }

    /// <summary>Makes an object with memory of its own; the memory is freed again if that fails.</summary>
    private T Filled<T>(ulong bytes, Func<string> what, Func<Allocation, T> make)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        Allocation allocation = _memory.Allocate(bytes, what);
        try
        {
            return make(allocation);
        }
        catch
        {
            Free(allocation);
            throw;
        }
    }

    private void UploadInts(Allocation allocation, ReadOnlySpan<int> values)
    {
        const int Chunk = StagingRing.ChunkBytes / sizeof(int);
        for (int done = 0; done < values.Length; done += Chunk)
        {
            ReadOnlySpan<int> part = values.Slice(done, Math.Min(Chunk, values.Length - done));
            _staging.Upload(allocation, (ulong)done * sizeof(int), part.Length * sizeof(int), mayWait: false, part,
                static (bytes, ints) => MemoryMarshal.AsBytes(ints).CopyTo(bytes));
        }
    }
}
