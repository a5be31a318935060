using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace LdlVk.Cpu.Ops;

/// <summary>The inner loops of <see cref="AttentionOp"/>.</summary>
internal static unsafe class AttentionTile
{
    /// <summary>Number of keys of a tile.</summary>
    public const int Keys = 64;

    /// <summary>Number of keys that <see cref="Scores"/> processes at once; a tile is stored as two halves, each [head_dim][32].</summary>
    public const int HalfKeys = 32;

    /// <summary>
    /// Number of columns of a head that <see cref="AddValues"/> processes at once; a tile's part of them fits the L1 cache.
    /// </summary>
    public const int Columns = 64;

    /// <summary>
    /// Returns the index of element 0 of key <paramref name="j"/> in a tile; consecutive elements are <see cref="HalfKeys"/> floats apart.
    /// </summary>
    public static float* KeyColumn(float* tile, int j, int headDimension) =>
        tile + (j / HalfKeys * HalfKeys * headDimension) + (j % HalfKeys);

    /// <summary>Writes eight keys as eight neighboring columns of a tile: element d of key i at [d][i].</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void TransposeKeys(float** keys, int headDimension, float* column)
    {
        float* k0 = keys[0], k1 = keys[1], k2 = keys[2], k3 = keys[3], k4 = keys[4], k5 = keys[5], k6 = keys[6], k7 = keys[7];
        for (nint d = 0; d < headDimension; d++, column += HalfKeys)
            Vector256.Create(k0[d], k1[d], k2[d], k3[d], k4[d], k5[d], k6[d], k7[d]).Store(column);
    }

    /// <summary>scores[r, j] = Σ_d q[r, d]·key[j, d] for a tile's keys; each sum in the order of d.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Scores(float* q, int qStride, int rows, float* tile, int headDimension, float* scores, long scoreStride)
    {
        for (int half = 0; half < Keys; half += HalfKeys, tile += HalfKeys * headDimension)
            for (int r = 0; r < rows; r += 2)
            {
                // Two rows at a time; an odd last row is paired with itself.
                int s = Math.Min(r + 1, rows - 1);
                float* first = scores + (r * scoreStride) + half, second = scores + (s * scoreStride) + half;
                Products32(q + (r * qStride), q + (s * qStride), 0, headDimension - 1, tile, HalfKeys, first, second, add: false);
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
    /// For two rows: sums[d] += Σⱼ p[j]·values[j, d] over keys from ≤ j ≤ to of one tile: the tile's sum is finished, in the order of j,
    /// before it is added. A row that is alone is paired with itself.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AddValues(
        float* p0, float* p1, int from, int to, float* values, int stride, float* sums0, float* sums1, int columns)
    {
        int d = 0;
        for (; d + 32 <= columns; d += 32) Products32(p0, p1, from, to, values + d, stride, sums0 + d, sums1 + d, add: true);
        for (; d < columns; d += 8) AddValues8(p0, p1, from, to, values + d, stride, sums0 + d, sums1 + d);
    }

    /// <summary>
    /// For two rows x and 32 columns: Σⱼ x[j]·matrix[j, column] over from ≤ j ≤ to, in the order of j, stored or added. The rows may be
    /// one, and their results too.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Products32(
        float* x0, float* x1, int from, int to, float* matrix, nint stride, float* y0, float* y1, bool add)
    {
        Vector256<float> a0 = default, a1 = default, a2 = default, a3 = default;
        Vector256<float> b0 = default, b1 = default, b2 = default, b3 = default;
        float* m = matrix + (from * stride);
        for (nint j = from; j <= to; j++, m += stride)
        {
            Vector256<float> a = Vector256.Create(x0[j]), b = Vector256.Create(x1[j]);
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
        if (add)
        {
            // Both results are read before one is written.
            (a0, a1) = (Vector256.Load(y0) + a0, Vector256.Load(y0 + 8) + a1);
            (a2, a3) = (Vector256.Load(y0 + 16) + a2, Vector256.Load(y0 + 24) + a3);
            (b0, b1) = (Vector256.Load(y1) + b0, Vector256.Load(y1 + 8) + b1);
            (b2, b3) = (Vector256.Load(y1 + 16) + b2, Vector256.Load(y1 + 24) + b3);
        }
        a0.Store(y0);
        a1.Store(y0 + 8);
        a2.Store(y0 + 16);
        a3.Store(y0 + 24);
        b0.Store(y1);
        b1.Store(y1 + 8);
        b2.Store(y1 + 16);
        b3.Store(y1 + 24);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddValues8(float* p0, float* p1, int from, int to, float* values, nint stride, float* sums0, float* sums1)
    {
        Vector256<float> a = default, b = default;
        float* v = values + (from * stride);
        for (nint j = from; j <= to; j++, v += stride)
        {
            Vector256<float> value = Vector256.Load(v);
            a = Vector256.FusedMultiplyAdd(Vector256.Create(p0[j]), value, a);
            b = Vector256.FusedMultiplyAdd(Vector256.Create(p1[j]), value, b);
        }
        a += Vector256.Load(sums0);
        b += Vector256.Load(sums1);
        a.Store(sums0);
        b.Store(sums1);
    }
}
