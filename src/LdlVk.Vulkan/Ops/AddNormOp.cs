using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Memory;

namespace LdlVk.Vulkan.Ops;

/// <summary>
/// <see cref="IDevice.AddNorm"/>: add_norm.comp. As <see cref="RmsNormOp"/> it writes the operands of the products that read its output.
/// </summary>
internal sealed class AddNormOp(OpContext context, RowConverter converter)
{
    public void Record(ITensor output, ITensor residual, ITensor y, ITensor? yWeight, ITensor weight, float epsilon)
    {
        OpChecks.AddNorm(context.Device, output, residual, y, yWeight, weight);
        IVulkanTensor sum = context.Own.Output(residual), result = context.Own.Output(output);
        IVulkanTensor x = context.Own.Input(y), w = context.Own.Input(weight);
        IVulkanTensor? wOfY = yWeight is null ? null : context.Own.Input(yWeight);
        (Operand Operand, OperandKind Kind)? also = converter.OperandToWrite(result);
        PushConstants push = new PushConstants()
            .Add(x.Address).Add(wOfY?.Address ?? 0).Add(sum.Address).Add(w.Address).Add(result.Address)
            .Add(x.Rows).Add(x.Columns).Add(x.Stride / 4).Add(epsilon)
            .Add(also?.Operand.Elements ?? 0).Add(also?.Operand.Elements ?? 0).Add(also?.Operand.Scales ?? 0);
        context.DispatchLooping("add_norm", [wOfY is null ? 0u : 1u, also?.Kind.Number ?? 0, also?.Kind.Top ?? 0], push, x.Rows, 1,
            Work.Elementwise(nameof(IDevice.AddNorm), x.Rows, x.Columns), reads: [x.Range, wOfY?.Range ?? default, w.Range],
            writes: [sum.Range, result.Range, also?.Operand.Memory ?? default]);
        if (also is { } written) RowConverter.HasWritten(result, written.Kind);
    }
}
