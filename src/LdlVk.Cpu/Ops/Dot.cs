using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LdlVk.Cpu.Ops;

/// <summary>
/// Tiles of dot products: c[i,j] = Σₖ x[i,k]·w[j,k], or added to c. Whatever the tile and the width of the vectors, an element is eight
/// running sums of fused multiply-adds in the order of k, then <see cref="Sum"/>: so a row's bits depend neither on the tile that it falls
/// in nor on the processor.
/// <para>
/// The rows of w are laid out in groups of as many as a tile takes: eight elements of each row of the group, then the next eight of each. A
/// vector of 512 bits then holds the sums of two rows of w.
/// </para>
/// </summary>
/// <param name="wide">Whether vectors have 512 bits, or 256.</param>
internal readonly unsafe struct Dot(bool wide)
{
    /// <summary>Rows of x in the large tile.</summary>
    private const int TileRows = 4;

    // With the large tile's weights and one activation they fill 16 and 21 registers, of the 16 and 32 that there are.
    private const int NarrowColumns = 3, WideColumns = 8;

    /// <summary>Rows of w in a group.</summary>
    public int Columns => wide ? WideColumns : NarrowColumns;

    /// <summary>Floats from eight elements of a row of w to its next eight.</summary>
    public int Step => Columns * 8;

    /// <summary>The place of row <paramref name="j"/> of w among rows of <paramref name="length"/> elements.</summary>
    public float* Row(float* w, int j, int length) => w + ((nint)(j / Columns) * Columns * length) + (j % Columns * 8);

    /// <summary>The dot products of <paramref name="rows"/> rows of x with <paramref name="columns"/> rows of w.</summary>
    /// <param name="x">First row of x; rows are <paramref name="xStride"/> floats apart.</param>
    /// <param name="xStride">Floats from a row of x to the next.</param>
    /// <param name="rows">Rows of x.</param>
    /// <param name="w">The rows of w in groups. Rows that the last group lacks are read, and their sums discarded.</param>
    /// <param name="columns">Rows of w.</param>
    /// <param name="length">Elements of a product, a multiple of 8.</param>
    /// <param name="c">The results.</param>
    /// <param name="cStride">Floats from a row of c to the next.</param>
    /// <param name="add">Whether to add to c, or to overwrite it.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Panel(float* x, nint xStride, int rows, float* w, int columns, int length, float* c, nint cStride, bool add)
    {
        float* sums = stackalloc float[TileRows * WideColumns];
        for (int i = 0; i < rows;)
        {
            int height = rows - i >= TileRows ? TileRows : 1;
            for (int j = 0; j < columns; j += Columns)
            {
                float* group = w + ((nint)j * length), tile = c + (i * cStride) + j;
                bool whole = columns - j >= Columns;
                Tile(height, x + (i * xStride), xStride, group, length, whole ? tile : sums, whole ? cStride : WideColumns, add && whole);
                if (!whole) Copy(sums, height, columns - j, tile, cStride, add);
            }
            i += height;
        }
    }

    /// <summary>The sum of the lanes, in a fixed tree.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector256<float> v)
    {
        Vector128<float> s = v.GetLower() + v.GetUpper();
        s += Vector128.Shuffle(s, Vector128.Create(2, 3, 0, 1));
        s += Vector128.Shuffle(s, Vector128.Create(1, 0, 3, 2));
        return s.ToScalar();
    }

    /// <summary>The first columns of a tile's sums.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Copy(float* sums, int rows, int columns, float* c, nint cStride, bool add)
    {
        for (int r = 0; r < rows; r++, sums += WideColumns, c += cStride)
            for (int j = 0; j < columns; j++) c[j] = add ? c[j] + sums[j] : sums[j];
    }

    private void Tile(int rows, float* x, nint xStride, float* w, nint length, float* c, nint cStride, bool add)
    {
        switch (wide, rows)
        {
            case (false, 1): Narrow1(x, w, length, c, add); break;
            case (false, _): Narrow4(x, xStride, w, length, c, cStride, add); break;
            case (true, 1): Wide1(x, w, length, c, add); break;
            default: Wide4(x, xStride, w, length, c, cStride, add); break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Narrow4(float* x, nint xStride, float* w, nint length, float* c, nint cStride, bool add)
    {
        float* x1 = x + xStride, x2 = x1 + xStride, x3 = x2 + xStride;
        Vector256<float> s00 = default, s01 = default, s02 = default, s10 = default, s11 = default, s12 = default;
        Vector256<float> s20 = default, s21 = default, s22 = default, s30 = default, s31 = default, s32 = default;
        for (nint k = 0; k < length; k += 8, w += NarrowColumns * 8)
        {
            Vector256<float> a = Vector256.Load(w), b = Vector256.Load(w + 8), d = Vector256.Load(w + 16);
            Vector256<float> v = Vector256.Load(x + k);
            s00 = Vector256.FusedMultiplyAdd(v, a, s00);
            s01 = Vector256.FusedMultiplyAdd(v, b, s01);
            s02 = Vector256.FusedMultiplyAdd(v, d, s02);
            v = Vector256.Load(x1 + k);
            s10 = Vector256.FusedMultiplyAdd(v, a, s10);
            s11 = Vector256.FusedMultiplyAdd(v, b, s11);
            s12 = Vector256.FusedMultiplyAdd(v, d, s12);
            v = Vector256.Load(x2 + k);
            s20 = Vector256.FusedMultiplyAdd(v, a, s20);
            s21 = Vector256.FusedMultiplyAdd(v, b, s21);
            s22 = Vector256.FusedMultiplyAdd(v, d, s22);
            v = Vector256.Load(x3 + k);
            s30 = Vector256.FusedMultiplyAdd(v, a, s30);
            s31 = Vector256.FusedMultiplyAdd(v, b, s31);
            s32 = Vector256.FusedMultiplyAdd(v, d, s32);
        }
        Store(c, s00, s01, s02, add);
        Store(c + cStride, s10, s11, s12, add);
        Store(c + (2 * cStride), s20, s21, s22, add);
        Store(c + (3 * cStride), s30, s31, s32, add);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Narrow1(float* x, float* w, nint length, float* c, bool add)
    {
        Vector256<float> s0 = default, s1 = default, s2 = default;
        for (nint k = 0; k < length; k += 8, w += NarrowColumns * 8)
        {
            Vector256<float> v = Vector256.Load(x + k);
            s0 = Vector256.FusedMultiplyAdd(v, Vector256.Load(w), s0);
            s1 = Vector256.FusedMultiplyAdd(v, Vector256.Load(w + 8), s1);
            s2 = Vector256.FusedMultiplyAdd(v, Vector256.Load(w + 16), s2);
        }
        Store(c, s0, s1, s2, add);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* c, Vector256<float> s0, Vector256<float> s1, Vector256<float> s2, bool add)
    {
        c[0] = add ? c[0] + Sum(s0) : Sum(s0);
        c[1] = add ? c[1] + Sum(s1) : Sum(s1);
        c[2] = add ? c[2] + Sum(s2) : Sum(s2);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Wide4(float* x, nint xStride, float* w, nint length, float* c, nint cStride, bool add)
    {
        float* x1 = x + xStride, x2 = x1 + xStride, x3 = x2 + xStride;
        Vector512<float> s00 = default, s01 = default, s02 = default, s03 = default;
        Vector512<float> s10 = default, s11 = default, s12 = default, s13 = default;
        Vector512<float> s20 = default, s21 = default, s22 = default, s23 = default;
        Vector512<float> s30 = default, s31 = default, s32 = default, s33 = default;
        for (nint k = 0; k < length; k += 8, w += WideColumns * 8)
        {
            Vector512<float> a = Vector512.Load(w), b = Vector512.Load(w + 16), d = Vector512.Load(w + 32), e = Vector512.Load(w + 48);
            Vector512<float> v = Avx512DQ.BroadcastVector256ToVector512(x + k);
            s00 = Vector512.FusedMultiplyAdd(v, a, s00);
            s01 = Vector512.FusedMultiplyAdd(v, b, s01);
            s02 = Vector512.FusedMultiplyAdd(v, d, s02);
            s03 = Vector512.FusedMultiplyAdd(v, e, s03);
            v = Avx512DQ.BroadcastVector256ToVector512(x1 + k);
            s10 = Vector512.FusedMultiplyAdd(v, a, s10);
            s11 = Vector512.FusedMultiplyAdd(v, b, s11);
            s12 = Vector512.FusedMultiplyAdd(v, d, s12);
            s13 = Vector512.FusedMultiplyAdd(v, e, s13);
            v = Avx512DQ.BroadcastVector256ToVector512(x2 + k);
            s20 = Vector512.FusedMultiplyAdd(v, a, s20);
            s21 = Vector512.FusedMultiplyAdd(v, b, s21);
            s22 = Vector512.FusedMultiplyAdd(v, d, s22);
            s23 = Vector512.FusedMultiplyAdd(v, e, s23);
            v = Avx512DQ.BroadcastVector256ToVector512(x3 + k);
            s30 = Vector512.FusedMultiplyAdd(v, a, s30);
            s31 = Vector512.FusedMultiplyAdd(v, b, s31);
            s32 = Vector512.FusedMultiplyAdd(v, d, s32);
            s33 = Vector512.FusedMultiplyAdd(v, e, s33);
        }
        Store(c, Sums(s00, s01, s02, s03), add);
        Store(c + cStride, Sums(s10, s11, s12, s13), add);
        Store(c + (2 * cStride), Sums(s20, s21, s22, s23), add);
        Store(c + (3 * cStride), Sums(s30, s31, s32, s33), add);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Wide1(float* x, float* w, nint length, float* c, bool add)
    {
        Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
        for (nint k = 0; k < length; k += 8, w += WideColumns * 8)
        {
            Vector512<float> v = Avx512DQ.BroadcastVector256ToVector512(x + k);
            s0 = Vector512.FusedMultiplyAdd(v, Vector512.Load(w), s0);
            s1 = Vector512.FusedMultiplyAdd(v, Vector512.Load(w + 16), s1);
            s2 = Vector512.FusedMultiplyAdd(v, Vector512.Load(w + 32), s2);
            s3 = Vector512.FusedMultiplyAdd(v, Vector512.Load(w + 48), s3);
        }
        Store(c, Sums(s0, s1, s2, s3), add);
    }

    /// <summary>The <see cref="Sum"/> of each half of four vectors, in the order of the halves: its tree, in all eight at once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Sums(Vector512<float> s0, Vector512<float> s1, Vector512<float> s2, Vector512<float> s3)
    {
        // Quarters 0 and 2 are the lower lanes of the two halves, 1 and 3 the upper ones.
        Vector512<float> low = Avx512F.Shuffle4x128(s0, s1, 0x88) + Avx512F.Shuffle4x128(s0, s1, 0xDD);
        Vector512<float> high = Avx512F.Shuffle4x128(s2, s3, 0x88) + Avx512F.Shuffle4x128(s2, s3, 0xDD);
        Vector512<float> two = Avx512F.UnpackLow(low.AsDouble(), high.AsDouble()).AsSingle()
            + Avx512F.UnpackHigh(low.AsDouble(), high.AsDouble()).AsSingle();
        Vector512<float> one = two + Avx512F.Permute4x32(two, 0b10_11_00_01);
        return Avx512F.PermuteVar16x32(one, Vector512.Create(0, 4, 8, 12, 2, 6, 10, 14, 0, 0, 0, 0, 0, 0, 0, 0)).GetLower();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* c, Vector256<float> sums, bool add) => (add ? Vector256.Load(c) + sums : sums).Store(c);
}
