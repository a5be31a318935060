using System.Runtime.InteropServices;
using LdlVk.DirectML.Commands;
using LdlVk.DirectML.Device;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML.Memory;

/// <summary>Moves tensors and weights between host and device.</summary>
internal sealed class Transfers(DirectMLDevice device, CommandStream stream)
{
    /// <summary>Copies whole rows into a tensor.</summary>
    public void Write(IDirectMLTensor target, int firstRow, int rows, ReadOnlySpan<float> values)
    {
        int stride = target.Stride, columns = target.Columns, rowsPerChunk = Math.Max(1, HostBuffers.ChunkBytes / (stride * sizeof(float)));
        for (int row = 0; row < rows; row += rowsPerChunk)
        {
            int count = Math.Min(rowsPerChunk, rows - row);
            stream.Upload(target.RegionOf(firstRow + row, count), values.Slice(row * columns, count * columns), (bytes, from) =>
            {
                Span<float> padded = MemoryMarshal.Cast<byte, float>(bytes);
                for (int i = 0; i < count; i++)
                {
                    from.Slice(i * columns, columns).CopyTo(padded[(i * stride)..]);
                    padded.Slice((i * stride) + columns, stride - columns).Clear();
                }
            });
        }
    }

    /// <summary>Begins to copy a tensor out.</summary>
    public DirectMLReadback BeginRead(IDirectMLTensor source)
    {
        DirectMLReadback readback = new(device, source, source.Stride);
        int rowsPerChunk = Math.Max(1, HostBuffers.ChunkBytes / (source.Stride * sizeof(float)));
        try
        {
            for (int row = 0; row < source.Rows; row += rowsPerChunk)
            {
                int count = Math.Min(rowsPerChunk, source.Rows - row);
                readback.Add(stream.Download(source.RegionOf(row, count)), count);
            }
            stream.Submit();
            return readback;
        }
        catch
        {
            readback.Dispose();
            throw;
        }
    }

    /// <summary>Replaces a weight's values and scale, by the queue of <see cref="CommandStream.Copies"/>.</summary>
    public void Fill(DirectMLWeight target, IWeightSource source, IProgress<long>? progress, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        // The device computes while the host reads rows, and the uses that the copies wait for are handed over.
        stream.Submit();
        target.Scale = source.Scale;
        if (source is DirectMLHostWeight pinned && pinned.BufferFor(device) is { } memory)
        {
            stream.Copies.Copy(target.Values(0, target.OutputFeatures), memory, 0);
            if (target.Scales(0, target.OutputFeatures) is { Bytes: > 0 } scales) stream.Copies.Copy(scales, memory, pinned.ScalesOffset);
            progress?.Report(pinned.Bytes);
        }
        else
        {
            FillByRows(target, source, progress, cancellationToken);
        }
        stream.Copies.Submit();
    }

    private unsafe void FillByRows(DirectMLWeight target, IWeightSource source, IProgress<long>? progress,
        CancellationToken cancellationToken)
    {
        long rowBytes = WeightLayout.RowBytes(source.Format, source.InputFeatures);
        int rowScales = WeightLayout.ScalesPerRow(source.Format, source.InputFeatures);
        int rowsPerChunk = (int)Math.Clamp(HostBuffers.ChunkBytes / (rowBytes + (rowScales * 2)), 1, source.OutputFeatures);
        Half[] scales = new Half[rowsPerChunk * rowScales];
        for (int row = 0; row < source.OutputFeatures; row += rowsPerChunk)
        {
            cancellationToken.ThrowIfCancellationRequested();
            int rows = Math.Min(rowsPerChunk, source.OutputFeatures - row);
            stream.Copies.Upload(target.Values(row, rows), (source, row, rows, scales), static (bytes, chunk) =>
            {
                fixed (byte* values = bytes)
                fixed (Half* first = chunk.scales)
                    WeightRows.ReadSome(chunk.source, chunk.row, chunk.rows, values, first);
            });
            if (rowScales > 0)
                stream.Copies.Upload(target.Scales(row, rows), scales, static (bytes, from) =>
                    MemoryMarshal.AsBytes(from.AsSpan())[..bytes.Length].CopyTo(bytes));
            progress?.Report(rows * (rowBytes + (rowScales * 2L)));
        }
    }
}
