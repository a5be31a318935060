using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Memory;

namespace LdlVk.Vulkan.Ops;

/// <summary><see cref="IDevice.GateMultiply"/>: gate_multiply.comp.</summary>
internal sealed class GateMultiplyOp(OpContext context)
{
    public void Record(ITensor output, ITensor gate, ITensor up, GateActivation activation)
    {
        OpChecks.GateMultiply(context.Device, output, gate, up, activation);
        IVulkanTensor y = context.Own.Output(output), g = context.Own.Input(gate), u = context.Own.Input(up);
        int vectors = (int)((long)y.Rows * y.Stride / 4);
        PushConstants push = new PushConstants()
            .Add(g.Address).Add(u.Address).Add(y.Address).Add(vectors).Add(activation == GateActivation.Silu ? 1 : 0);
        context.DispatchLooping("gate_multiply", [], push, OpContext.Groups(vectors, 64), 1,
            Work.Elementwise(nameof(IDevice.GateMultiply), y.Rows, y.Columns),
            reads: [g.Range, u.Range], writes: [y.Range]);
    }
}
