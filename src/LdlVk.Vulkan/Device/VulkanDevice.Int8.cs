using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Memory;

namespace LdlVk.Vulkan.Device;

/// <summary>What multiplies bytes.</summary>
internal enum ByteUnits
{
    /// <summary>linear_int8.comp: ordinary integer arithmetic.</summary>
    Scalar,
    /// <summary>linear_int8_dot.comp: an instruction for four products and their sum (VK_KHR_shader_integer_dot_product).</summary>
    Dot,
    /// <summary>linear_int8_matrix.comp: matrix units.</summary>
    Matrix,
}

/// <summary>Linear in 8-bit integers: rows become bytes once for all products that read them, then linear_int8.comp or its twin runs.</summary>
internal sealed unsafe partial class VulkanDevice
{
    /// <summary>What products of bytes are computed with: the best that the device has, or what tests say. The bits are the same.</summary>
    internal ByteUnits ByteUnits
    {
        get => _byteUnits ?? (_linear.ByteMatrixUnits is not null ? ByteUnits.Matrix : _facts.HasIntegerDot ? ByteUnits.Dot : ByteUnits.Scalar);
        set => _byteUnits = value;
    }

    private ByteUnits? _byteUnits;

    public void Int8Linear(ITensor output, ITensor input, IWeight weight)
    {
        OpChecks.Int8Linear(output, input, weight);
        IVulkanTensor y = Output(output), x = Own(input);
        VulkanWeight w = Own(weight);
        Apart(nameof(Int8Linear), y, x);
        if (x.Rows == 0) return;
        Operand operand = OperandOf(x, OperandKind.Int8);
        LinearKernel kernel = _linear.Int8KernelFor(ByteUnits, new LinearProduct(w.Format, Gated: false, w.OutputFeatures, w.InputFeatures, x.Rows));
        foreach (ProductPart part in PartsOf(kernel, x.Rows, w))
        {
            Operand rows = operand.From(part.Row);
            PushConstants push = new PushConstants()
                .Add(rows.Elements).Add(rows.Scales)
                .Add(w.AddressOf(part.Feature)).Add(w.ScalesAddressOf(part.Feature)).Add(y.AddressOf(part.Row, part.Feature))
                .Add(part.Rows).Add(part.Features).Add(x.Stride / WeightLayout.GroupSize).Add(y.Stride).Add(w.Scale);
            Dispatch(nameof(Int8Linear), kernel, part, push, y, reads: [operand.Memory, w.Memory]);
        }
    }
}
