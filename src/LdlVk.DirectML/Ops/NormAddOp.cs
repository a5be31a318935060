using LdlVk.DirectML.Memory;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML.Ops;

/// <summary><see cref="IDevice.NormAdd"/>: the graph of <see cref="RmsNormOp"/> with an addition at its end.</summary>
internal static class NormAddOp
{
    public static void Run(OpContext context, IDirectMLTensor residual, IDirectMLTensor y, IDirectMLTensor weight, float epsilon) =>
        RmsNormOp.Run(context, residual, y, weight, epsilon, add: true);
}
