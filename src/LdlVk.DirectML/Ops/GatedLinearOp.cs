using LdlVk.DirectML.Memory;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML.Ops;

/// <summary><see cref="IDevice.GatedLinear"/>: two Linear and a GateMultiply.</summary>
internal static class GatedLinearOp
{
    public static void Run(
        OpContext context, IDirectMLTensor output, IDirectMLTensor scratch, IDirectMLTensor input, DirectMLWeight gate, DirectMLWeight up,
            GateActivation activation)
    {
        LinearOp.Run(context, output, input, gate);
        LinearOp.Run(context, scratch, input, up);
        GateMultiplyOp.Run(context, output, output, scratch, activation);
    }
}
