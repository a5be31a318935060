using System.Runtime.CompilerServices;
using LdlVk.Cpu.Memory;
using LdlVk.Runtime.Devices;

namespace LdlVk.Cpu.Ops;

/// <summary>
/// Causal attention: s = scale·q·k, s ← softcap·tanh(s/softcap), exact softmax over the visible keys, weighted sum of the values.
/// <para>
/// A work item is a block of consecutive queries of one text in all the heads that read one KV head, so that a key is fetched once for all
/// of them. Keys come in tiles of <see cref="AttentionTile.Keys"/> counted by position in the text; each tile is gathered from the prefix's
/// rows and the text's own. All sums run over positions in ascending order, tile by tile, from the first key that the query
/// sees to the last: a query's bits depend only on its text and its position.
/// </para>
/// </summary>
internal static unsafe class AttentionOp
{
    // Query rows per work item: enough to amortize gathering a tile of keys, few enough that their scores stay in the cache.
    private const int BlockRows = 64;

    public static void Run(
        Workers workers, CpuTensor output, CpuTensor queries, CpuTensor keys, CpuTensor values,
        IReadOnlyList<AttentionSegment> segments, AttentionShape shape)
    {
        int group = shape.Heads / shape.KeyValueHeads;
        int positions = Math.Max(1, BlockRows / group);
        List<(AttentionSegment Segment, int FirstQuery)> blocks = [];
        double work = 0;
        foreach (AttentionSegment s in segments)
        {
            // The last block sees the most keys. It starts first, so that the workers finish at about the same time.
            for (int first = (s.QueryCount - 1) / positions * positions; first >= 0; first -= positions) blocks.Add((s, first));
            work += (double)s.QueryCount * s.KeyCount * shape.Heads * shape.HeadDimension;
        }
        float* q = queries.Data, k = keys.Data, v = values.Data, y = output.Data;

        workers.Run(blocks.Count * shape.KeyValueHeads, (long)Math.Min(work, long.MaxValue), (item, scratch) =>
        {
            (AttentionSegment segment, int first) = blocks[item / shape.KeyValueHeads];
            Block block = new()
            {
                Segment = segment,
                Shape = shape,
                KeyValueHead = item % shape.KeyValueHeads,
                Group = group,
                FirstQuery = first,
                Queries = Math.Min(positions, segment.QueryCount - first),
                QueryStride = queries.Stride,
                KeyStride = keys.Stride,
                Products = new AttentionTile(workers.Vectors.Wide),
            };
            block.Run(q, k, v, y, scratch);
        });
    }

