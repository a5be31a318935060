using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using LdlVk.Cpu.Memory;
using LdlVk.Runtime.Devices;

namespace LdlVk.Cpu.Ops;

/// <summary>
/// Linear in 8-bit integers, as <see cref="IDevice.Int8Linear"/> defines it.
/// <para>
/// A work item is a panel of weight rows times a block of input rows. The panel is laid out once: of each weight row the neighbors along K
/// that one multiplication takes, two or four, and beside them the same of all the panel's other rows. The multiplication then takes these
/// neighbors of an input row, copied to all lanes, times a vector of weight rows. A lane is one output element, so no sum crosses lanes:
/// sums within a group are exact, and groups are added in their order (<see cref="Int8Tile"/>).
/// </para>
/// </summary>
internal static unsafe class Int8LinearOp
{
    private const int Group = WeightLayout.GroupSize;

    // A multiple of the tile's rows.
    private const int BlockRows = 128;

    // Groups that all input rows of a block pass before the next: their part of a panel, 16 KiB, stays in the L1 cache.
    private const int ChunkGroups = 8;

    public static void Run(Workers workers, HostMemory memory, CpuTensor output, CpuTensor input, CpuWeight weight, CpuTensor? bias)
    {
        int m = input.Rows, n = weight.OutputFeatures, stride = input.Stride, groups = stride / Group;
        if (m == 0) return;
        var tile = new Int8Tile(workers.Vectors);
        using NativeBuffer quantized = memory.Allocate(Int8Rows.Bytes(m, groups), "the input of Int8Linear as integers", counted: false);
        var rows8 = new Int8Rows((byte*)quantized.Pointer, m, groups, tile.Bytes);
        float* x = input.Data, y = output.Data, b = bias is null ? null : bias.Data;
        workers.Run(m, (long)m * stride, (row, _) => rows8.Quantize(x + ((long)row * stride), row));

        int width = tile.Columns, panels = (n + width - 1) / width, blocks = (m + BlockRows - 1) / BlockRows, yStride = output.Stride;
        _ = weight.Values;
        workers.Run(panels * blocks, (long)m * n * stride, [MethodImpl(MethodImplOptions.AggressiveOptimization)] (item, scratch) =>
        {
            int n0 = item / blocks * width, columns = Math.Min(width, n - n0);
            int m0 = item % blocks * BlockRows, rows = Math.Min(BlockRows, m - m0);
            float* totals = scratch.Floats((BlockRows * width) + ((long)groups * (width + tile.GroupFloats)));
            float* scales = totals + (BlockRows * width), panel = scales + ((long)groups * width);
            LayOut(tile, weight, n0, columns, groups, panel, scales);

            new Span<float>(totals, rows * width).Clear();
            for (int g = 0; g < groups; g += ChunkGroups)
            {
                int count = Math.Min(ChunkGroups, groups - g);
                for (int i = 0; i < rows; i += Int8Tile.Rows)
                {
                    tile.Add(rows8, m0 + i, Math.Min(Int8Tile.Rows, rows - i), g, count, panel + ((long)g * tile.GroupFloats),
                        scales + ((long)g * width), totals + (i * width));
                }
            }
            for (int i = 0; i < rows; i++)
                Finish(totals + (i * width), columns, weight.Scale, b == null ? null : b + n0, y + ((long)(m0 + i) * yStride) + n0);
        });
    }

    /// <summary>Weight rows beyond the last are copies of it; their results are discarded.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void LayOut(Int8Tile tile, CpuWeight weight, int n0, int columns, int groups, float* panel, float* scales)
    {
        const int Eight = 8;
        short* integers = stackalloc short[Eight * Group];
        Half* halves = stackalloc Half[Eight];
        long* firsts = stackalloc long[Eight];
        sbyte** rows = stackalloc sbyte*[Eight];
        Half* rowScales = weight.Scales;
        var values = (sbyte*)weight.Values;
        for (int c = 0; c < tile.Columns; c += Eight)
        {
            for (int i = 0; i < Eight; i++) firsts[i] = (long)(n0 + Math.Min(c + i, columns - 1)) * groups;
            for (int g = 0; g < groups; g++)
            {
                int* place = (int*)(panel + ((long)g * tile.GroupFloats)) + c;
                for (int i = 0; i < Eight; i++) halves[i] = rowScales[firsts[i] + g];
                if (weight.Format == WeightFormat.Int8 && tile.TakesBytes)
                {
                    for (int i = 0; i < Eight; i++) rows[i] = values + ((firsts[i] + g) * Group);
                    // The eight rows after these.
                    if (Sse.IsSupported) for (int i = 0; i < Eight; i++) Sse.Prefetch0(rows[i] + ((long)Eight * groups * Group));
                    tile.LayOut(rows, place);
                }
                else
                {
                    for (int i = 0; i < Eight; i++) Dequantize.Integers(weight, firsts[i] + g, integers + (i * Group));
                    tile.LayOut(integers, place);
                }
                Dequantize.Fp16(Vector128.Load((short*)halves)).Store(scales + ((long)g * tile.Columns) + c);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Finish(float* totals, int columns, float scale, float* bias, float* y)
    {
        Span<float> row = new(y, columns);
        TensorPrimitives.Multiply(new ReadOnlySpan<float>(totals, columns), scale, row);
        if (bias != null) TensorPrimitives.Add(row, new ReadOnlySpan<float>(bias, columns), row);
    }
}
