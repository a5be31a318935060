using System.Runtime.InteropServices;
using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Device;

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
        Allocation memory = tensor.Owner.Allocation;
        int columns = tensor.Columns, stride = tensor.Stride;
        int rowsPerChunk = StagingRing.ChunkBytes / (stride * sizeof(float));
        for (int done = 0; done < rows; done += rowsPerChunk)
        {
            int count = Math.Min(rowsPerChunk, rows - done);
            ulong offset = (ulong)(tensor.FirstRow + firstRow + done) * (ulong)stride * sizeof(float);
            ReadOnlySpan<float> part = values.Slice(done * columns, count * columns);
            resources.Staging.Upload(memory, null, offset, count * stride * sizeof(float), mayWait: false, part, (bytes, chunk) =>
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
                ulong offset = (ulong)(tensor.FirstRow + done) * (ulong)stride * sizeof(float);
                readback.Add(resources.Downloads.Begin(tensor.Owner.Allocation, offset, count * stride * sizeof(float)), count);
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
