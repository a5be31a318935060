using LdlVk.DirectML.Graphs;
using LdlVk.DirectML.Interop;
using LdlVk.DirectML.Memory;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML.Ops;

/// <summary>
/// <see cref="IDevice.Attention"/>, a tile of queries at a time. Tiles are counted by position in the text: tile t holds the queries at
/// positions
/// <see cref="RowBlocks.Rows"/>·t and on, each in the row of its position, and sees as many keys as <see cref="KeysOf(int)"/> says for t,
/// gathered from the prefix and the text's own rows; keys after the text's last are zeros. So a query's sums are a matter of its position
/// and its text alone.
/// </summary>
internal static class AttentionOp
{
    public static void Run(
        OpContext context, IDirectMLTensor output, IDirectMLTensor queries, IDirectMLTensor keys, IDirectMLTensor values,
            DirectMLSegments segments, AttentionShape shape)
    {
        foreach (AttentionSegment segment in segments.Segments)
        {
            int last = (segment.KeyCount - 1) / RowBlocks.Rows;
            Region allKeys = KeysOf(context, segment, keys, Scratch.Keys, KeysOf(last)),
                allValues = KeysOf(context, segment, values, Scratch.Values, KeysOf(last));
            for (int tile = segment.QueryPosition / RowBlocks.Rows; tile <= last; tile++)
            {
                int from = Math.Max(tile * RowBlocks.Rows, segment.QueryPosition),
                    to = Math.Min((tile + 1) * RowBlocks.Rows, segment.KeyCount);
                int row = segment.QueryRow + from - segment.QueryPosition;
                ulong stride = (ulong)queries.Stride * sizeof(float), offset = (ulong)(from - (tile * RowBlocks.Rows)) * stride;
                Region whole = context.Temporary(Scratch.Queries, RowBlocks.Rows * stride),
                    result = RowBlocks.Output(context, output);
                Region picked = queries.RegionOf(row, to - from);
                context.Copy(whole.From(offset) with { Bytes = picked.Bytes }, picked);
                context.Dispatch(Graph(context, shape, tile, queries.Stride, keys.Stride),
                    [whole, allKeys, allValues, Mask(context, tile, shape.Window),
                    context.Constant("minus infinity", () => new[] { float.NegativeInfinity })], [result]);
                context.CopyRows(output.RegionOf(row, to - from), result.From(offset));
            }
        }
    }

    /// <summary>
    /// Keys that a tile is given: what its last query sees, rounded up to 64·2ⁱ or 96·2ⁱ, so that texts of 8192 tokens need 14 graphs
    /// and not 128. At most a third of the keys are beyond any query's sight, 13 % on average over the tiles of a text of 8192.
    /// </summary>
    internal static int KeysOf(int tile)
    {
        int least = (tile + 1) * RowBlocks.Rows, size = RowBlocks.Rows;
        while (size < least) size = size % 3 == 0 ? size / 3 * 4 : size / 2 * 3;
        return size;
    }

    /// <summary>The keys or values of a segment's text in order of position, then zeros.</summary>
    private static Region KeysOf(OpContext context, in AttentionSegment segment, IDirectMLTensor from, Scratch purpose, int count)
    {
        ulong stride = (ulong)from.Stride * sizeof(float);
        Region all = context.Temporary(purpose, (ulong)count * stride);
        int shared = Math.Min(segment.PrefixLength, segment.KeyCount), own = segment.KeyCount - shared;
        if (shared > 0) context.CopyRows(all with { Bytes = (ulong)shared * stride }, from.RegionOf(segment.PrefixRow, shared));
        if (own > 0) context.CopyRows(all.From((ulong)shared * stride) with { Bytes = (ulong)own * stride },
            from.RegionOf(segment.OwnRow, own));
        context.Clear(all.From((ulong)segment.KeyCount * stride));
        return all;
    }

    /// <summary>
    /// Which keys the queries of a tile see: bytes in rows of <see cref="MaskStride"/>. Visibility is a matter of the distance from query
    /// to key alone, so the tiles that are given equally many keys look at one table, each at its own place: 2.5 MB for a window and 8192
    /// positions, where a mask for each tile takes 40.
    /// </summary>
    private static Region Mask(OpContext context, int tile, int window)
    {
        int keys = KeysOf(tile), width = MaskStride(keys), start = keys - RowBlocks.Rows;
        if (window >= keys) window = 0;
        Region table = context.Constant(GraphCache.Key("mask", keys, window), () =>
        {
            byte[] mask = new byte[RowBlocks.Rows * width];
            for (int i = 0; i < RowBlocks.Rows; i++)
            {
                int first = window > 0 ? Math.Max(0, start + i - window + 1) : 0;
                mask.AsSpan((i * width) + first, start + i + 1 - first).Fill(1);
            }
            return mask;
        });
        return table.From((ulong)(start - (tile * RowBlocks.Rows)));
    }

    /// <summary>Bytes of a row of a mask's table: the first tile of as many keys starts a third of them at most before the last.</summary>
    private static int MaskStride(int keys) => keys + (keys / 3 / RowBlocks.Rows * RowBlocks.Rows);

    private static CompiledGraph Graph(OpContext context, AttentionShape shape, int tile, int queryStride, int keyStride)
    {
        int count = KeysOf(tile);
        return context.Graph(GraphCache.Key("Attention", shape.Heads, shape.KeyValueHeads, shape.HeadDimension, shape.Scale, shape.Softcap,
            count), g =>
        {
            uint heads = (uint)shape.KeyValueHeads, group = (uint)(shape.Heads / shape.KeyValueHeads),
                dimension = (uint)shape.HeadDimension, keys = (uint)count;
            // The heads that share keys are one batch dimension, over which keys and values have stride 0.
            uint[] scoreSizes = [heads, group, RowBlocks.Rows, keys], keySizes = [heads, group, keys, dimension],
                keyStrides = [dimension, 0, (uint)keyStride, 1];
            TensorLayout rows = new(DataType.Float32, [heads, group, RowBlocks.Rows, dimension],
                [group * dimension, dimension, (uint)queryStride, 1]);
            TensorLayout keyRows = new(DataType.Float32, keySizes, keyStrides);
            GraphValue q = g.Input(rows), k = g.Input(keyRows), v = g.Input(keyRows);
            GraphValue mask = g.Input(TensorLayout.Matrix(RowBlocks.Rows, count, MaskStride(count), DataType.UInt8)).As(scoreSizes,
                [0, 0, (uint)MaskStride(count), 1]);
            GraphValue minusInfinity = g.Input(new TensorLayout(DataType.Float32, 1, 1, 1, 1)).As(scoreSizes, [0, 0, 0, 0]);
            GraphValue scores = g.Gemm(q, k, new TensorLayout(DataType.Float32, scoreSizes), transposeB: true, shape.Scale);
            if (shape.Softcap > 0) scores = g.Linear(g.Unary(OperatorType.Tanh, scores, 1 / shape.Softcap), shape.Softcap, 0);
            g.Output(g.Gemm(g.Softmax(g.If(mask, scores, minusInfinity)), v, rows, transposeB: false));
        });
    }
}
