using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Device;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Memory;

namespace LdlVk.Vulkan.Ops;

/// <summary>
/// <see cref="IDevice.RmsNorm"/>: rms_norm.comp. Rows that products read as fp16 or int8 are written in that form at the same time.
/// </summary>
internal sealed class RmsNormOp(OpContext context, RowConverter converter)
{
    public VulkanDevice Device => context.Device;

    public void Record(ITensor output, ITensor input, ITensor weight, float epsilon)
    {
        OpChecks.RmsNorm(context.Device, output, input, weight);
        Record(nameof(IDevice.RmsNorm), output, input, weight, epsilon, add: false);
    }

    /// <summary>
    /// Records the kernel of RmsNorm and NormAdd, after the op's checks; <paramref name="add"/> adds the result to the output.
    /// </summary>
    public void Record(string op, ITensor output, ITensor input, ITensor weight, float epsilon, bool add)
    {
        IVulkanTensor y = context.Own.Output(output), x = context.Own.Input(input), w = context.Own.Input(weight);
        (Operand Operand, OperandKind Kind)? also = add ? null : converter.OperandToWrite(y);
        PushConstants push = new PushConstants()
            .Add(x.Address).Add(w.Address).Add(y.Address)
            .Add(x.Rows).Add(x.Columns).Add(x.Stride / 4).Add(epsilon)
            .Add(also?.Operand.Elements ?? 0).Add(also?.Operand.Elements ?? 0).Add(also?.Operand.Scales ?? 0);
        context.DispatchLooping("rms_norm", [add ? 1u : 0u, also?.Kind.Number ?? 0, also?.Kind.Top ?? 0], push, x.Rows, 1,
            Work.Elementwise(op, x.Rows, x.Columns), reads: [x.Range, w.Range], writes: [y.Range, also?.Operand.Memory ?? default]);
        if (also is { } written) RowConverter.HasWritten(y, written.Kind);
    }
}
