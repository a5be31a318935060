namespace LdlVk.Benchmarking;

/// <summary>All calls of one op with the same operand and shape.</summary>
/// <param name="Op">The op, such as <c>Linear</c>.</param>
/// <param name="Operand">The matrix or the kind of operand; empty if the op has one kind only.</param>
/// <param name="Shape">Rows × outputs × inputs, or rows × columns.</param>
/// <param name="Calls">Number of calls.</param>
/// <param name="Seconds">Seconds of all calls.</param>
/// <param name="Operations">Floating-point operations of all calls.</param>
/// <param name="Bytes">Bytes of all operands.</param>
public readonly record struct OpRow(string Op, string Operand, string Shape, int Calls, double Seconds, double Operations, double Bytes)
{
    /// <summary>The op with its operand.</summary>
    public string Name => Operand.Length == 0 ? Op : $"{Op} {Operand}";
}

/// <summary>An op that was not measured.</summary>
/// <param name="Name">The op with its operand.</param>
/// <param name="Shape">Rows × outputs × inputs, or rows × columns.</param>
/// <param name="Reason">The reason.</param>
public readonly record struct SkippedOp(string Name, string Shape, string Reason);
