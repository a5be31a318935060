using System.Runtime.InteropServices;
using LdlVk.Runtime.Devices;

namespace LdlVk.Vulkan.Memory;

/// <summary>
/// Moves a weight matrix into device memory a few rows at a time: the source converts rows directly into a staging chunk, on all cores,
/// while the device copies the previous chunk.
/// </summary>
internal sealed class WeightUpload(StagingRing staging, IWeightSource source, VulkanWeight target)
{
    private readonly int _rowBytes = (int)WeightLayout.RowBytes(source.Format, source.InputFeatures);
    private readonly int _rowScales = WeightLayout.ScalesPerRow(source.Format, source.InputFeatures);

    public void Run(IProgress<long>? progress, CancellationToken cancellationToken)
    {
        // Values and scales of the same rows share a chunk.
        int rowBytes = _rowBytes + (_rowScales * 2);
        int rowsPerChunk = Math.Clamp((StagingRing.ChunkBytes - StagingRing.Alignment) / rowBytes, 1, source.OutputFeatures);
        Half[] scales = new Half[rowsPerChunk * _rowScales];
        ulong scalesOffset = VulkanWeight.ScalesOffset(source.Format, source.OutputFeatures, source.InputFeatures);
        for (int row = 0; row < source.OutputFeatures; row += rowsPerChunk)
        {
            cancellationToken.ThrowIfCancellationRequested();
            int rows = Math.Min(rowsPerChunk, source.OutputFeatures - row);
            ulong offset = (ulong)row * (ulong)_rowBytes;
            staging.Upload(target.Allocation, target.Shared, offset, rows * _rowBytes, mayWait: true, (row, rows, scales), ReadRows);
            if (_rowScales > 0)
            {
                offset = scalesOffset + ((ulong)row * (ulong)_rowScales * 2);
                staging.Upload(target.Allocation, target.Shared, offset, rows * _rowScales * 2, mayWait: true, scales,
                    static (bytes, from) => MemoryMarshal.AsBytes(from.AsSpan())[..bytes.Length].CopyTo(bytes));
            }

            progress?.Report((long)rows * rowBytes);
        }
    }

    private unsafe void ReadRows(Span<byte> bytes, (int First, int Count, Half[] Scales) chunk)
    {
        fixed (byte* values = bytes)
        fixed (Half* scales = chunk.Scales)
            WeightRows.ReadSome(source, chunk.First, chunk.Count, values, scales);
    }
}
