using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LdlVk.Cpu.Memory;
using LdlVk.Runtime.Devices;

namespace LdlVk.Cpu.Ops;

/// <summary>
/// output[m,n] = activation(scale·Σₖ x[m,k]·W[n,k] + bias[n]).
/// <para>
/// K is walked in chunks of <see cref="ChunkLength"/>; each chunk's dot product (<see cref="Dot"/>) is finished before it is added to the
/// output, in the order of the chunks. The order of an element's sums therefore depends on K alone, and its error grows with
/// ChunkLength/8 + K/ChunkLength instead of K.
/// </para>
/// <para>
/// A work item is a panel of weight rows times a block of input rows. Of each chunk the panel is dequantized once into scratch that stays
/// in the L2 cache while all input rows of the block pass over it. Measured on a Zen 4 core, 128 rows, N = 3072, K = 2048:
/// 96 GFLOP/s with fp16 weights and 100 with int8, of the 117 that its fused multiply-adds reach.
/// </para>
/// </summary>
internal static unsafe class LinearOp
{
    private const int ChunkLength = 512;
    private const int LargePanel = 48;

    // A small panel for few input rows fits the L1 cache, and gives every worker enough items if the matrix is small: four groups of rows
    // or two (Dot.Columns).
    private const int SmallPanel = 12, WideSmallPanel = 16;
    private const int FewRows = 16;

    // A panel is dequantized once for a block of input rows. With large blocks a model of 512 tokens takes 0.98 of the processor's time,
    // and 0.95 where other programs fill the caches.
    private const int SmallBlock = 128, LargeBlock = 256;

    // Work items for each worker, so that they finish at about the same time.
    private const int EnoughItems = 4;

    /// <summary>Runs the op; with sums in fp16 it is <see cref="HalfSumLinearOp"/>.</summary>
    public static void Run(
        Workers workers, HostMemory memory, CpuTensor output, CpuTensor input, CpuWeight weight, CpuTensor? bias, Activation activation,
        SumFormat sums)
    {
        if (sums == SumFormat.Fp16 && weight.Format != WeightFormat.Fp32)
            HalfSumLinearOp.Run(workers, memory, output, input, weight, bias, activation);
        else
            Run(workers, output, input, weight, bias, activation);
    }

    private static void Run(
        Workers workers, CpuTensor output, CpuTensor input, CpuWeight weight, CpuTensor? bias, Activation activation)
    {
        int m = input.Rows, n = weight.OutputFeatures;
        bool wide = workers.Vectors.Wide;
        int enough = EnoughItems * workers.Count;
        int panel = m >= FewRows && n >= LargePanel * enough ? LargePanel : wide ? WideSmallPanel : SmallPanel;
        int panels = (n + panel - 1) / panel;
        int block = (long)panels * (m / LargeBlock) >= enough ? LargeBlock : SmallBlock, blocks = (m + block - 1) / block;

        // Pointers are taken here, so that a disposed tensor throws on the caller's thread.
        float* x = input.Data, y = output.Data, b = bias is null ? null : bias.Data;
        int xStride = input.Stride, yStride = output.Stride;
        _ = weight.Values;

        workers.Run(panels * blocks, (long)m * n * weight.Stride, [MethodImpl(MethodImplOptions.AggressiveOptimization)] (item, scratch) =>
        {
            // The block of rows runs fastest, so that workers side by side share a panel's weights in the last-level cache.
            int n0 = item / blocks * panel, columns = Math.Min(panel, n - n0);
            int m0 = item % blocks * block, rows = Math.Min(block, m - m0);
            float* tile = y + ((long)m0 * yStride) + n0;
            Products(new Dot(wide), scratch, weight, n0, columns, x + ((long)m0 * xStride), xStride, rows, tile, yStride);
            Epilogue(tile, yStride, rows, columns, weight.Scale, b == null ? null : b + n0, activation);
        });
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Products(
        Dot dot, Scratch scratch, CpuWeight weight, int n0, int columns, float* x, int xStride, int rows, float* c, int cStride)
    {
        int length = weight.Stride;
        float* panel = scratch.Floats(LargePanel * ChunkLength);
        for (int k = 0; k < length; k += ChunkLength)
        {
            int count = Math.Min(ChunkLength, length - k);
            for (int j = 0; j < columns; j++) Dequantize.Row(weight, n0 + j, k, count, dot.Row(panel, j, count), dot.Step);
            dot.Panel(x + k, xStride, rows, panel, columns, count, c, cStride, add: k > 0);
        }
    }

    /// <summary>
    /// Branch-free, because the sign is unpredictable: a branch took a seventh of the run time of a model whose weights have a scale.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Epilogue(float* c, int stride, int rows, int columns, float scale, float* bias, Activation activation)
    {
        if (scale == 1 && bias == null && activation == Activation.None) return;
        float slope = activation.NegativeSlope();
        int vectorized = activation == Activation.Selu ? 0 : columns;
        for (int i = 0; i < rows; i++, c += stride)
        {
            int j = 0;
            for (; j + Vector128<float>.Count <= vectorized; j += Vector128<float>.Count)
            {
                Vector128<float> v = Vector128.Load(c + j) * scale;
                if (bias != null) v += Vector128.Load(bias + j);
                Vector128.ConditionalSelect(Vector128.LessThan(v, Vector128<float>.Zero), v * slope, v).Store(c + j);
            }

            for (; j < columns; j++)
            {
                float v = c[j] * scale;
                if (bias != null) v += bias[j];
                c[j] = activation == Activation.Selu ? Selu(v) : v < 0 ? v * slope : v;
            }
        }
    }

    private static float Selu(float v) =>
        (float)(Activations.SeluScale * (v < 0 ? Activations.SeluAlpha * (Math.Exp(v) - 1) : v));
}
