using LdlVk.Runtime.Devices;

namespace LdlVk.Vulkan.Ops;

/// <summary><see cref="IDevice.NormAdd"/>: rms_norm.comp with its constant ADD.</summary>
internal sealed class NormAddOp(RmsNormOp norm)
{
    public void Record(ITensor residual, ITensor y, ITensor weight, float epsilon)
    {
        OpChecks.NormAdd(norm.Device, residual, y, weight);
        norm.Record(nameof(IDevice.NormAdd), residual, y, weight, epsilon, add: true);
    }
}
