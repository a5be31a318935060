using LdlVk.DirectML.Interop;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML;

/// <content>
/// Attention, a tile of queries at a time. Tiles are counted by position in the text: tile t holds the queries at positions
/// <see cref="BlockRows"/>·t and on, each in the row of its position, and sees as many keys as <see cref="KeysOf(int)"/> says for t, gathered from
/// the prefix and the text's own rows; keys after the text's last are zeros. So a query's sums are a matter of its position and
/// its text alone.
/// </content>
internal sealed partial class DirectMLDevice
{
    /// <inheritdoc/>
    public void Attention(ITensor output, ITensor queries, ITensor keys, ITensor values, ISegmentList segments, in AttentionShape shape)
    {
        OpChecks.Attention(output, queries, keys, values, segments, shape);
        Apart("Attention", output, queries);
        Apart("Attention", output, keys);
        Apart("Attention", output, values);
        if (segments is not DirectMLSegments list || !Mine(list.Device)) throw Foreign("segment list");
        (IDirectMLTensor o, IDirectMLTensor q, IDirectMLTensor k, IDirectMLTensor v) = (Own(output), Own(queries), Own(keys), Own(values));
        foreach (AttentionSegment segment in list.Segments)
        {
            int last = (segment.KeyCount - 1) / BlockRows;
            Region allKeys = KeysOf(segment, k, Scratch.Keys, KeysOf(last)), allValues = KeysOf(segment, v, Scratch.Values, KeysOf(last));
            for (int tile = segment.QueryPosition / BlockRows; tile <= last; tile++)
            {
                int from = Math.Max(tile * BlockRows, segment.QueryPosition), to = Math.Min((tile + 1) * BlockRows, segment.KeyCount);
                int row = segment.QueryRow + from - segment.QueryPosition;
                ulong stride = (ulong)q.Stride * sizeof(float), offset = (ulong)(from - (tile * BlockRows)) * stride;
                Region whole = Temporary(Scratch.Queries, BlockRows * stride), result = Temporary(Scratch.Output, BlockRows * stride);
                Region picked = q.RegionOf(row, to - from);
                _stream.Copy(whole.From(offset) with { Bytes = picked.Bytes }, picked);
                _stream.Dispatch(AttentionGraph(shape, tile, q.Stride, k.Stride), [whole, allKeys, allValues, Mask(tile, shape.Window), Constant("minus infinity", () => new[] { float.NegativeInfinity })], [result]);
                CopyRows(o.RegionOf(row, to - from), result.From(offset));
            }
        }
    }

    /// <summary>
    /// Keys that a tile is given: what its last query sees, rounded up to 64·2ⁱ or 96·2ⁱ, so that texts of 8192 tokens need 14 graphs and not
    /// 128. At most a third of the keys are beyond any query's sight, 13 % on average over the tiles of a text of 8192.
    /// </summary>
    internal static int KeysOf(int tile)
    {
        int least = (tile + 1) * BlockRows, size = BlockRows;
        while (size < least) size = size % 3 == 0 ? size / 3 * 4 : size / 2 * 3;
        return size;
    }

    /// <summary>The keys or values of a segment's text in order of position, then zeros.</summary>
    private Region KeysOf(in AttentionSegment segment, IDirectMLTensor from, Scratch purpose, int count)
    {
        ulong stride = (ulong)from.Stride * sizeof(float);
        Region all = Temporary(purpose, (ulong)count * stride);
        int shared = Math.Min(segment.PrefixLength, segment.KeyCount), own = segment.KeyCount - shared;
        if (shared > 0) CopyRows(all with { Bytes = (ulong)shared * stride }, from.RegionOf(segment.PrefixRow, shared));
        if (own > 0) CopyRows(all.From((ulong)shared * stride) with { Bytes = (ulong)own * stride }, from.RegionOf(segment.OwnRow, own));
        Clear(all.From((ulong)segment.KeyCount * stride));
        return all;
    }

    /// <summary>
    /// Which keys the queries of a tile see: bytes in rows of <see cref="MaskStride"/>. Visibility is a matter of the distance from query to key
    /// alone, so the tiles that are given equally many keys look at one table, each at its own place: 2.5 MB for a window and 8192 positions,
    /// where a mask for each tile takes 40.
    /// </summary>
    private Region Mask(int tile, int window)
    {
        int keys = KeysOf(tile), width = MaskStride(keys), start = keys - BlockRows;
        if (window >= keys) window = 0;
        Region table = Constant(Key("mask", keys, window), () =>
        {
            byte[] mask = new byte[BlockRows * width];
            for (int i = 0; i < BlockRows; i++)
            {
                int first = window > 0 ? Math.Max(0, start + i - window + 1) : 0;
                mask.AsSpan((i * width) + first, start + i + 1 - first).Fill(1);
            }
            return mask;
        });
        return table.From((ulong)(start - (tile * BlockRows)));
    }

    /// <summary>Bytes of a row of a mask's table: the first tile of as many keys starts a third of them at most before the last.</summary>
    private static int MaskStride(int keys) => keys + (keys / 3 / BlockRows * BlockRows);

    private CompiledGraph AttentionGraph(AttentionShape shape, int tile, int queryStride, int keyStride)
    {
        int count = KeysOf(tile);
        return Graph(Key("Attention", shape.Heads, shape.KeyValueHeads, shape.HeadDimension, shape.Scale, shape.Softcap, count), g =>
        {
            uint heads = (uint)shape.KeyValueHeads, group = (uint)(shape.Heads / shape.KeyValueHeads), dimension = (uint)shape.HeadDimension, keys = (uint)count;
            // The heads that share keys are one batch dimension, over which keys and values have stride 0.
            uint[] scoreSizes = [heads, group, BlockRows, keys], keySizes = [heads, group, keys, dimension], keyStrides = [dimension, 0, (uint)keyStride, 1];
            TensorLayout rows = new(DataType.Float32, [heads, group, BlockRows, dimension], [group * dimension, dimension, (uint)queryStride, 1]);
            TensorLayout keyRows = new(DataType.Float32, keySizes, keyStrides);
            GraphValue q = g.Input(rows), k = g.Input(keyRows), v = g.Input(keyRows);
            GraphValue mask = g.Input(TensorLayout.Matrix(BlockRows, count, MaskStride(count), DataType.UInt8)).As(scoreSizes, [0, 0, (uint)MaskStride(count), 1]);
            GraphValue minusInfinity = g.Input(new TensorLayout(DataType.Float32, 1, 1, 1, 1)).As(scoreSizes, [0, 0, 0, 0]);
            GraphValue scores = g.Gemm(q, k, new TensorLayout(DataType.Float32, scoreSizes), transposeB: true, shape.Scale);
            if (shape.Softcap > 0) scores = g.Linear(g.Unary(OperatorType.Tanh, scores, 1 / shape.Softcap), shape.Softcap, 0);
            g.Output(g.Gemm(g.Softmax(g.If(mask, scores, minusInfinity)), v, rows, transposeB: false));
        });
    }
}
