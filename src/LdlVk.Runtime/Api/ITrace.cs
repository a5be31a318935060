using LdlVk.Runtime.Devices;

namespace LdlVk;

/// <summary>Takes the named intermediates of a forward pass, in the order in which they are computed.</summary>
public interface ITrace
{
    /// <summary>Records a tensor's values as they are now.</summary>
    /// <param name="name">As the reference implementation's modules are named: <c>layer.0.self_attn.q_proj</c>.</param>
    /// <param name="device">The device that holds it.</param>
    /// <param name="tensor">[rows of the micro-batch, columns].</param>
    void Record(string name, IDevice device, ITensor tensor);
}
