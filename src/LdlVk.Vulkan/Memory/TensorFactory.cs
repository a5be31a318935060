using System.Runtime.InteropServices;
using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Device;
using LdlVk.Vulkan.Kernels;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Memory;

/// <summary>Makes tensors, weights, index lists and segment lists in device memory, and frees their memory.</summary>
internal sealed class TensorFactory(VulkanDevice device, DeviceResources resources, Transfers transfers)
{
    /// <summary>Bounds the list of blocks that a segment makes; a thousand times the longest text.</summary>
    private const int MaxSegmentQueries = 1 << 24;

    /// <summary>A tensor of zeros.</summary>
    public VulkanTensor CreateTensor(int rows, int columns)
    {
        ulong bytes = KernelLimits.TensorBytes(rows, columns);
        return Create(bytes, () => $"a tensor [{rows}, {columns}]", allocation =>
        {
            SharedUse? shared = SharedWithCopies(freedAt: 0);
            if (bytes > 0)
            {
                MemoryRange written = new(allocation.Address, bytes, shared);
                CommandBuffer commands = resources.Stream.Next(Work.Elementwise("CreateTensor", rows, columns), [], [written]);
                resources.Api.CmdFillBuffer(commands, allocation.Block.Buffer, allocation.Offset, bytes, 0);
            }

            return new VulkanTensor(device, allocation, shared, rows, columns);
        });
    }

    /// <summary>A tensor with a saved tensor's values.</summary>
    public VulkanTensor Restore(IHostTensor source)
    {
        OpChecks.Restore(device, source);
        var saved = (VulkanHostTensor)source;
        ulong bytes = KernelLimits.TensorBytes(saved.Rows, saved.Columns);
        return Create(bytes, () => $"a tensor [{saved.Rows}, {saved.Columns}]", allocation =>
        {
            SharedUse? shared = SharedWithCopies(allocation.Block.FreedAt);
            transfers.Copy("Restore", new MemoryRange(saved.Memory.Address, bytes), saved.Memory,
                new MemoryRange(allocation.Address, bytes, shared), allocation);
            resources.Staging.WeightsUntil = Math.Max(resources.Staging.WeightsUntil, shared?.Copied ?? 0);
            return new VulkanTensor(device, allocation, shared, saved.Rows, saved.Columns);
        });
    }

    /// <summary>A weight whose values are undefined until it is filled.</summary>
    public VulkanWeight CreateWeight(WeightFormat format, int outputFeatures, int inputFeatures, string name)
    {
        ulong bytes = KernelLimits.WeightBytes(name, format, outputFeatures, inputFeatures);
        return Create(bytes, () => $"{name} [{outputFeatures}, {inputFeatures}] in {format}", allocation =>
        {
            bool oneStream = resources.Copies is null && !allocation.IsMapped;
            SharedUse? shared = oneStream ? null : new SharedUse(resources.Stream, resources.Copies, allocation.Block.FreedAt);
            return new VulkanWeight(device, allocation, shared, format, outputFeatures, inputFeatures);
        });
    }

    public VulkanIndices CreateIndices(ReadOnlySpan<int> values)
    {
        int place = 0, largest = -1;
        for (int i = 0; i < values.Length; i++)
        {
            if (values[i] < 0) throw new ArgumentException($"Index {i} is {values[i]}; indices are not negative.");
            if (values[i] > largest) (place, largest) = (i, values[i]);
        }

        int[] ints = values.ToArray();
        return Create((ulong)ints.Length * sizeof(int), () => $"{ints.Length} indices", allocation =>
        {
            transfers.UploadInts(allocation, ints);
            return new VulkanIndices(device, allocation, ints.Length, place, largest);
        });
    }

    /// <summary>Segments, followed by the list of query blocks for each block size of attention's kernels.</summary>
    public VulkanSegments CreateSegments(ReadOnlySpan<AttentionSegment> segments)
    {
        List<int> ints = [];
        foreach (AttentionSegment s in segments)
            ints.AddRange([s.QueryRow, s.QueryCount, s.QueryPosition, s.PrefixRow, s.PrefixLength, s.OwnRow]);
        List<QueryBlocks> blocks = [];
        foreach (int size in resources.AttentionKernels.QueryBlockSizes)
        {
            int before = ints.Count;
            for (int s = 0; s < segments.Length; s++)
            {
                int queries = segments[s].QueryCount;
                if (queries > MaxSegmentQueries)
                    throw new ArgumentException($"Segment {s} has {queries} query rows; {MaxSegmentQueries} are supported.");
                for (int first = 0; first < queries; first += size) ints.AddRange([s, first]);
            }

            blocks.Add(new QueryBlocks(size, (ints.Count - before) * sizeof(int) / QueryBlocks.EntryBytes, before * sizeof(int)));
        }

        AttentionSegment[] kept = segments.ToArray();
        return Create((ulong)ints.Count * sizeof(int), () => $"{kept.Length} segments", allocation =>
        {
            transfers.UploadInts(allocation, CollectionsMarshal.AsSpan(ints));
            return new VulkanSegments(device, allocation, kept, blocks);
        });
    }

    /// <summary>Frees memory. The next owner's commands wait for the copies to it, even if nothing used what they brought.</summary>
    public void Free(Allocation allocation, SharedUse? shared)
    {
        if (shared is { Copied: > 0 and var copied }) resources.Stream.Await(resources.Copies!, copied);
        resources.Memory.Free(allocation, shared?.Copied ?? 0);
    }

    /// <summary>The uses of memory that ops and copies use; null if one stream has both.</summary>
    private SharedUse? SharedWithCopies(ulong freedAt) =>
        resources.Copies is { } copies ? new SharedUse(resources.Stream, copies, freedAt) : null;

    /// <summary>Makes an object with memory of its own; the memory is freed again if that fails.</summary>
    private T Create<T>(ulong bytes, Func<string> what, Func<Allocation, T> make)
    {
        device.ThrowIfDisposed();
        Allocation allocation = resources.Memory.Allocate(bytes, what);
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
}
