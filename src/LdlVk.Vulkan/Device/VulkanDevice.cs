using System.Runtime.InteropServices;
using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Memory;
using Silk.NET.Vulkan;
using Buffer = Silk.NET.Vulkan.Buffer;

namespace LdlVk.Vulkan.Device;

/// <summary>
/// The op set on one Vulkan device. Ops are recorded in call order into a <see cref="CommandStream"/>; memory comes from a
/// <see cref="MemoryAllocator"/>, data enters and leaves through a <see cref="StagingRing"/>, and <see cref="ComputePipelines"/> holds the
/// pipelines. This file owns the handles and moves data; VulkanDevice.Ops.cs and the files beside it dispatch.
/// </summary>
internal sealed unsafe partial class VulkanDevice : IDevice, ITimedDevice
{
    private readonly VulkanInstance _instance;
    private readonly VkDevice _device;
    private readonly PhysicalDeviceFacts _facts;
    private readonly CommandStream _stream;
    private readonly MemoryAllocator _memory;
    private readonly CommandStream? _copies;
    private readonly StagingRing _staging, _weights;
    private readonly Downloads _downloads;
    private readonly ComputePipelines _kernels;
    private readonly LinearKernels _linear;
    private readonly AttentionKernels _attention;
    private readonly MemoryBudget _budget;
    private readonly DeviceHandles _handles;
    private readonly PinnedWeights _pinned;
    private bool _disposed;

    /// <summary>Opens a device and takes the instance over, to be disposed with it.</summary>
    public VulkanDevice(VulkanInstance instance, PhysicalDevice physicalDevice, int index, LinearFamily? linear, string? cacheFolder, UploadQueue upload, long? memoryLimit)
    {
        Vk api = instance.Api;
        _instance = instance;
        _budget = new MemoryBudget(memoryLimit);
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
        _handles = new DeviceHandles(instance, _device);
        try
        {
            bool watched = _facts.Kind != DeviceKind.Software;
            _stream = new CommandStream(api, _device, _facts.ComputeQueueFamily, 0, computes: true, watched);
            if (queues.Copy is { } copy) _copies = new CommandStream(api, _device, copy.Family, copy.Index, computes: false, watched);
            _memory = new MemoryAllocator(api, _device, _facts, _stream, _copies, queues.Families, _budget, mapped: upload == UploadQueue.Auto && _facts.SharesHostMemory);
            _staging = new StagingRing(api, _device, _facts, _stream, _copies, queues.Families, _budget);
            _weights = _copies is null ? _staging : new StagingRing(api, _device, _facts, _copies, null, [], _budget);
            _pinned = new PinnedWeights(api, _device, _handles, _facts, _copies ?? _stream);
            _downloads = new Downloads(api, _device, _facts, _stream);
            string? cache = cacheFolder is null ? null : Path.Combine(cacheFolder, PipelineCacheFile.NameFor(_facts.Properties));
            _kernels = new ComputePipelines(api, _device, _facts, new PipelineCacheFile(cache, _facts.Properties));
            _linear = new LinearKernels(family, _facts, new TileChoices(cacheFolder, _facts));
            _attention = new AttentionKernels(family, _facts.SubgroupSize);
        }
        catch
        {
            DestroyHandles();
            api.DestroyDevice(_device, null);
            throw;
        }
    }

    public DeviceInfo Info { get; }

    /// <summary>Which kernels Linear runs.</summary>
    internal LinearKernels LinearKernels => _linear;

    public long AllocatedBytes => _memory.UsedBytes;

    /// <summary>
    /// What counts is what vkAllocateMemory was asked for in device memory: the blocks of tensors and weights, and, where no limit is set, the
    /// twins of staging chunks. What the host can see (staging chunks, pinned weights) is host memory, as it is on a graphics card.
    /// </summary>
    public long PeakBytes => _budget.Peak;

    public long PinnedBytes => _pinned.Bytes;

    public string? WhyNotTimed => _facts.TimestampBits == 0 ? $"the driver of {Info.Id} has no timestamps" : null;

