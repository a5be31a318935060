using LdlVk.Runtime.Devices;
using LdlVk.SelfTest;

namespace LdlVk.Conformance;

/// <summary>
/// Random texts with their queries, keys and values, and ways to lay them out in a device's tensors: apart or with shared prefixes,
/// in any order, with rows of NaN between them.
/// </summary>
public sealed class AttentionCase
{
    private readonly Random random;
    private readonly List<Text> texts = [];

    /// <summary>Texts of the given lengths, of which the first <paramref name="prefix"/> keys are the same.</summary>
    public AttentionCase(int seed, AttentionShape shape, int prefix, double size, params int[] lengths)
    {
        random = new Random(seed);
        Shape = shape;
        Prefix = prefix;
        int width = shape.KeyValueHeads * shape.HeadDimension;
        Matrix sharedKeys = Matrix.Random(random, prefix, width, size), sharedValues = Matrix.Random(random, prefix, width);
        foreach (int length in lengths)
        {
            Text text = new(
                Matrix.Random(random, length, shape.Heads * shape.HeadDimension, size),
                Matrix.Random(random, length, width, size),
                Matrix.Random(random, length, width));
            sharedKeys.Data.AsSpan(0, Math.Min(sharedKeys.Data.Length, text.Keys.Data.Length)).CopyTo(text.Keys.Data);
            sharedValues.Data.AsSpan(0, Math.Min(sharedValues.Data.Length, text.Values.Data.Length)).CopyTo(text.Values.Data);
            texts.Add(text);
        }
    }

    public AttentionShape Shape { get; init; }

    public int Prefix { get; }

    public int Texts => texts.Count;

    /// <summary>Query rows of one text, for tests that put extremes there.</summary>
    public Matrix Queries(int text) => texts[text].Queries;

    /// <summary>
    /// Lays texts out. A part (text, first query, number of queries) becomes a segment; all keys of its text are there, the first
    /// <see cref="Prefix"/> in shared rows if <paramref name="share"/>.
    /// </summary>
    public AttentionLayout Layout(bool share, IReadOnlyList<(int Text, int First, int Count)> parts)
    {
        int Gap() => random.Next(4);
        int width = Shape.KeyValueHeads * Shape.HeadDimension;
        List<AttentionSegment> segments = [];
        List<(int Row, Text Text, int From, int Count)> keyRows = [];
        int queryRow = 0, keyRow = Gap(), prefixRow = -1;
        foreach ((int index, int first, int count) in parts)
        {
            Text text = texts[index];
            int prefix = share ? Math.Min(Prefix, text.Keys.Rows) : 0;
            if (prefix > 0 && prefixRow < 0)
            {
                // The whole prefix, from a text that has all of it.
                Text longest = texts.MaxBy(t => t.Keys.Rows)!;
                keyRows.Add((keyRow, longest, 0, Math.Min(Prefix, longest.Keys.Rows)));
                prefixRow = keyRow;
                keyRow += Prefix + Gap();
            }
            keyRows.Add((keyRow, text, prefix, text.Keys.Rows - prefix));
            segments.Add(new AttentionSegment(queryRow, count, first, Math.Max(prefixRow, 0), prefix, keyRow));
            keyRow += text.Keys.Rows - prefix + Gap();
            queryRow += count + Gap();
        }

        Matrix queries = Matrix.Filled(queryRow, Shape.Heads * Shape.HeadDimension, float.NaN);
        Matrix keys = Matrix.Filled(keyRow, width, float.NaN), values = Matrix.Filled(keyRow, width, float.NaN);
        for (int i = 0; i < segments.Count; i++)
            for (int j = 0; j < parts[i].Count; j++)
                texts[parts[i].Text].Queries.Row(parts[i].First + j).CopyTo(queries.Row(segments[i].QueryRow + j));
        foreach ((int row, Text text, int from, int count) in keyRows)
            for (int j = 0; j < count; j++)
            {
                text.Keys.Row(from + j).CopyTo(keys.Row(row + j));
                text.Values.Row(from + j).CopyTo(values.Row(row + j));
            }
        return new AttentionLayout(queries, keys, values, segments);
    }

    private sealed record Text(Matrix Queries, Matrix Keys, Matrix Values);
}

/// <summary>The arguments of one attention call.</summary>
public sealed record AttentionLayout(Matrix Queries, Matrix Keys, Matrix Values, List<AttentionSegment> Segments)
{
    /// <summary>The output's rows of one segment.</summary>
    public Matrix OutputOf(int segment, Matrix output) =>
        output.Pick([.. Enumerable.Range(Segments[segment].QueryRow, Segments[segment].QueryCount)]);
}
