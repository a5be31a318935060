using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Memory;

namespace LdlVk.Vulkan.Ops;

/// <summary>
/// Converts rows of tensors to fp16 (halve_rows.comp, or halve_heads.comp for heads) or int8 (quantize_rows.comp), once for
/// all products that read them. The result is kept with the tensor until it is written again.
/// </summary>
internal sealed class RowConverter(OpContext context, LinearKernels kernels, MemoryAllocator memory)
{
    /// <summary>Invocations of a workgroup of halve_heads.comp.</summary>
    private const int ConverterThreads = 128;

    /// <summary>The rows of a tensor in a form; records their conversion unless the tensor holds them already.</summary>
    public Operand OperandOf(IVulkanTensor x, OperandKind kind)
    {
        VulkanTensor tensor = x.Owner;
        Operand operand = PlaceOf(x, kind);
        if (!tensor.HoldsOperand(x.FirstRow, x.Rows, kind))
        {
            int scales = x.Rows * (x.Stride / kind.Length);
            PushConstants push = new PushConstants().Add(x.Address).Add(operand.Elements).Add(operand.Scales).Add(scales);
            if (kind == OperandKind.Int8)
            {
                context.DispatchLooping("quantize_rows", [], push, OpContext.Groups(scales, 64), 1,
                    Work.Elementwise("QuantizeRows", x.Rows, x.Columns), reads: [x.Range], writes: [operand.Memory]);
            }
            else if (kind.Length < x.Stride && kind.Length <= KernelLimits.MaxHeadDimension
                && kernels.MatrixUnits is { SubgroupSize: <= ConverterThreads and var lanes })
            {
                context.DispatchLooping("halve_heads", [lanes], push.Add(kind.Length / 4),
                    OpContext.Groups(scales, ConverterThreads / (int)lanes), 1,
                    Work.Elementwise("HalveRows", scales, kind.Length), reads: [x.Range], writes: [operand.Memory], lanes);
            }
            else
            {
                context.DispatchLooping("halve_rows", [kind.Top], push.Add(kind.Length / 4), scales, 1,
                    Work.Elementwise("HalveRows", scales, kind.Length), reads: [x.Range], writes: [operand.Memory]);
            }

            tensor.SetConverted(x.FirstRow, x.Rows, kind);
        }

        return operand;
    }

    /// <summary>
    /// The form that a kernel that writes rows of a tensor should write them in too, as operands: the one in which they were needed before,
    /// if it is halves of whole rows or bytes. Null for none. <see cref="HasWritten"/> follows once the kernel is recorded.
    /// </summary>
    /// <remarks>
    /// The kernel stores fp32 rows as well, although nothing reads them in a pass: all goldens score alike without them. Only the model
    /// knows what comes next, and an op that left them out would have to be told of the products, and of their kind, that read its output
    /// until the next write, or wrong rows would be read without an error. For 37 of the 860 kB that a row of 27B takes in a layer
    /// (docs/performance.md) that is not worth it.
    /// </remarks>
    public (Operand Operand, OperandKind Kind)? OperandToWrite(IVulkanTensor y)
    {
        OperandKind kind = y.Owner.UsualKind;
        return kind == OperandKind.Int8 || kind.IsHalves(y.Stride) ? (PlaceOf(y, kind), kind) : null;
    }

    /// <summary>Says that a kernel writes rows of a tensor as operands of a form.</summary>
    public static void HasWritten(IVulkanTensor y, OperandKind kind) => y.Owner.SetConverted(y.FirstRow, y.Rows, kind);

    /// <summary>Where the rows of a tensor in a form are, or will be.</summary>
    private Operand PlaceOf(IVulkanTensor x, OperandKind kind)
    {
        VulkanTensor tensor = x.Owner;
        ulong rowBytes = (ulong)x.Stride * (ulong)kind.Bytes, rowScaleBytes = (ulong)(x.Stride / kind.Length) * sizeof(float);
        Allocation held = tensor.OperandMemory(() => memory.Allocate(
            OperandBytes(tensor), () => $"operands of products, a tensor [{tensor.Rows}, {tensor.Columns}]"));
        return new Operand(held.Address, rowBytes, held.Address + ((ulong)tensor.Rows * rowBytes), rowScaleBytes,
            new MemoryRange(held.Address, held.Size)).From(x.FirstRow);
    }

    /// <summary>Memory for a tensor's rows in either form.</summary>
    private ulong OperandBytes(VulkanTensor tensor) =>
        (((ulong)tensor.Rows * OperandKind.MaxBytes) + ((ulong)kernels.RowsReadBeyond * 2)) * (ulong)tensor.Stride;
}
