using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Model;
using Xunit;

namespace LdlVk.Runtime.Tests.Model;

/// <summary>Tensors that are some rows of a stored one.</summary>
public sealed class RowSelectionTests
{
    /// <summary>Groups and runs of every size, read in parts from any place, against a copy row by row.</summary>
    [Fact]
    public void Rows_are_read_from_any_place()
    {
        Random random = new(1);
        for (int i = 0; i < 300; i++)
        {
            int group = random.Next(2, 12), groups = random.Next(1, 4), columns = random.Next(1, 6);
            RowRun[] runs = [.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => random.Next(group)).Select(first => new RowRun(first, random.Next(group - first + 1)))];
            if (runs.All(run => run.Count == 0)) continue;
            // A vector is stored as one row.
            bool isVector = columns == 1;
            float[] values = [.. Enumerable.Range(0, groups * group * columns).Select(_ => random.NextSingle())];
            Stored stored = new(isVector ? 1 : groups * group, isVector ? groups * group : columns, values);
            float[] want =
            [
                .. Enumerable.Range(0, groups).SelectMany(g => runs.SelectMany(run => Enumerable.Range((g * group) + run.First, run.Count)))
                    .SelectMany(row => values.AsSpan(row * columns, columns).ToArray()),
            ];
            RowSelection part = new("part", stored, new RowGroups(group, runs));
            Assert.Equal((want.Length / columns, columns), (part.Rows, part.Columns));
            float[] got = new float[want.Length];
            for (int at = 0, size = 0; at < got.Length; at += size)
            {
                size = random.Next(1, got.Length - at + 1);
                part.Read(at, got.AsSpan(at, size));
            }

            Assert.Equal(want, got);
            Assert.Throws<ArgumentOutOfRangeException>(() => part.Read(1, new float[want.Length]));
        }
    }

    /// <summary>
    /// transformers rotates elements i and i + rotated/2 of a head and passes those from rotated on; Rope rotates i and i + half. In the
    /// order of the rows, a pair of the first is a pair of the second, and what passes meets no angle.
    /// </summary>
    [Theory]
    [InlineData(16, 12)]
    [InlineData(16, 2)]
    [InlineData(128, 96)]
    [InlineData(10, 10)]
    public void Rotated_pairs_lie_half_a_head_apart(int size, int rotated)
    {
        const int First = 5, Heads = 3;
        int[] rows = [.. StoredTensor.RotatedHalves(First, Heads, size, rotated).SelectMany(run => Enumerable.Range(run.First, run.Count))];
        Assert.Equal(Enumerable.Range(First, Heads * size), rows.Order());
        for (int head = 0; head < Heads; head++)
        {
            int[] inHead = [.. rows.Skip(head * size).Take(size).Select(row => row - First - (head * size))];
            for (int i = 0; i < rotated / 2; i++) Assert.Equal((i, i + (rotated / 2)), (inHead[i], inHead[i + (size / 2)]));
        }
    }

    private sealed class Stored(int rows, int columns, float[] values) : IFloatMatrix
    {
        public string Name => "stored";

        public int Rows => rows;

        public int Columns => columns;

        public void Read(long firstElement, Span<float> destination) => values.AsSpan((int)firstElement, destination.Length).CopyTo(destination);
    }
}
