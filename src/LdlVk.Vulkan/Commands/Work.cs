namespace LdlVk.Vulkan.Commands;

/// <summary>What a command does, for pacing and for errors.</summary>
/// <param name="Op">Name of the op.</param>
/// <param name="Rows">Rows of its output.</param>
/// <param name="Columns">Columns of its output.</param>
/// <param name="Operations">Rough count of arithmetic operations, or what takes a GPU as long.</param>
internal readonly record struct Work(string Op, long Rows, long Columns, double Operations)
{
    /// <summary>
    /// What an element of an op without a matrix product costs: it moves about 12 bytes, during which a GPU does some 100 operations (10
    /// per byte on the slowest, 300 and more on the largest, which are in no danger).
    /// </summary>
    private const double OperationsPerElement = 100;

    /// <summary>An op that looks at each element of its output once or twice.</summary>
    public static Work Elementwise(string op, long rows, long columns) => new(op, rows, columns, OperationsPerElement * rows * columns);

    public override string ToString() => $"{Op} [{Rows}, {Columns}]";
}
