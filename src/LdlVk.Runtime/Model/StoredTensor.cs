using LdlVk.Runtime.Checkpoints;

namespace LdlVk.Runtime.Model;

/// <summary>Where an original checkpoint has a tensor of a backbone.</summary>
/// <param name="Name">The name of the stored tensor, without <c>model.</c>.</param>
/// <param name="Shape">The shape of the stored tensor.</param>
/// <param name="Rows">The rows of it that are the tensor; null for all.</param>
internal sealed record StoredTensor(string Name, int[] Shape, RowGroups? Rows)
{
    /// <summary>
    /// Returns the rows of some heads of queries or keys in an order that suits <see cref="Devices.IDevice.Rope"/>, which rotates pairs
    /// that are half a head apart. Where only the first elements of a head are rotated, in pairs that are half of those apart, the others
    /// go behind each half. As the order is the same in queries and keys, their products are what they were.
    /// </summary>
    /// <param name="first">First row of the first head.</param>
    /// <param name="heads">Number of heads.</param>
    /// <param name="size">Elements of a head.</param>
    /// <param name="rotated">How many of them are rotated.</param>
    public static RowRun[] RotatedHalves(int first, int heads, int size, int rotated)
    {
        if (rotated == size) return [new(first, heads * size)];
        int turned = rotated / 2, kept = (size - rotated) / 2;
        return
        [
            .. Enumerable.Range(0, heads).Select(head => first + (head * size)).SelectMany(at => (RowRun[])
                [new(at, turned), new(at + rotated, kept), new(at + turned, turned), new(at + rotated + kept, kept)]),
        ];
    }

    /// <summary>Returns the tensor, given the one that is stored.</summary>
    public IFloatMatrix Of(string name, IFloatMatrix stored) => Rows is { } rows ? new RowSelection(name, stored, rows) : stored;
}

/// <summary>The same rows of each group of a matrix's rows.</summary>
/// <param name="Group">Number of rows of a group.</param>
/// <param name="Runs">The rows in a group, in the order in which they are taken.</param>
internal sealed record RowGroups(int Group, params IReadOnlyList<RowRun> Runs);

/// <summary>Consecutive rows.</summary>
/// <param name="First">The first one.</param>
/// <param name="Count">Their number.</param>
internal readonly record struct RowRun(int First, int Count);

/// <summary>Some rows of a matrix, as a matrix. A vector is a matrix with one column.</summary>
internal sealed class RowSelection(string name, IFloatMatrix whole, RowGroups rows) : IFloatMatrix
{
    private readonly int _perGroup = rows.Runs.Sum(run => run.Count);

    public string Name => name;

    public int Rows => (int)((long)whole.Rows * whole.Columns / Columns / rows.Group * _perGroup);

    public int Columns { get; } = whole.Rows == 1 ? 1 : whole.Columns;

    public void Read(long firstElement, Span<float> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(firstElement);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstElement, ((long)Rows * Columns) - destination.Length);
        (long group, long within) = Math.DivRem(firstElement, (long)_perGroup * Columns);
        for (int run = 0; destination.Length > 0; run++)
        {
            if (run == rows.Runs.Count) (run, group) = (0, group + 1);
            (int first, long elements) = (rows.Runs[run].First, (long)rows.Runs[run].Count * Columns);
            if (within < elements)
            {
                int count = (int)Math.Min(destination.Length, elements - within);
                whole.Read((((group * rows.Group) + first) * Columns) + within, destination[..count]);
                destination = destination[count..];
            }

            within = Math.Max(0, within - elements);
        }
    }
}