    /// <summary>One work item. Its rows are (query, head of the group), the head running fastest.</summary>
    private readonly struct Block
    {
        public required AttentionSegment Segment { get; init; }
        public required AttentionShape Shape { get; init; }
        public required int KeyValueHead { get; init; }
        public required int Group { get; init; }
        public required int FirstQuery { get; init; }
        public required int Queries { get; init; }
        public required int QueryStride { get; init; }
        public required int KeyStride { get; init; }
        public required AttentionTile Products { get; init; }

        private int Rows => Queries * Group;

        /// <summary>Floats of a head in scratch: whole vectors, zero behind the head.</summary>
        private int Width => (Shape.HeadDimension + 7) & ~7;

        /// <summary>Returns the last position that query row <paramref name="row"/> sees: its own.</summary>
        private int Last(int row) => Segment.QueryPosition + FirstQuery + (row / Group);

        /// <summary>Returns the first position that a query at a position sees.</summary>
        private int First(int position) => Shape.Window > 0 ? Math.Max(0, position - Shape.Window + 1) : 0;

        /// <summary>
        /// The first and last key that a query at a position sees of the tile that begins at <paramref name="begin"/>, counted in the tile.
        /// </summary>
        private (int From, int To) Seen(int position, int begin) =>
            (Math.Max(First(position) - begin, 0), Math.Min(position - begin, AttentionTile.Keys - 1));

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(float* queries, float* keys, float* values, float* output, Scratch scratch)
        {
            const int Tile = AttentionTile.Keys;
            int start = First(Last(0)) / Tile * Tile, end = Last(Rows - 1) + 1;
            // A cache line more: rows that are a power of two apart would share the same few lines of the caches.
            int tiles = (end - start + Tile - 1) / Tile, span = (tiles * Tile) + 16;

            float* tile = scratch.Floats(((long)Rows * ((2 * Width) + span + 1)) + (Tile * Width));
            float* q = tile + (Tile * Width), sums = q + (Rows * Width), scores = sums + (Rows * Width);
            int* positions = (int*)(scores + ((long)Rows * span));
            for (int r = 0; r < Rows; r++) positions[r] = Last(r);

            new Span<float>(sums, Rows * Width).Clear();
            for (int r = 0; r < Rows; r++) Copy(Head(queries, r), q + (r * Width));
            for (int t = 0; t < tiles; t++)
            {
                // The sums are still zero and represent the keys that the last tile lacks.
                GatherKeys(keys, start + (t * Tile), end, tile, sums);
                Products.Scores(q, Width, Rows, tile, Shape.HeadDimension, scores + (t * Tile), span);
            }

            // After this loop a row's scores are its unnormalized probabilities. Their sum waits in q, which is no longer needed.
            for (int r = 0; r < Rows; r++)
                q[r] = AttentionTile.Softmax(
                    scores + ((long)r * span), First(positions[r]) - start, positions[r] - start, Shape.Scale, Shape.Softcap);

            for (int t = 0; t < tiles; t++)
            {
                int begin = start + (t * Tile);
                GatherValues(values, begin, end, tile);
                for (int d = 0; d < Width; d += AttentionTile.Columns)
                {
                    int columns = Math.Min(AttentionTile.Columns, Width - d);
                    for (int r = 0; r < Rows;)
                    {
                        (int from, int to) = Seen(positions[r], begin);
                        // The heads of one query see the same keys, and neighboring queries mostly.
                        int count = 1;
                        while (count < Products.Rows && r + count < Rows && Seen(positions[r + count], begin) == (from, to)) count++;
                        Products.AddValues(
                            scores + (t * Tile) + ((long)r * span), span, count, from, to, tile + d, Width, sums + (r * Width) + d, Width,
                            columns);
                        r += count;
                    }
                }
            }

            for (int r = 0; r < Rows; r++)
            {
                float* y = Head(output, r);
                for (int d = 0; d < Shape.HeadDimension; d++) y[d] = sums[(r * Width) + d] / q[r];
            }
        }

        /// <summary>
        /// A tile of keys, transposed for <see cref="AttentionTile.Scores"/>; zero from position <paramref name="end"/> on.
        /// </summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void GatherKeys(float* keys, int position, int end, float* tile, float* zeros)
        {
            float** k = stackalloc float*[8];
            for (int j = 0; j < AttentionTile.Keys; j += 8)
            {
                for (int i = 0; i < 8; i++) k[i] = position + j + i < end ? Row(keys, position + j + i) : zeros;
                Products.TransposeKeys(k, j, tile, Shape.HeadDimension);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void GatherValues(float* values, int position, int end, float* tile)
        {
            int count = Math.Min(AttentionTile.Keys, end - position);
            for (int j = 0; j < count; j++) Copy(Row(values, position + j), tile + (j * Width));
        }

        /// <summary>The head of the key or value at a position of the text: in the shared prefix or in the text's own rows.</summary>
        private float* Row(float* matrix, int position)
        {
            int row = position < Segment.PrefixLength ? Segment.PrefixRow + position : Segment.OwnRow + position - Segment.PrefixLength;
            return matrix + ((long)row * KeyStride) + (KeyValueHead * Shape.HeadDimension);
        }

        /// <summary>The head of a row in the query or output tensor.</summary>
        private float* Head(float* matrix, int row) =>
            matrix + ((long)(Segment.QueryRow + FirstQuery + (row / Group)) * QueryStride)
            + (((KeyValueHead * Group) + (row % Group)) * Shape.HeadDimension);

        private void Copy(float* head, float* destination)
        {
            new Span<float>(head, Shape.HeadDimension).CopyTo(new Span<float>(destination, Shape.HeadDimension));
            new Span<float>(destination + Shape.HeadDimension, Width - Shape.HeadDimension).Clear();
        }
    }
}
