using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Memory;

namespace LdlVk.Vulkan.Ops;

/// <summary><see cref="IDevice.LdlReadout"/>: ldl_readout.comp.</summary>
internal sealed class LdlReadoutOp(OpContext context)
{
    public void Record(ITensor output, ITensor regression, ITensor gating, float gateTemperature)
    {
        (int attributes, int bins) = OpChecks.LdlReadout(context.Device, output, regression, gating);
        IVulkanTensor y = context.Own.Output(output), r = context.Own.Input(regression), g = context.Own.Input(gating);
        PushConstants push = new PushConstants()
            .Add(r.Address).Add(g.Address).Add(y.Address)
            .Add(y.Rows).Add(attributes).Add(bins).Add(r.Stride).Add(g.Stride).Add(y.Stride).Add(gateTemperature);
        context.DispatchLooping("ldl_readout", [], push, y.Rows, 1, Work.Elementwise(nameof(IDevice.LdlReadout), y.Rows, y.Columns),
            reads: [r.Range, g.Range], writes: [y.Range]);
    }
}
