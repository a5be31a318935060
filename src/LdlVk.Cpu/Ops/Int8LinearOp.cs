using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using LdlVk.Cpu.Memory;
using LdlVk.Runtime.Devices;

namespace LdlVk.Cpu.Ops;

/// <summary>
/// Linear in 8-bit integers, as <see cref="IDevice.Int8Linear"/> defines it.
/// <para>
/// A work item is a panel of 16 weight rows times a block of input rows. The panel is rearranged once: for each pair of neighbors
/// along K, the pairs of all 16 weight rows are adjacent. One multiplication of pairs of 16-bit integers then multiplies a pair of an input
/// row, copied to all lanes, by eight weight rows. A lane is one output element, so no sum crosses lanes.
/// </para>
/// </summary>
internal static unsafe class Int8LinearOp
{
    private const int Group = WeightLayout.GroupSize;
    private const int BlockRows = 128;

    /// <summary>Weight rows of a panel: two vectors of 32-bit sums.</summary>
    private const int Panel = 16;

    /// <summary>Input rows of a tile: 4 × 2 sums, 2 weights and an input fill 11 of 16 registers.</summary>
    private const int TileRows = 4;

    /// <summary>Shorts of a group of a panel.</summary>
    private const int PanelGroup = Group * Panel;

    public static void Run(Workers workers, HostMemory memory, CpuTensor output, CpuTensor input, CpuWeight weight, CpuTensor? bias)
    {
        int m = input.Rows, n = weight.OutputFeatures, stride = input.Stride, groups = stride / Group;
        if (m == 0) return;
        long shortBytes = (long)m * stride * sizeof(short);
        using NativeBuffer quantized = memory.Allocate(shortBytes + ((long)m * groups * sizeof(float)),
            "the input of Int8Linear as integers", counted: false);
        short* q = (short*)quantized.Pointer;
        float* s = (float*)((byte*)quantized.Pointer + shortBytes), x = input.Data, y = output.Data, b = bias is null ? null : bias.Data;
        workers.Run(m, (long)m * stride, (row, _) => Int8Rows.Quantize(
            x + ((long)row * stride), stride, q + ((long)row * stride), s + ((long)row * groups)));

        int panels = (n + Panel - 1) / Panel, blocks = (m + BlockRows - 1) / BlockRows, yStride = output.Stride;
        _ = weight.Values;
        workers.Run(panels * blocks, (long)m * n * stride, (item, scratch) =>
        {
            int n0 = item / blocks * Panel, columns = Math.Min(Panel, n - n0);
            int m0 = item % blocks * BlockRows, rows = Math.Min(BlockRows, m - m0);
            float* scales = scratch.Floats((long)groups * (Panel + (PanelGroup / 2)));
            short* panel = (short*)(scales + ((long)groups * Panel));
            LayOut(weight, n0, columns, groups, panel, scales);
            for (int i = 0; i < rows; i += TileRows)
            {
                long row = m0 + i;
                Tile(q + (row * stride), s + (row * groups), groups, Math.Min(TileRows, rows - i), panel, scales, weight.Scale,
                    b == null ? null : b + n0, y + (row * yStride) + n0, yStride, columns);
            }
        });
    }

    /// <summary>Weight rows beyond the last are copies of it; their results are discarded.</summary>
    private static void LayOut(CpuWeight weight, int n0, int columns, int groups, short* panel, float* scales)
    {
        short* group = stackalloc short[Group];
        for (int c = 0; c < Panel; c++)
        {
            long first = (long)(n0 + Math.Min(c, columns - 1)) * groups;
            for (int g = 0; g < groups; g++)
            {
                scales[(g * Panel) + c] = (float)weight.Scales[first + g];
                Dequantize.Integers(weight, first + g, group);
                int* pairs = (int*)(panel + (g * PanelGroup)) + c;
                for (int k = 0; k < Group / 2; k++) pairs[k * Panel] = ((int*)group)[k];
            }
        }
    }

    /// <summary>Up to four input rows against a panel.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile(
        short* q, float* s, int groups, int rows, short* panel, float* scales, float weightScale, float* bias, float* y, int yStride,
        int columns)
    {
        // Missing rows repeat the last one.
        nint r1 = (nint)Math.Min(1, rows - 1) * groups, r2 = (nint)Math.Min(2, rows - 1) * groups, r3 = (nint)(rows - 1) * groups;
        Vector256<float>* totals = stackalloc Vector256<float>[TileRows * 2];
        new Span<Vector256<float>>(totals, TileRows * 2).Clear();
        for (nint g = 0; g < groups; g++, panel += PanelGroup)
        {
            Vector256<int> s00 = default, s01 = default, s10 = default, s11 = default, s20 = default, s21 = default, s30 = default,
                s31 = default;
            int* x0 = (int*)(q + (g * Group)), x1 = x0 + (r1 * Group / 2), x2 = x0 + (r2 * Group / 2), x3 = x0 + (r3 * Group / 2);
            for (nint k = 0; k < Group / 2; k++)
            {
                Vector256<short> a = Vector256.Load(panel + (k * 2 * Panel)), b = Vector256.Load(panel + (k * 2 * Panel) + Panel);
                Vector256<short> x = Vector256.Create(x0[k]).AsInt16();
                s00 += PairProducts(x, a);
                s01 += PairProducts(x, b);
                x = Vector256.Create(x1[k]).AsInt16();
                s10 += PairProducts(x, a);
                s11 += PairProducts(x, b);
                x = Vector256.Create(x2[k]).AsInt16();
                s20 += PairProducts(x, a);
                s21 += PairProducts(x, b);
                x = Vector256.Create(x3[k]).AsInt16();
                s30 += PairProducts(x, a);
                s31 += PairProducts(x, b);
            }
            Vector256<float> low = Vector256.Load(scales + (g * Panel)), high = Vector256.Load(scales + (g * Panel) + 8);
            Add(totals, s00, s01, s[g], low, high);
            Add(totals + 2, s10, s11, s[r1 + g], low, high);
            Add(totals + 4, s20, s21, s[r2 + g], low, high);
            Add(totals + 6, s30, s31, s[r3 + g], low, high);
        }

        for (int i = 0; i < rows; i++)
        {
            for (int c = 0; c < columns; c++)
            {
                float value = ((float*)totals)[(i * Panel) + c] * weightScale;
                y[((long)i * yStride) + c] = bias == null ? value : value + bias[c];
            }
        }
    }

    /// <summary>total ← total + (s·scale)·sum, each operation rounded separately.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(Vector256<float>* totals, Vector256<int> low, Vector256<int> high, float s, Vector256<float> lowScales,
        Vector256<float> highScales)
    {
        Vector256<float> scale = Vector256.Create(s);
        totals[0] += scale * lowScales * Vector256.ConvertToSingle(low);
        totals[1] += scale * highScales * Vector256.ConvertToSingle(high);
    }

    /// <summary>a[2i]·b[2i] + a[2i+1]·b[2i+1] in each 32-bit lane i.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> PairProducts(Vector256<short> a, Vector256<short> b)
    {
        if (Avx2.IsSupported) return Avx2.MultiplyAddAdjacent(a, b);
        Vector256<int> even = ((a.AsInt32() << 16) >> 16) * ((b.AsInt32() << 16) >> 16);
        return even + ((a.AsInt32() >> 16) * (b.AsInt32() >> 16));
    }
}
