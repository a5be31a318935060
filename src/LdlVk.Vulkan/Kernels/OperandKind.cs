using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Commands;

namespace LdlVk.Vulkan.Kernels;

/// <summary>The form that rows of a tensor are converted to, to be multiplied.</summary>
/// <param name="Bytes">Bytes of an element.</param>
/// <param name="Length">Elements that share a scale.</param>
/// <param name="Top">fp16: the largest magnitude of these is at least 2 to the power of this, and less than twice that.</param>
internal readonly record struct OperandKind(int Bytes, int Length, uint Top = 0)
{
    /// <summary>fp16, with a scale for each <paramref name="length"/> elements (halve_rows.comp), for products with such sums.</summary>
    public static OperandKind Halves(int length, SumFormat sums = SumFormat.Fp32) =>
        new(sizeof(ushort), length, sums == SumFormat.Fp16 ? 5u : 14u);

    /// <summary>Whether it is fp16 with a scale for each <paramref name="length"/> elements.</summary>
    public bool IsHalves(int length) => Bytes == sizeof(ushort) && Length == length;

    /// <summary>
    /// Bytes of an element and its share of a scale, at most: an fp16 value, and a scale for each 4 of them, the shortest length.
    /// </summary>
    public const int MaxBytes = sizeof(ushort) + (sizeof(float) / 4);

    /// <summary>int8, with a scale for each group of 32 (quantize_rows.comp).</summary>
    public static readonly OperandKind Int8 = new(sizeof(sbyte), WeightLayout.GroupSize);

    /// <summary>The form's number in kernels that write operands (norm.glsl).</summary>
    public uint Number => Bytes switch { sizeof(ushort) => 1, sizeof(sbyte) => 2, _ => 0 };
}

/// <summary>Rows of a tensor, converted.</summary>
/// <param name="Elements">Address of the first row.</param>
/// <param name="RowBytes">Bytes from one row to the next.</param>
/// <param name="Scales">Address of its scales.</param>
/// <param name="RowScaleBytes">Bytes of a row's scales.</param>
/// <param name="Memory">The memory that holds all of it.</param>
internal readonly record struct Operand(ulong Elements, ulong RowBytes, ulong Scales, ulong RowScaleBytes, MemoryRange Memory)
{
    /// <summary>The same from a later row on.</summary>
    public Operand From(int row) =>
        this with { Elements = Elements + ((ulong)row * RowBytes), Scales = Scales + ((ulong)row * RowScaleBytes) };
}
