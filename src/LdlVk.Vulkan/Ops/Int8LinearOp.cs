using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Memory;

namespace LdlVk.Vulkan.Ops;

/// <summary>
/// <see cref="IDevice.Int8Linear"/>, on rows converted to int8. Portable: linear_int8.comp or linear_int8_dot.comp. On matrix units:
/// linear_int8_matrix.comp. All give the same bits. Weights are unpacked by
/// load_bytes in shaders/include/weights.glsl.
/// </summary>
internal sealed class Int8LinearOp(OpContext context, LinearKernels kernels, ProductDispatcher products, RowConverter converter)
{
    private Int8Units? _units;

    /// <summary>The units that products of bytes run on: the fastest that the device has, unless a test chooses others.</summary>
    public Int8Units Units
    {
        get => _units
            ?? (kernels.ByteMatrixUnits is not null ? Int8Units.Matrix : context.Facts.HasIntegerDot ? Int8Units.Dot : Int8Units.Scalar);
        set => _units = value;
    }

    public void Record(ITensor output, ITensor input, IWeight weight, ITensor? bias)
    {
        OpChecks.Int8Linear(context.Device, output, input, weight, bias);
        IVulkanTensor y = context.Own.Output(output), x = context.Own.Input(input);
        IVulkanTensor? b = bias is null ? null : context.Own.Input(bias);
        VulkanWeight w = context.Own.Weight(weight);
        if (x.Rows == 0) return;
        Operand operand = converter.OperandOf(x, OperandKind.Int8);
        var product = new LinearProduct(w.Format, Gated: false, w.OutputFeatures, w.InputFeatures, x.Rows);
        LinearKernel kernel = kernels.Int8Kernel(Units, product);
        foreach (ProductPart part in products.PartsOf(kernel, x.Rows, w))
        {
            Operand rows = operand.From(part.Row);
            PushConstants push = new PushConstants()
                .Add(rows.Elements).Add(rows.Scales)
                .Add(w.AddressOf(part.Feature)).Add(w.ScalesAddressOf(part.Feature))
                .Add(b is null ? 0 : b.AddressOf(0, part.Feature)).Add(y.AddressOf(part.Row, part.Feature))
                .Add(part.Rows).Add(part.Features).Add(x.Stride / WeightLayout.GroupSize).Add(y.Stride).Add(w.Scale)
                .Add(b is null ? 0 : 1);
            products.Dispatch(nameof(IDevice.Int8Linear), kernel, part, push, y, reads: [operand.Memory, w.Memory, b?.Range ?? default]);
        }
    }
}