    public IOpTimer StartTimer()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return WhyNotTimed is null ? new CommandTimer(_instance.Api, _device, _stream, _facts) : throw new NotSupportedException(WhyNotTimed);
    }

    /// <summary>The matrix units that kernels may run on; null for none.</summary>
    internal MatrixUnits? MatrixUnits => _linear.HasMatrixUnits ? _facts.MatrixUnits : null;

    /// <summary>Shared memory of a workgroup in bytes.</summary>
    internal uint SharedBytes => _facts.SharedBytes;

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

    public IWeight CreateWeight(WeightFormat format, int outputFeatures, int inputFeatures, string name = "weight")
    {
        ulong bytes = KernelLimits.WeightBytes(name, format, outputFeatures, inputFeatures);
        return Filled(bytes, () => $"{name} [{outputFeatures}, {inputFeatures}] in {format}",
            allocation => new VulkanWeight(this, allocation, _copies is null && !allocation.IsMapped ? null : new SharedUse(_stream, _copies, allocation.Block.FreedAt), format, outputFeatures, inputFeatures));
    }

    public void Fill(IWeight weight, IWeightSource source, IProgress<long>? progress = null, CancellationToken cancellation = default)
    {
        OpChecks.Fill(weight, source);
        VulkanWeight w = Own(weight);
        cancellation.ThrowIfCancellationRequested();
        // The device computes while the host reads rows; and what copies wait for is on its way.
        _stream.Submit();
        if (source is RandomWeightSource random) FillRandom(random, w);
        else if (source is VulkanHostWeight pinned && pinned.Device == this) CopyPinned(pinned, w, progress);
        else if (w.Allocation.IsMapped) FillMapped(source, w, progress, cancellation);
        else new WeightUpload(_weights, source, w).Run(progress, cancellation);
        w.Scale = source.Scale;
        _staging.WeightsUntil = w.Shared?.Copied ?? 0;
        (_copies ?? _stream).Submit();
    }

    public IHostWeight Pin(IWeightSource source, IProgress<long>? progress = null, CancellationToken cancellation = default)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ulong bytes = KernelLimits.WeightBytes(source.Name, source.Format, source.OutputFeatures, source.InputFeatures);
        HostBuffer memory = _pinned.Allocate(bytes, source.Name);
        try
        {
            var scales = (Half*)(memory.Mapped + VulkanWeight.ScalesOffset(source.Format, source.OutputFeatures, source.InputFeatures));
            WeightRows.ReadAll(source, memory.Mapped, scales, Environment.ProcessorCount, progress, cancellation);
            return new VulkanHostWeight(this, memory, source);
        }
        catch
        {
            _pinned.Free(memory, bytes, 0);
            throw;
        }
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
        foreach (int size in _linear.HasMatrixUnits ? AttentionKernels.MatrixQueryBlocks.Prepend(_attention.QueryBlock).Distinct() : [_attention.QueryBlock])
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
            _staging.Upload(memory, null, offset, count * stride * sizeof(float), mayWait: false, values.Slice(done * columns, count * columns), (bytes, chunk) =>
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

    internal void Unpin(VulkanHostWeight weight, HostBuffer memory) => _pinned.Free(memory, (ulong)weight.Bytes, weight.BusyUntil);

    internal void Free(Allocation allocation, SharedUse? shared)
    {
        if (_disposed) return;
        // Whoever gets the memory next comes after the copies to it, used or not.
        if (shared is { Copied: > 0 and var copied }) _stream.Await(_copies!, copied);
        _memory.Free(allocation, shared?.Copied ?? 0);
    }

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _stream.Drain();
        DestroyHandles();
        _handles.LetGo();
    }

    /// <summary>Destroys what has been made so far, in the reverse order.</summary>
    private void DestroyHandles()
    {
        _kernels?.Dispose();
        _downloads?.Dispose();
        if (_weights != _staging) _weights?.Dispose();
        _staging?.Dispose();
        _memory?.Dispose();
        _copies?.Dispose();
        _stream?.Dispose();
        _pinned?.Close();
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
            Free(allocation, null);
            throw;
        }
    }

    /// <summary>
    /// Writes rows where the device reads them. What used the memory before must be done with it, while what comes after need not be told:
    /// a submission sees what the host wrote to coherent memory before it (Vulkan specification, Host Write Ordering Guarantees).
    /// </summary>
    private void FillMapped(IWeightSource source, VulkanWeight target, IProgress<long>? progress, CancellationToken cancellation)
    {
        _stream.Wait(target.Shared!.Computed);
        byte* values = target.Allocation.Mapped;
        var scales = (Half*)(values + VulkanWeight.ScalesOffset(source.Format, source.OutputFeatures, source.InputFeatures));
        WeightRows.ReadAll(source, values, scales, Environment.ProcessorCount, progress, cancellation);
    }

    private void CopyPinned(VulkanHostWeight source, VulkanWeight target, IProgress<long>? progress)
    {
        CommandStream stream = _copies ?? _stream;
        Allocation memory = target.Allocation;
        Buffer from = source.Memory.Buffer;
        var region = new BufferCopy(0, memory.Offset, (ulong)source.Bytes);
        CommandBuffer commands = stream.Next(Work.Elementwise("Fill", 1, source.Bytes / sizeof(float)), [], [target.Memory]);
        _instance.Api.CmdCopyBuffer(commands, from, memory.Block.Buffer, 1, in region);
        source.BusyUntil = stream.Pending;
        progress?.Report(source.Bytes);
    }

    private void UploadInts(Allocation allocation, ReadOnlySpan<int> values)
    {
        const int Chunk = StagingRing.ChunkBytes / sizeof(int);
        for (int done = 0; done < values.Length; done += Chunk)
        {
            ReadOnlySpan<int> part = values.Slice(done, Math.Min(Chunk, values.Length - done));
            _staging.Upload(allocation, null, (ulong)done * sizeof(int), part.Length * sizeof(int), mayWait: false, part,
                static (bytes, ints) => MemoryMarshal.AsBytes(ints).CopyTo(bytes));
        }
    }
}
