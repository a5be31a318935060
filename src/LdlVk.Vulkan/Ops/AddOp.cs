using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Memory;

namespace LdlVk.Vulkan.Ops;

/// <summary><see cref="IDevice.Add"/>: add.comp.</summary>
internal sealed class AddOp(OpContext context)
{
    public void Record(ITensor residual, ITensor y)
    {
        OpChecks.Add(context.Device, residual, y);
        IVulkanTensor sum = context.Own.Output(residual), x = context.Own.Input(y);
        int vectors = (int)((long)sum.Rows * sum.Stride / 4);
        PushConstants push = new PushConstants().Add(x.Address).Add(sum.Address).Add(vectors);
        context.DispatchLooping("add", [], push, OpContext.Groups(vectors, 64), 1,
            Work.Elementwise(nameof(IDevice.Add), sum.Rows, sum.Columns),
            reads: [x.Range], writes: [sum.Range]);
    }
}
