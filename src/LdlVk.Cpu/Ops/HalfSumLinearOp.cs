using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LdlVk.Cpu.Memory;
using LdlVk.Runtime.Devices;

namespace LdlVk.Cpu.Ops;

/// <summary>
/// Linear with sums in fp16, as <see cref="SumFormat.Fp16"/> defines it for this device. A processor has no such sums: this says what
/// they cost in accuracy, and what a GPU's should be near.
/// <para>
/// A work item is a panel of weight rows times a block of input rows. A lane is one output element, so no sum crosses lanes, and the bits
/// do not depend on the width of the processor's vectors.
/// </para>
/// </summary>
internal static unsafe class HalfSumLinearOp
{
    private const int Group = WeightLayout.GroupSize, Step = 16;

    private const int BlockRows = 128, ChunkLength = 512, Panel = 32;

    private const float WeightFactor = 1f / 2048;

    // Exponents of floats: 2^5, into which the largest magnitude of a row goes, and the least that can be brought there by a normal float.
    private const uint Top = 5, SmallestExponent = 15, Special = 255, Bias = 127;

    public static void Run(
        Workers workers, HostMemory memory, CpuTensor output, CpuTensor input, CpuWeight weight, CpuTensor? bias, Activation activation)
    {
        int m = input.Rows, n = weight.OutputFeatures, stride = input.Stride;
        if (m == 0) return;
        long bytes = (((long)m * stride) + m) * sizeof(float);
        using NativeBuffer converted = memory.Allocate(bytes, "the input of Linear in fp16", counted: false);
        float* halves = (float*)converted.Pointer, scales = halves + ((long)m * stride);
        float* x = input.Data, y = output.Data, b = bias is null ? null : bias.Data;
        workers.Run(m, (long)m * stride, (row, _) =>
            scales[row] = Convert(x + ((long)row * stride), stride, halves + ((long)row * stride)));

        int panels = (n + Panel - 1) / Panel, blocks = (m + BlockRows - 1) / BlockRows, yStride = output.Stride;
        _ = weight.Values;
        workers.Run(panels * blocks, (long)m * n * stride, (item, scratch) =>
        {
            int n0 = item / blocks * Panel, columns = Math.Min(Panel, n - n0);
            int m0 = item % blocks * BlockRows, rows = Math.Min(BlockRows, m - m0);
            float* totals = scratch.Floats((BlockRows * Panel) + (ChunkLength * (Panel + 1)));
            float* panel = totals + (BlockRows * Panel), row = panel + (ChunkLength * Panel);
            new Span<float>(totals, BlockRows * Panel).Clear();
            for (int k = 0; k < stride; k += ChunkLength)
            {
                int count = Math.Min(ChunkLength, stride - k);
                LayOut(weight, n0, columns, k, count, row, panel);
                for (int i = 0; i < rows; i++) Add(halves + ((long)(m0 + i) * stride) + k, panel, count, totals + (i * Panel));
            }

            for (int i = 0; i < rows; i++)
            {
                float* to = y + ((long)(m0 + i) * yStride) + n0;
                for (int j = 0; j < columns; j++) to[j] = scales[m0 + i] * totals[(i * Panel) + j];
            }

            LinearOp.Epilogue(y + ((long)m0 * yStride) + n0, yStride, rows, columns, weight.Scale / WeightFactor,
                b == null ? null : b + n0, activation);
        });
    }

    /// <summary>Rounds a row to fp16 below 2⁶ and returns the scale that takes it back; rows that are not finite stay so.</summary>
    private static float Convert(float* x, int count, float* halves)
    {
        uint largest = 0;
        for (int k = 0; k < count; k++) largest = Math.Max(largest, BitConverter.SingleToUInt32Bits(x[k]) & int.MaxValue);
        uint exponent = Math.Max(largest >> 23, SmallestExponent);
        if (exponent == Special)
        {
            new Span<float>(x, count).CopyTo(new Span<float>(halves, count));
            return 1;
        }

        Vector256<float> factor = Vector256.Create(BitConverter.UInt32BitsToSingle((Top + (2 * Bias) - exponent) << 23));
        for (int k = 0; k < count; k += Vector256<float>.Count) Rounded(Vector256.Load(x + k) * factor).Store(halves + k);
        return BitConverter.UInt32BitsToSingle((exponent - Top) << 23);
    }

    /// <summary>The elements k … k + count of weight rows as fp16, those of all rows side by side; zeros beyond the last row.</summary>
    private static void LayOut(CpuWeight weight, int n0, int columns, int k, int count, float* row, float* panel)
    {
        if (columns < Panel) new Span<float>(panel, count * Panel).Clear();
        for (int j = 0; j < columns; j++)
        {
            Dequantize.Row(weight, n0 + j, k, count, row, Vector256<float>.Count);
            for (int i = 0; i < count; i += Vector256<float>.Count)
            {
                Vector256<float> v = Rounded(Rounded(Vector256.Load(row + i)) * WeightFactor);
                for (int lane = 0; lane < Vector256<float>.Count; lane++) panel[((i + lane) * Panel) + j] = v[lane];
            }
        }
    }

    /// <summary>totals += x · panel, a group of K after the other. Products of halves are exact in fp32, fused or not.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add(float* x, float* panel, int count, float* totals)
    {
        const int Lanes = 8;
        Vector256<float> total0 = Vector256.Load(totals), total1 = Vector256.Load(totals + Lanes),
            total2 = Vector256.Load(totals + (2 * Lanes)), total3 = Vector256.Load(totals + (3 * Lanes));
        for (int group = 0; group < count; group += Group)
        {
            Vector256<float> sum0 = default, sum1 = default, sum2 = default, sum3 = default;
            for (int step = group; step < group + Group; step += Step)
            {
                for (int k = step; k < step + Step; k++)
                {
                    Vector256<float> value = Vector256.Create(x[k]);
                    float* w = panel + (k * Panel);
                    sum0 += value * Vector256.Load(w);
                    sum1 += value * Vector256.Load(w + Lanes);
                    sum2 += value * Vector256.Load(w + (2 * Lanes));
                    sum3 += value * Vector256.Load(w + (3 * Lanes));
                }

                (sum0, sum1, sum2, sum3) = (Rounded(sum0), Rounded(sum1), Rounded(sum2), Rounded(sum3));
            }

            total0 += sum0;
            total1 += sum1;
            total2 += sum2;
            total3 += sum3;
        }

        total0.Store(totals);
        total1.Store(totals + Lanes);
        total2.Store(totals + (2 * Lanes));
        total3.Store(totals + (3 * Lanes));
    }

    /// <summary>
    /// The nearest halves, ties to even: the first 11 bits (Veltkamp's splitting), and below 2⁻¹⁴ multiples of 2⁻²⁴, the last place of
    /// numbers around 0.75. Magnitudes are below 2¹⁶.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Rounded(Vector256<float> value)
    {
        Vector256<float> split = value * 8193f, high = split - (split - value);
        Vector256<float> middle = Vector256.Create(0.75f), low = value + middle - middle;
        return Vector256.ConditionalSelect(Vector256.LessThan(Vector256.Abs(value), Vector256.Create(1f / 16384)), low, high);
    }
}
