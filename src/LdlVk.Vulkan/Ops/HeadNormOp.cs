using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Memory;

namespace LdlVk.Vulkan.Ops;

/// <summary><see cref="IDevice.HeadNorm"/>: head_norm.comp.</summary>
internal sealed class HeadNormOp(OpContext context)
{
    public void Record(ITensor x, int heads, ITensor weight, float epsilon)
    {
        OpChecks.HeadNorm(context.Device, x, heads, weight);
        IVulkanTensor rows = context.Own.Output(x), w = context.Own.Input(weight);
        PushConstants push = new PushConstants()
            .Add(rows.Address).Add(w.Address)
            .Add(rows.Rows).Add(heads).Add(w.Columns).Add(rows.Stride).Add(epsilon);
        context.DispatchLooping("head_norm", [], push, heads, rows.Rows,
            Work.Elementwise(nameof(IDevice.HeadNorm), rows.Rows, rows.Columns),
            reads: [w.Range], writes: [rows.Range]);
    }
}
