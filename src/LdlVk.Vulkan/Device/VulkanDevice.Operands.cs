using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Memory;

namespace LdlVk.Vulkan.Device;

/// <summary>What rows of a tensor become to be multiplied.</summary>
/// <param name="Bytes">Bytes of an element.</param>
/// <param name="Length">Elements that share a scale.</param>
internal readonly record struct OperandKind(int Bytes, int Length)
{
    /// <summary>Halves (halve_rows.comp).</summary>
    public static OperandKind Halves(int length) => new(sizeof(ushort), length);

    /// <summary>Bytes of an element and its share of a scale, at most: a half, and a scale of four, the shortest length there is.</summary>
    public const int MostBytes = sizeof(ushort) + (sizeof(float) / 4);

    /// <summary>Bytes with a scale a group (quantise_rows.comp).</summary>
    public static readonly OperandKind Int8 = new(sizeof(sbyte), WeightLayout.GroupSize);
}

/// <summary>Rows of a tensor as operands.</summary>
/// <param name="Elements">Address of the first row.</param>
/// <param name="RowBytes">Bytes from one row to the next.</param>
/// <param name="Scales">Address of its scales.</param>
/// <param name="RowScaleBytes">Bytes of a row's scales.</param>
/// <param name="Memory">What they lie in.</param>
internal readonly record struct Operand(ulong Elements, ulong RowBytes, ulong Scales, ulong RowScaleBytes, MemoryRange Memory)
{
    /// <summary>The same from a later row on.</summary>
    public Operand From(int row) => this with { Elements = Elements + ((ulong)row * RowBytes), Scales = Scales + ((ulong)row * RowScaleBytes) };
}

/// <summary>Operands: kernels that multiply halves or bytes get rows in that form, made once for all products that read them.</summary>
internal sealed unsafe partial class VulkanDevice
{
    /// <summary>The rows of a tensor as operands, kept until the tensor is written again.</summary>
    private Operand OperandOf(IVulkanTensor x, OperandKind kind)
    {
        VulkanTensor tensor = x.Owner;
        int scalesPerRow = x.Stride / kind.Length;
        ulong rowBytes = (ulong)x.Stride * (ulong)kind.Bytes;
        Allocation memory = tensor.OperandMemory(() => _memory.Allocate(
            OperandBytes(tensor), () => $"operands of products, a tensor [{tensor.Rows}, {tensor.Columns}]"));
        Operand operand = new Operand(memory.Address, rowBytes, memory.Address + ((ulong)tensor.Rows * rowBytes), (ulong)scalesPerRow * sizeof(float),
            new MemoryRange(memory.Address, memory.Size)).From(x.FirstRow);
        if (!tensor.HoldsOperand(x.FirstRow, x.Rows, kind))
        {
            int scales = x.Rows * scalesPerRow;
            PushConstants push = new PushConstants().Add(x.Address).Add(operand.Elements).Add(operand.Scales).Add(scales);
            if (kind == OperandKind.Int8)
                Dispatch("quantise_rows", [], push, Groups(scales, 64), 1, Work.Elementwise("QuantiseRows", x.Rows, x.Columns), reads: [x.Range], writes: [operand.Memory]);
            else
                Dispatch("halve_rows", [], push.Add(kind.Length / 4), scales, 1, Work.Elementwise("HalveRows", scales, kind.Length), reads: [x.Range], writes: [operand.Memory]);
            tensor.OperandRows = (x.FirstRow, x.Rows, kind);
        }

        return operand;
    }

    /// <summary>Memory for operands of either kind.</summary>
    private ulong OperandBytes(VulkanTensor tensor) => (((ulong)tensor.Rows * OperandKind.MostBytes) + ((ulong)_linear.RowsReadBeyond * 2)) * (ulong)tensor.Stride;
}
