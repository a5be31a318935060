using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LdlVk.Cpu.Ops;

/// <summary>
/// The inner loops of <see cref="AttentionOp"/>: products of a few rows with the columns of a matrix. An element is one running sum,
/// however many rows and columns are computed at once and however wide the vectors are.
/// </summary>
/// <param name="wide">Whether vectors have 512 bits, or 256.</param>
internal readonly unsafe struct AttentionTile(bool wide)
{
    /// <summary>Number of keys of a tile.</summary>
    public const int Keys = 64;

    /// <summary>
    /// Number of columns of a head that <see cref="AddValues"/> processes at once; a tile's part of them fits the L1 cache.
    /// </summary>
    public const int Columns = 64;

    // With a row of the matrix and one broadcast they fill 13 and 21 registers, of the 16 and 32 that there are.
    private const int NarrowRows = 2, NarrowColumns = 32, WideRows = 4, WideColumns = 64;

    /// <summary>Number of rows that are processed at once.</summary>
    public int Rows => wide ? WideRows : NarrowRows;

    /// <summary>
    /// Number of keys that <see cref="Scores"/> processes at once; a tile is stored in such parts, each [head_dim][keys of the part].
    /// </summary>
    private int PartKeys => wide ? WideColumns : NarrowColumns;

    /// <summary>Writes eight keys into a tile, as neighboring columns of its parts.</summary>
    /// <param name="keys">The keys.</param>
    /// <param name="first">Number of the first one in the tile, a multiple of 8.</param>
    /// <param name="tile">The tile.</param>
    /// <param name="headDimension">Floats of a key.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void TransposeKeys(float** keys, int first, float* tile, int headDimension)
    {
        int part = PartKeys;
        float* column = tile + (first / part * part * headDimension) + (first % part);
        float* k0 = keys[0], k1 = keys[1], k2 = keys[2], k3 = keys[3], k4 = keys[4], k5 = keys[5], k6 = keys[6], k7 = keys[7];
        nint d = 0;
        for (; Avx.IsSupported && d + 4 <= headDimension; d += 4, column += 4 * part)
        {
            // Four elements of eight keys: pairs of keys are interleaved, then pairs of pairs.
            Vector256<float> a = Four(k0 + d, k4 + d), b = Four(k1 + d, k5 + d), c = Four(k2 + d, k6 + d), e = Four(k3 + d, k7 + d);
            Vector256<double> ab = Avx.UnpackLow(a, b).AsDouble(), ce = Avx.UnpackLow(c, e).AsDouble();
            Avx.UnpackLow(ab, ce).AsSingle().Store(column);
            Avx.UnpackHigh(ab, ce).AsSingle().Store(column + part);
            (ab, ce) = (Avx.UnpackHigh(a, b).AsDouble(), Avx.UnpackHigh(c, e).AsDouble());
            Avx.UnpackLow(ab, ce).AsSingle().Store(column + (2 * part));
            Avx.UnpackHigh(ab, ce).AsSingle().Store(column + (3 * part));
        }
        for (; d < headDimension; d++, column += part)
            Vector256.Create(k0[d], k1[d], k2[d], k3[d], k4[d], k5[d], k6[d], k7[d]).Store(column);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Four(float* low, float* high) => Vector256.Create(Vector128.Load(low), Vector128.Load(high));

    /// <summary>scores[r, j] = Σ_d q[r, d]·key[j, d] for a tile's keys; each sum in the order of d.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Scores(float* q, int qStride, int rows, float* tile, int headDimension, float* scores, nint scoreStride)
    {
        int part = PartKeys;
        for (int first = 0; first < Keys; first += part, tile += part * headDimension)
            for (int r = 0; r < rows; r += Rows)
            {
                float* x = q + (r * qStride), y = scores + (r * scoreStride) + first;
                if (wide) Wide4(x, qStride, rows - r, 0, headDimension - 1, tile, part, y, scoreStride, add: false);
                else Narrow2(x, qStride, rows - r, 0, headDimension - 1, tile, part, y, scoreStride, add: false);
            }
    }

    /// <summary>
    /// Turns a row of dot products into exp(s − max), 0 where a key is not visible, and returns the sum. Offsets count from the start of
    /// the row, which is the start of a tile.
    /// </summary>
    /// <param name="row">Dot products, whole tiles.</param>
    /// <param name="first">Offset of the first visible key.</param>
    /// <param name="last">Offset of the last visible key.</param>
    /// <param name="scale">Factor of the dot products.</param>
    /// <param name="softcap">Bound of the scores; 0 for none.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Softmax(float* row, int first, int last, float scale, float softcap)
    {
        int begin = first / Keys * Keys, end = last + 1;
        Vector256<float> factor = Vector256.Create(softcap > 0 ? scale / softcap : scale);
        Vector256<float> cap = Vector256.Create(softcap), max = Vector256.Create(float.NegativeInfinity);
        Vector256<int> from = Vector256.Create(first), to = Vector256.Create(last);
        for (int j = begin; j < end; j += 8)
        {
            Vector256<int> offset = Vector256.Create(j) + Vector256.Create(0, 1, 2, 3, 4, 5, 6, 7);
            Vector256<int> visible = Vector256.GreaterThanOrEqual(offset, from) & Vector256.LessThanOrEqual(offset, to);
            Vector256<float> s = Vector256.Load(row + j) * factor;
            if (softcap > 0) s = cap * VectorMath.Tanh(s);
            s = Vector256.ConditionalSelect(visible.AsSingle(), s, Vector256.Create(float.NegativeInfinity));
            max = Vector256.Max(max, s);
            s.Store(row + j);
        }

        float largest = max[0];
        for (int lane = 1; lane < 8; lane++) largest = MathF.Max(largest, max[lane]);
        Vector256<float> shift = Vector256.Create(largest), total = default;
        for (int tile = begin; tile < end; tile += Keys)
        {
            Vector256<float> sum = default;
            for (int j = tile; j < Math.Min(tile + Keys, end); j += 8)
            {
                Vector256<float> p = VectorMath.Exp(Vector256.Load(row + j) - shift);
                p.Store(row + j);
                sum += p;
            }
            total += sum;
        }
        return Dot.Sum(total);
    }

    /// <summary>
    /// For up to <see cref="Rows"/> rows: sums[r, d] += Σⱼ p[r, j]·values[j, d] over keys from ≤ j ≤ to of one tile: the tile's sum is
    /// finished, in the order of j, before it is added.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void AddValues(
        float* p, nint pStride, int rows, int from, int to, float* values, nint stride, float* sums, nint sumStride, int columns)
    {
        if (wide && columns == WideColumns)
        {
            Wide4(p, pStride, rows, from, to, values, stride, sums, sumStride, add: true);
            return;
        }
        for (; rows > 0; rows -= NarrowRows, p += NarrowRows * pStride, sums += NarrowRows * sumStride)
        {
            int d = 0;
            for (; d + NarrowColumns <= columns; d += NarrowColumns)
                Narrow2(p, pStride, rows, from, to, values + d, stride, sums + d, sumStride, add: true);
            for (; d < columns; d += 8) AddNarrow2(p, pStride, rows, from, to, values + d, stride, sums + d, sumStride);
        }
    }

    // The methods below: Σⱼ x[r, j]·matrix[j, column] over from ≤ j ≤ to, in the order of j, stored or added, for up to two rows or four.
    // Missing rows are computed as copies of the last one and not stored.

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Wide4(
        float* x, nint xStride, int rows, int from, int to, float* matrix, nint stride, float* y, nint yStride, bool add)
    {
        nint second = Math.Min(1, rows - 1), third = Math.Min(2, rows - 1), fourth = Math.Min(3, rows - 1);
        float* x1 = x + (second * xStride), x2 = x + (third * xStride), x3 = x + (fourth * xStride);
        Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default, b0 = default, b1 = default, b2 = default, b3 = default;
        Vector512<float> c0 = default, c1 = default, c2 = default, c3 = default, d0 = default, d1 = default, d2 = default, d3 = default;
        float* m = matrix + (from * stride);
        for (nint j = from; j <= to; j++, m += stride)
        {
            Vector512<float> m0 = Vector512.Load(m), m1 = Vector512.Load(m + 16);
            Vector512<float> m2 = Vector512.Load(m + 32), m3 = Vector512.Load(m + 48);
            Vector512<float> v = Vector512.Create(x[j]);
            a0 = Vector512.FusedMultiplyAdd(v, m0, a0);
            a1 = Vector512.FusedMultiplyAdd(v, m1, a1);
            a2 = Vector512.FusedMultiplyAdd(v, m2, a2);
            a3 = Vector512.FusedMultiplyAdd(v, m3, a3);
            v = Vector512.Create(x1[j]);
            b0 = Vector512.FusedMultiplyAdd(v, m0, b0);
            b1 = Vector512.FusedMultiplyAdd(v, m1, b1);
            b2 = Vector512.FusedMultiplyAdd(v, m2, b2);
            b3 = Vector512.FusedMultiplyAdd(v, m3, b3);
            v = Vector512.Create(x2[j]);
            c0 = Vector512.FusedMultiplyAdd(v, m0, c0);
            c1 = Vector512.FusedMultiplyAdd(v, m1, c1);
            c2 = Vector512.FusedMultiplyAdd(v, m2, c2);
            c3 = Vector512.FusedMultiplyAdd(v, m3, c3);
            v = Vector512.Create(x3[j]);
            d0 = Vector512.FusedMultiplyAdd(v, m0, d0);
            d1 = Vector512.FusedMultiplyAdd(v, m1, d1);
            d2 = Vector512.FusedMultiplyAdd(v, m2, d2);
            d3 = Vector512.FusedMultiplyAdd(v, m3, d3);
        }
        Store(y, a0, a1, a2, a3, add);
        if (rows > 1) Store(y + yStride, b0, b1, b2, b3, add);
        if (rows > 2) Store(y + (2 * yStride), c0, c1, c2, c3, add);
        if (rows > 3) Store(y + (3 * yStride), d0, d1, d2, d3, add);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* y, Vector512<float> v0, Vector512<float> v1, Vector512<float> v2, Vector512<float> v3, bool add)
    {
        (add ? Vector512.Load(y) + v0 : v0).Store(y);
        (add ? Vector512.Load(y + 16) + v1 : v1).Store(y + 16);
        (add ? Vector512.Load(y + 32) + v2 : v2).Store(y + 32);
        (add ? Vector512.Load(y + 48) + v3 : v3).Store(y + 48);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Narrow2(
        float* x, nint xStride, int rows, int from, int to, float* matrix, nint stride, float* y, nint yStride, bool add)
    {
        float* x1 = rows > 1 ? x + xStride : x;
        Vector256<float> a0 = default, a1 = default, a2 = default, a3 = default;
        Vector256<float> b0 = default, b1 = default, b2 = default, b3 = default;
        float* m = matrix + (from * stride);
        for (nint j = from; j <= to; j++, m += stride)
        {
            Vector256<float> a = Vector256.Create(x[j]), b = Vector256.Create(x1[j]);
            Vector256<float> m0 = Vector256.Load(m), m1 = Vector256.Load(m + 8);
            Vector256<float> m2 = Vector256.Load(m + 16), m3 = Vector256.Load(m + 24);
            a0 = Vector256.FusedMultiplyAdd(a, m0, a0);
            a1 = Vector256.FusedMultiplyAdd(a, m1, a1);
            a2 = Vector256.FusedMultiplyAdd(a, m2, a2);
            a3 = Vector256.FusedMultiplyAdd(a, m3, a3);
            b0 = Vector256.FusedMultiplyAdd(b, m0, b0);
            b1 = Vector256.FusedMultiplyAdd(b, m1, b1);
            b2 = Vector256.FusedMultiplyAdd(b, m2, b2);
            b3 = Vector256.FusedMultiplyAdd(b, m3, b3);
        }
        Store(y, a0, a1, a2, a3, add);
        if (rows > 1) Store(y + yStride, b0, b1, b2, b3, add);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* y, Vector256<float> v0, Vector256<float> v1, Vector256<float> v2, Vector256<float> v3, bool add)
    {
        (add ? Vector256.Load(y) + v0 : v0).Store(y);
        (add ? Vector256.Load(y + 8) + v1 : v1).Store(y + 8);
        (add ? Vector256.Load(y + 16) + v2 : v2).Store(y + 16);
        (add ? Vector256.Load(y + 24) + v3 : v3).Store(y + 24);
    }

    /// <summary>Eight columns, always added.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddNarrow2(
        float* x, nint xStride, int rows, int from, int to, float* matrix, nint stride, float* y, nint yStride)
    {
        float* x1 = rows > 1 ? x + xStride : x;
        Vector256<float> a = default, b = default;
        float* m = matrix + (from * stride);
        for (nint j = from; j <= to; j++, m += stride)
        {
            Vector256<float> column = Vector256.Load(m);
            a = Vector256.FusedMultiplyAdd(Vector256.Create(x[j]), column, a);
            b = Vector256.FusedMultiplyAdd(Vector256.Create(x1[j]), column, b);
        }
        (Vector256.Load(y) + a).Store(y);
        if (rows > 1) (Vector256.Load(y + yStride) + b).Store(y + yStride);
    }
}
