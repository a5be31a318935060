using LdlVk.DirectML.Memory;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML.Ops;

/// <summary>
/// <see cref="IDevice.AddNorm"/>: the graphs of its two ops. One graph would have two outputs, and DirectML would choose its sums anew.
/// </summary>
internal static class AddNormOp
{
    public static void Run(
        OpContext context, IDirectMLTensor output, IDirectMLTensor residual, IDirectMLTensor y, IDirectMLTensor? yWeight,
        IDirectMLTensor weight, float epsilon)
    {
        if (yWeight is null) AddOp.Run(context, residual, y);
        else NormAddOp.Run(context, residual, y, yWeight, epsilon);
        RmsNormOp.Run(context, output, residual, weight, epsilon);
    }
}
