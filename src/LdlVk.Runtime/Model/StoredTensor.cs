using LdlVk.Runtime.Checkpoints;

namespace LdlVk.Runtime.Model;

/// <summary>Where an original checkpoint has a tensor of a backbone.</summary>
/// <param name="Name">The name of the stored tensor, without <c>model.</c>.</param>
/// <param name="Shape">The shape of the stored tensor.</param>
/// <param name="Rows">The rows of it that are the tensor; null for all.</param>
internal sealed record StoredTensor(string Name, int[] Shape, RowGroups? Rows)
{
    /// <summary>Returns the tensor, given the one that is stored.</summary>
    public IFloatMatrix Of(string name, IFloatMatrix stored) => Rows is { } rows ? new RowSelection(name, stored, rows) : stored;
}

/// <summary>The same rows of each group of a matrix's rows.</summary>
/// <param name="Group">Number of rows of a group.</param>
/// <param name="First">First row in a group.</param>
/// <param name="Count">Number of rows in a group.</param>
internal sealed record RowGroups(int Group, int First, int Count);

/// <summary>Some rows of a matrix, as a matrix. A vector is a matrix with one column.</summary>
internal sealed class RowSelection(string name, IFloatMatrix whole, RowGroups rows) : IFloatMatrix
{
    public string Name => name;

    public int Rows => (int)((long)whole.Rows * whole.Columns / Columns / rows.Group * rows.Count);

    public int Columns { get; } = whole.Rows == 1 ? 1 : whole.Columns;

    public void Read(long firstElement, Span<float> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(firstElement);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstElement, ((long)Rows * Columns) - destination.Length);
        long run = (long)rows.Count * Columns;
        while (destination.Length > 0)
        {
            (long group, long within) = Math.DivRem(firstElement, run);
            int count = (int)Math.Min(destination.Length, run - within);
            whole.Read((((group * rows.Group) + rows.First) * Columns) + within, destination[..count]);
            firstElement += count;
            destination = destination[count..];
        }
    }
}
