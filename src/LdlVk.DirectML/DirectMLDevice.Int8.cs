using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML;

/// <content>Products in 8-bit integers.</content>
internal sealed partial class DirectMLDevice
{
    /// <inheritdoc/>
    public void Int8Linear(ITensor output, ITensor input, IWeight weight)
    {
        OpChecks.Int8Linear(output, input, weight);
        Apart("Int8Linear", output, input);
        throw new Runtime.UsageException("DirectML devices do not multiply in 8-bit integers (--compute int8); use --compute auto, or a Vulkan device or the CPU.");
    }
}
