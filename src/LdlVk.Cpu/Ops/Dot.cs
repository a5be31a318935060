using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace LdlVk.Cpu.Ops;

/// <summary>
/// Tiles of dot products: c[i,j] = Σₖ x[i,k]·w[j,k], or added to c. Whatever the tile, an element is eight running sums, one a lane, of
/// fused multiply-adds in the order of k, then <see cref="Sum"/>: so a row's bits do not depend on the tile that it falls in.
/// </summary>
internal static unsafe class Dot
{
    /// <summary>Rows of x in the large tile: 4 × 3 sums, 3 weights and 1 activation fill 16 registers.</summary>
    public const int TileRows = 4;

    /// <summary>Rows of w in the large tile.</summary>
    public const int TileColumns = 3;

    /// <summary>The dot products of <paramref name="rows"/> rows of x with <paramref name="columns"/> rows of w.</summary>
    /// <param name="x">First row of x; rows are <paramref name="xStride"/> floats apart.</param>
    /// <param name="xStride">Floats from a row of x to the next.</param>
    /// <param name="rows">Rows of x.</param>
    /// <param name="w">First row of w; rows are <paramref name="wStride"/> floats apart.</param>
    /// <param name="wStride">Floats from a row of w to the next.</param>
    /// <param name="columns">Rows of w.</param>
    /// <param name="length">Elements of a product, a multiple of 8.</param>
    /// <param name="c">The results.</param>
    /// <param name="cStride">Floats from a row of c to the next.</param>
    /// <param name="add">Whether to add to c, or to overwrite it.</param>
    public static void Panel(
        float* x, nint xStride, int rows, float* w, nint wStride, int columns, int length, float* c, nint cStride, bool add)
    {
        int i = 0;
        for (; i + TileRows <= rows; i += TileRows)
        {
            int j = 0;
            for (; j + TileColumns <= columns; j += TileColumns)
                Tile4x3(x + (i * xStride), xStride, w + (j * wStride), wStride, length, c + (i * cStride) + j, cStride, add);
            for (; j < columns; j++)
                for (int r = i; r < i + TileRows; r++)
                    Tile1x1(x + (r * xStride), w + (j * wStride), length, c + (r * cStride) + j, add);
        }
        for (; i < rows; i++)
        {
            int j = 0;
            for (; j + TileColumns <= columns; j += TileColumns)
                Tile1x3(x + (i * xStride), w + (j * wStride), wStride, length, c + (i * cStride) + j, add);
            for (; j < columns; j++)
                Tile1x1(x + (i * xStride), w + (j * wStride), length, c + (i * cStride) + j, add);
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

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile4x3(float* x, nint xStride, float* w, nint wStride, nint length, float* c, nint cStride, bool add)
    {
        float* x1 = x + xStride, x2 = x1 + xStride, x3 = x2 + xStride;
        float* w1 = w + wStride, w2 = w1 + wStride;
        Vector256<float> s00 = default, s01 = default, s02 = default, s10 = default, s11 = default, s12 = default;
        Vector256<float> s20 = default, s21 = default, s22 = default, s30 = default, s31 = default, s32 = default;
        for (nint k = 0; k < length; k += 8)
        {
            Vector256<float> a = Vector256.Load(w + k), b = Vector256.Load(w1 + k), d = Vector256.Load(w2 + k);
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
        Store3(c, s00, s01, s02, add);
        Store3(c + cStride, s10, s11, s12, add);
        Store3(c + (2 * cStride), s20, s21, s22, add);
        Store3(c + (3 * cStride), s30, s31, s32, add);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile1x3(float* x, float* w, nint wStride, nint length, float* c, bool add)
    {
        float* w1 = w + wStride, w2 = w1 + wStride;
        Vector256<float> s0 = default, s1 = default, s2 = default;
        for (nint k = 0; k < length; k += 8)
        {
            Vector256<float> v = Vector256.Load(x + k);
            s0 = Vector256.FusedMultiplyAdd(v, Vector256.Load(w + k), s0);
            s1 = Vector256.FusedMultiplyAdd(v, Vector256.Load(w1 + k), s1);
            s2 = Vector256.FusedMultiplyAdd(v, Vector256.Load(w2 + k), s2);
        }
        Store3(c, s0, s1, s2, add);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile1x1(float* x, float* w, nint length, float* c, bool add)
    {
        Vector256<float> s = default;
        for (nint k = 0; k < length; k += 8)
            s = Vector256.FusedMultiplyAdd(Vector256.Load(x + k), Vector256.Load(w + k), s);
        Store(c, s, add);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store3(float* c, Vector256<float> s0, Vector256<float> s1, Vector256<float> s2, bool add)
    {
        Store(c, s0, add);
        Store(c + 1, s1, add);
        Store(c + 2, s2, add);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* c, Vector256<float> lanes, bool add) => *c = add ? *c + Sum(lanes) : Sum(lanes);
}
