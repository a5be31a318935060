using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using LdlVk.Runtime.Devices;

namespace LdlVk.Cpu.Ops;

/// <summary>
/// The inner loops of <see cref="Int8LinearOp"/>: four input rows against a panel of weight rows. For each group of 32 along K
/// total ← total + (s·scale)·Σ q·w, each operation rounded separately, the sum of integers exact: so the bits do not depend on the
/// instructions.
/// </summary>
/// <param name="vectors">The instructions to take.</param>
internal readonly unsafe struct Int8Tile(Vectors vectors)
{
    /// <summary>Input rows of a tile: 4 × 2 vectors of sums, 2 of weights and an input fill 11 registers.</summary>
    public const int Rows = 4;

    private const int Group = WeightLayout.GroupSize;

    /// <summary>Whether products are of bytes, four at a time, or of 16-bit integers, two at a time.</summary>
    public bool Bytes => vectors.Bytes;

    /// <summary>Weight rows of a panel: two vectors of 32-bit sums. Products of bytes are taken in vectors of 256 bits.</summary>
    public int Columns => vectors is { Wide: true, Bytes: false } ? 32 : 16;

    /// <summary>Room that a group of a panel takes, in floats.</summary>
    public int GroupFloats => Columns * Group / (Bytes ? 4 : 2);

    /// <summary>Lays out a group of eight weight rows, 32 integers each: at [k][i] the k-th neighbors of row i.</summary>
    /// <param name="integers">The rows, one after the other.</param>
    /// <param name="panel">The place of the first row's first neighbors.</param>
    public void LayOut(short* integers, int* panel)
    {
        if (!Bytes)
        {
            Transpose(integers, panel, Columns);
            Transpose(integers + 16, panel + (8 * Columns), Columns);
            return;
        }

        // An unsigned byte times a signed one: 128 more than the weight; Int8Rows has what that adds.
        short* bytes = stackalloc short[8 * Group];
        for (int i = 0; i < 8; i++)
        {
            Vector256<short> offset = Vector256.Create((short)128);
            Vector256<short> low = Vector256.Load(integers + (i * Group)) + offset;
            Vector256<short> high = Vector256.Load(integers + (i * Group) + 16) + offset;
            Vector256.Narrow(low.AsUInt16(), high.AsUInt16()).Store((byte*)(bytes + (i * Group)));
        }
        Transpose(bytes, panel, Columns);
    }

    /// <summary>Whether <see cref="LayOut(sbyte**, int*)"/> can be taken for weights of bytes.</summary>
    public bool TakesBytes => !Bytes && Avx2.IsSupported;

    /// <summary>The same of rows of bytes. Pairs of neighbors change places before they become twice as large.</summary>
    /// <param name="rows">Eight rows of 32 bytes.</param>
    /// <param name="panel">The place of the first row's first neighbors.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void LayOut(sbyte** rows, int* panel)
    {
        nint stride = Columns;
        Vector256<short> r0 = Row(rows[0]), r1 = Row(rows[1]), r2 = Row(rows[2]), r3 = Row(rows[3]);
        Vector256<short> r4 = Row(rows[4]), r5 = Row(rows[5]), r6 = Row(rows[6]), r7 = Row(rows[7]);
        // Pairs of two rows side by side, then of four, then of eight, within halves of the vectors.
        Vector256<int> a0 = Avx2.UnpackLow(r0, r1).AsInt32(), a1 = Avx2.UnpackHigh(r0, r1).AsInt32();
        Vector256<int> a2 = Avx2.UnpackLow(r2, r3).AsInt32(), a3 = Avx2.UnpackHigh(r2, r3).AsInt32();
        Vector256<int> a4 = Avx2.UnpackLow(r4, r5).AsInt32(), a5 = Avx2.UnpackHigh(r4, r5).AsInt32();
        Vector256<int> a6 = Avx2.UnpackLow(r6, r7).AsInt32(), a7 = Avx2.UnpackHigh(r6, r7).AsInt32();
        Four(a0, a2, a4, a6, panel, stride);
        Four(a1, a3, a5, a7, panel + (4 * stride), stride);

        static Vector256<short> Row(sbyte* row) => Vector256.Load((short*)row);
    }

    /// <summary>Adds the products of groups of input rows with a panel to the totals.</summary>
    /// <param name="inputs">The input rows.</param>
    /// <param name="row">The first of them.</param>
    /// <param name="rows">Their number, at most four. The totals of the rows up to four are written, and mean nothing.</param>
    /// <param name="firstGroup">First group.</param>
    /// <param name="groups">Groups.</param>
    /// <param name="panel">The first group of the panel.</param>
    /// <param name="scales">The scales of the first group.</param>
    /// <param name="totals">Four rows of totals.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Add(Int8Rows inputs, int row, int rows, int firstGroup, int groups, float* panel, float* scales, float* totals)
    {
        long first = ((long)row * inputs.Groups) + firstGroup;
        // Missing rows repeat the last one.
        nint r1 = (nint)Math.Min(1, rows - 1) * inputs.Groups, r2 = (nint)Math.Min(2, rows - 1) * inputs.Groups;
        nint r3 = (nint)(rows - 1) * inputs.Groups;
        float* s = inputs.Scales + first;
        if (Bytes) FourBytes(inputs.Values + (first * Group), inputs.Offsets + first, s, r1, r2, r3, groups, (byte*)panel, scales, totals);
        else if (vectors.Wide) WidePairs((short*)inputs.Values + (first * Group), s, r1, r2, r3, groups, (short*)panel, scales, totals);
        else Pairs((short*)inputs.Values + (first * Group), s, r1, r2, r3, groups, (short*)panel, scales, totals);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Pairs(
        short* q, float* s, nint r1, nint r2, nint r3, int groups, short* panel, float* scales, float* totals)
    {
        const int Columns = 16;
        for (nint g = 0; g < groups; g++, panel += Group * Columns, scales += Columns)
        {
            Vector256<int> s00 = default, s01 = default, s10 = default, s11 = default, s20 = default, s21 = default, s30 = default,
                s31 = default;
            int* x0 = (int*)(q + (g * Group)), x1 = x0 + (r1 * Group / 2), x2 = x0 + (r2 * Group / 2), x3 = x0 + (r3 * Group / 2);
            for (nint k = 0; k < Group / 2; k++)
            {
                Vector256<short> a = Vector256.Load(panel + (k * 2 * Columns)), b = Vector256.Load(panel + (k * 2 * Columns) + 16);
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
            AddGroup(totals, s00, s01, s[g], scales);
            AddGroup(totals + Columns, s10, s11, s[r1 + g], scales);
            AddGroup(totals + (2 * Columns), s20, s21, s[r2 + g], scales);
            AddGroup(totals + (3 * Columns), s30, s31, s[r3 + g], scales);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void WidePairs(
        short* q, float* s, nint r1, nint r2, nint r3, int groups, short* panel, float* scales, float* totals)
    {
        const int Columns = 32;
        for (nint g = 0; g < groups; g++, panel += Group * Columns, scales += Columns)
        {
            Vector512<int> s00 = default, s01 = default, s10 = default, s11 = default, s20 = default, s21 = default, s30 = default,
                s31 = default;
            int* x0 = (int*)(q + (g * Group)), x1 = x0 + (r1 * Group / 2), x2 = x0 + (r2 * Group / 2), x3 = x0 + (r3 * Group / 2);
            for (nint k = 0; k < Group / 2; k++)
            {
                Vector512<short> a = Vector512.Load(panel + (k * 2 * Columns)), b = Vector512.Load(panel + (k * 2 * Columns) + 32);
                Vector512<short> x = Vector512.Create(x0[k]).AsInt16();
                s00 += Avx512BW.MultiplyAddAdjacent(x, a);
                s01 += Avx512BW.MultiplyAddAdjacent(x, b);
                x = Vector512.Create(x1[k]).AsInt16();
                s10 += Avx512BW.MultiplyAddAdjacent(x, a);
                s11 += Avx512BW.MultiplyAddAdjacent(x, b);
                x = Vector512.Create(x2[k]).AsInt16();
                s20 += Avx512BW.MultiplyAddAdjacent(x, a);
                s21 += Avx512BW.MultiplyAddAdjacent(x, b);
                x = Vector512.Create(x3[k]).AsInt16();
                s30 += Avx512BW.MultiplyAddAdjacent(x, a);
                s31 += Avx512BW.MultiplyAddAdjacent(x, b);
            }
            AddGroup(totals, s00, s01, s[g], scales);
            AddGroup(totals + Columns, s10, s11, s[r1 + g], scales);
            AddGroup(totals + (2 * Columns), s20, s21, s[r2 + g], scales);
            AddGroup(totals + (3 * Columns), s30, s31, s[r3 + g], scales);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FourBytes(
        byte* q, int* offsets, float* s, nint r1, nint r2, nint r3, int groups, byte* panel, float* scales, float* totals)
    {
        const int Columns = 16;
        for (nint g = 0; g < groups; g++, panel += Group * Columns, scales += Columns)
        {
            Vector256<int> s00 = Vector256.Create(offsets[g]), s01 = s00, s10 = Vector256.Create(offsets[r1 + g]), s11 = s10;
            Vector256<int> s20 = Vector256.Create(offsets[r2 + g]), s21 = s20, s30 = Vector256.Create(offsets[r3 + g]), s31 = s30;
            int* x0 = (int*)(q + (g * Group)), x1 = x0 + (r1 * Group / 4), x2 = x0 + (r2 * Group / 4), x3 = x0 + (r3 * Group / 4);
            for (nint k = 0; k < Group / 4; k++)
            {
                Vector256<byte> a = Vector256.Load(panel + (k * 4 * Columns)), b = Vector256.Load(panel + (k * 4 * Columns) + 32);
                Vector256<sbyte> x = Vector256.Create(x0[k]).AsSByte();
                s00 = FourProducts(s00, a, x);
                s01 = FourProducts(s01, b, x);
                x = Vector256.Create(x1[k]).AsSByte();
                s10 = FourProducts(s10, a, x);
                s11 = FourProducts(s11, b, x);
                x = Vector256.Create(x2[k]).AsSByte();
                s20 = FourProducts(s20, a, x);
                s21 = FourProducts(s21, b, x);
                x = Vector256.Create(x3[k]).AsSByte();
                s30 = FourProducts(s30, a, x);
                s31 = FourProducts(s31, b, x);
            }
            AddGroup(totals, s00, s01, s[g], scales);
            AddGroup(totals + Columns, s10, s11, s[r1 + g], scales);
            AddGroup(totals + (2 * Columns), s20, s21, s[r2 + g], scales);
            AddGroup(totals + (3 * Columns), s30, s31, s[r3 + g], scales);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddGroup(float* totals, Vector256<int> low, Vector256<int> high, float s, float* scales)
    {
        Vector256<float> scale = Vector256.Create(s);
        (Vector256.Load(totals) + (scale * Vector256.Load(scales) * Vector256.ConvertToSingle(low))).Store(totals);
        (Vector256.Load(totals + 8) + (scale * Vector256.Load(scales + 8) * Vector256.ConvertToSingle(high))).Store(totals + 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddGroup(float* totals, Vector512<int> low, Vector512<int> high, float s, float* scales)
    {
        Vector512<float> scale = Vector512.Create(s);
        (Vector512.Load(totals) + (scale * Vector512.Load(scales) * Vector512.ConvertToSingle(low))).Store(totals);
        (Vector512.Load(totals + 16) + (scale * Vector512.Load(scales + 16) * Vector512.ConvertToSingle(high))).Store(totals + 16);
    }

    /// <summary>a[2i]·b[2i] + a[2i+1]·b[2i+1] in each 32-bit lane i.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> PairProducts(Vector256<short> a, Vector256<short> b)
    {
        if (Avx2.IsSupported) return Avx2.MultiplyAddAdjacent(a, b);
        Vector256<int> even = ((a.AsInt32() << 16) >> 16) * ((b.AsInt32() << 16) >> 16);
        return even + ((a.AsInt32() >> 16) * (b.AsInt32() >> 16));
    }

    /// <summary>sum + Σ a[4i+j]·b[4i+j], j from 0 to 3, in each 32-bit lane i.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> FourProducts(Vector256<int> sum, Vector256<byte> a, Vector256<sbyte> b)
    {
        if (AvxVnni.IsSupported) return AvxVnni.MultiplyWideningAndAdd(sum, a, b);
        for (int j = 0; j < 32; j += 8) sum += ((a.AsInt32() >> j) & Vector256.Create(255)) * ((b.AsInt32() << (24 - j)) >> 24);
        return sum;
    }

    /// <summary>Writes the first 8 words of eight rows as columns: word k of row i to [k][i].</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Transpose(short* rows, int* columns, int stride)
    {
        int* w = (int*)rows;
        const int Next = Group / 2;
        if (!Avx2.IsSupported)
        {
            for (int k = 0; k < 8; k++)
                for (int i = 0; i < 8; i++) columns[(k * stride) + i] = w[(i * Next) + k];
            return;
        }

        // Words of two rows side by side, then of four, within halves of the vectors; then halves.
        Vector256<int> r0 = Vector256.Load(w), r1 = Vector256.Load(w + Next), r2 = Vector256.Load(w + (2 * Next));
        Vector256<int> r3 = Vector256.Load(w + (3 * Next)), r4 = Vector256.Load(w + (4 * Next)), r5 = Vector256.Load(w + (5 * Next));
        Vector256<int> r6 = Vector256.Load(w + (6 * Next)), r7 = Vector256.Load(w + (7 * Next));
        Vector256<long> a0 = Avx2.UnpackLow(r0, r1).AsInt64(), a1 = Avx2.UnpackHigh(r0, r1).AsInt64();
        Vector256<long> a2 = Avx2.UnpackLow(r2, r3).AsInt64(), a3 = Avx2.UnpackHigh(r2, r3).AsInt64();
        Vector256<long> a4 = Avx2.UnpackLow(r4, r5).AsInt64(), a5 = Avx2.UnpackHigh(r4, r5).AsInt64();
        Vector256<long> a6 = Avx2.UnpackLow(r6, r7).AsInt64(), a7 = Avx2.UnpackHigh(r6, r7).AsInt64();
        Halves(Avx2.UnpackLow(a0, a2), Avx2.UnpackLow(a4, a6), columns, stride);
        Halves(Avx2.UnpackHigh(a0, a2), Avx2.UnpackHigh(a4, a6), columns + stride, stride);
        Halves(Avx2.UnpackLow(a1, a3), Avx2.UnpackLow(a5, a7), columns + (2 * stride), stride);
        Halves(Avx2.UnpackHigh(a1, a3), Avx2.UnpackHigh(a5, a7), columns + (3 * stride), stride);
    }

    /// <summary>
    /// Four neighbors of the pairs that two and two rows have side by side; the upper halves are eight neighbors further.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Four(Vector256<int> r01, Vector256<int> r23, Vector256<int> r45, Vector256<int> r67, int* panel, nint stride)
    {
        Vector256<long> a = Avx2.UnpackLow(r01, r23).AsInt64(), b = Avx2.UnpackLow(r45, r67).AsInt64();
        Vector256<long> c = Avx2.UnpackHigh(r01, r23).AsInt64(), d = Avx2.UnpackHigh(r45, r67).AsInt64();
        Widened(Avx2.UnpackLow(a, b), panel, stride);
        Widened(Avx2.UnpackHigh(a, b), panel + stride, stride);
        Widened(Avx2.UnpackLow(c, d), panel + (2 * stride), stride);
        Widened(Avx2.UnpackHigh(c, d), panel + (3 * stride), stride);
    }

    /// <summary>Eight pairs of bytes as pairs of 16-bit integers to a row, the upper eight to the eighth row after it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Widened(Vector256<long> pairs, int* row, nint stride)
    {
        Avx2.ConvertToVector256Int16(pairs.GetLower().AsSByte()).Store((short*)row);
        Avx2.ConvertToVector256Int16(pairs.GetUpper().AsSByte()).Store((short*)(row + (8 * stride)));
    }

    /// <summary>The lower halves of both vectors to a row, the upper ones to the fourth row after it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Halves(Vector256<long> a, Vector256<long> b, int* row, int stride)
    {
        Vector256.Create(a.GetLower(), b.GetLower()).AsInt32().Store(row);
        Vector256.Create(a.GetUpper(), b.GetUpper()).AsInt32().Store(row + (4 * stride));
    }
}
