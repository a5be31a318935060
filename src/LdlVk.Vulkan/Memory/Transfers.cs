using System.Runtime.InteropServices;
using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Device;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Memory;

/// <summary>
/// Moves activations and lists between host and device, in order with the ops. Rows are padded to their stride on the way.
/// </summary>
internal sealed class Transfers(VulkanDevice device, DeviceResources resources)
{
    public void Write(ITensor destination, int firstRow, ReadOnlySpan<float> values)
    {
        int rows = OpChecks.Write(device, destination, firstRow, values.Length);
        IVulkanTensor tensor = device.Own.Output(destination);
        (Allocation memory, SharedUse? shared) = (tensor.Owner.Allocation, tensor.Owner.Shared);
        int columns = tensor.Columns, stride = tensor.Stride;
        int rowsPerChunk = StagingRing.ChunkBytes / (stride * sizeof(float));
        for (int done = 0; done < rows; done += rowsPerChunk)
        {
            int count = Math.Min(rowsPerChunk, rows - done);
            ulong offset = (ulong)(tensor.FirstRow + firstRow + done) * (ulong)stride * sizeof(float);
            ReadOnlySpan<float> part = values.Slice(done * columns, count * columns);
            resources.Staging.Upload(memory, shared, offset, count * stride * sizeof(float), mayWait: false, part, (bytes, chunk) =>
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
        OpChecks.Read(device, source, destination.Length);
        int rowsAtOnce = StagingRing.ChunkBytes / (device.Own.Input(source).Stride * sizeof(float));
        for (int done = 0; done < source.Rows; done += rowsAtOnce)
        {
            int count = Math.Min(rowsAtOnce, source.Rows - done);
            using IReadback rows = BeginRead(source.View(done, count));
            rows.Finish(destination.Slice(done * source.Columns, count * source.Columns));
        }
    }

    public IReadback BeginRead(ITensor source)
    {
        OpChecks.BeginRead(device, source);
        IVulkanTensor tensor = device.Own.Input(source);
        int stride = tensor.Stride, rowsPerChunk = StagingRing.ChunkBytes / (stride * sizeof(float));
        var readback = new VulkanReadback(this, tensor);
        try
        {
            for (int done = 0; done < source.Rows; done += rowsPerChunk)
            {
                int count = Math.Min(rowsPerChunk, source.Rows - done);
                readback.Add(resources.Downloads.Begin(tensor.RangeOf(done, count), tensor.Owner.Allocation), count);
            }

            readback.ReadyAt = resources.Stream.Submit();
            return readback;
        }
        catch
        {
            readback.Dispose();
            throw;
        }
    }

    /// <summary>Copies a tensor to host memory.</summary>
    public VulkanHostTensor Save(ITensor source)
    {
        OpChecks.Save(device, source);
        IVulkanTensor tensor = device.Own.Input(source);
        MemoryRange range = tensor.Range;
        Allocation memory = resources.Saved.Allocate(range.Bytes, () => $"a tensor [{source.Rows}, {source.Columns}] in host memory");
        try
        {
            Copy("Save", range, tensor.Owner.Allocation, new MemoryRange(memory.Address, range.Bytes), memory);
            return new VulkanHostTensor(device, memory, source.Rows, source.Columns);
        }
        catch
        {
            resources.Saved.Free(memory, 0);
            throw;
        }
    }

    /// <summary>
    /// Copies between device and host memory, on the queue for copies if there is one: beside what is being computed, but for the ops that
    /// use the same memory.
    /// </summary>
    public unsafe void Copy(string name, MemoryRange from, Allocation source, MemoryRange to, Allocation target)
    {
        if (from.Bytes == 0) return;
        // What a copy waits for is submitted before it, and it before what waits for it.
        if (resources.Copies is not null) resources.Stream.Submit();
        CommandStream stream = resources.Copies ?? resources.Stream;
        CommandBuffer commands = stream.Next(Work.Elementwise(name, 1, (long)from.Bytes / sizeof(float)), [from], [to]);
        var region = new BufferCopy(source.Offset + from.Address - source.Address, target.Offset + to.Address - target.Address, from.Bytes);
        resources.Api.CmdCopyBuffer(commands, source.Block.Buffer, target.Block.Buffer, 1, in region);
        resources.Copies?.Submit();
    }

    /// <summary>Waits until a readback's values have arrived.</summary>
    public void WaitFor(VulkanReadback readback)
    {
        device.ThrowIfDisposed();
        resources.Stream.Wait(readback.ReadyAt);
    }

    /// <summary>Returns the chunk of a readback for the next one.</summary>
    public void End(HostBuffer chunk) => resources.Downloads.End(chunk);

    public void UploadInts(Allocation allocation, ReadOnlySpan<int> values)
    {
        const int Chunk = StagingRing.ChunkBytes / sizeof(int);
        for (int done = 0; done < values.Length; done += Chunk)
        {
            ReadOnlySpan<int> part = values.Slice(done, Math.Min(Chunk, values.Length - done));
            resources.Staging.Upload(allocation, null, (ulong)done * sizeof(int), part.Length * sizeof(int), mayWait: false, part,
                static (bytes, ints) => MemoryMarshal.AsBytes(ints).CopyTo(bytes));
        }
    }
}
