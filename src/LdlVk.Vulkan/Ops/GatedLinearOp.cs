using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Memory;

namespace LdlVk.Vulkan.Ops;

/// <summary>
/// <see cref="IDevice.GatedLinear"/>. Portable: two Linear and a GateMultiply. On matrix units: one kernel for all three.
/// </summary>
internal sealed class GatedLinearOp(OpContext context, LinearKernels kernels, LinearOp linear, GateMultiplyOp gateMultiply)
{
    public void Record(
        ITensor output, ITensor scratch, ITensor input, IWeight gate, IWeight up, GateActivation activation, SumFormat sums)
    {
        OpChecks.GatedLinear(context.Device, output, scratch, input, gate, up, activation, sums);
        VulkanWeight g = context.Own.Weight(gate), u = context.Own.Weight(up);
        if (g.Format == u.Format && kernels.UsesMatrixUnitsFor(g.Format))
        {
            IVulkanTensor y = context.Own.Output(output), x = context.Own.Input(input);
            linear.RecordOnMatrixUnits(nameof(IDevice.GatedLinear), y, x, g, u, bias: null, Activation.None, sums, activation);
        }
        else
        {
            linear.Record(output, input, gate, bias: null, Activation.None, sums);
            linear.Record(scratch, input, up, bias: null, Activation.None, sums);
            gateMultiply.Record(output, output, scratch, activation);
        }
    }
}
