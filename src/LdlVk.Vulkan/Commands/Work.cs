namespace LdlVk.Vulkan.Commands;

/// <summary>What a command does: for the size of submissions, and for error messages.</summary>
/// <param name="Op">Name of the op.</param>
/// <param name="Rows">Rows of its output.</param>
/// <param name="Columns">Columns of its output.</param>
/// <param name="Operations">Rough number of arithmetic operations, or of those that would take as long.</param>
internal readonly record struct Work(string Op, long Rows, long Columns, double Operations)
{
    /// <summary>
    /// What an element of an op without a matrix product counts: it moves about 12 bytes, in which time a GPU does some 100 operations (10
    /// a byte on the slowest; the largest do 300 and more, and are far from any time limit).
    /// </summary>
    private const double OperationsPerElement = 100;

    /// <summary>The work of an op that touches each element of its output once or twice.</summary>
    public static Work Elementwise(string op, long rows, long columns) => new(op, rows, columns, OperationsPerElement * rows * columns);

    public override string ToString() => $"{Op} [{Rows}, {Columns}]";
}
