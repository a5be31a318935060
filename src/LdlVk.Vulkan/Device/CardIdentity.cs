namespace LdlVk.Vulkan.Device;

/// <summary>
/// Which card a driver drives. Two drivers for one card, such as Mesa's and AMD's own, or a card's own and Microsoft's over Direct3D 12
/// (https://github.com/ggml-org/llama.cpp/pull/16689), are two Vulkan devices with one memory.
/// </summary>
/// <param name="Bus">Domain, bus, device and function on the PCI bus; null where the driver does not say.</param>
/// <param name="Luid">Windows' number of the adapter; null elsewhere.</param>
/// <param name="Uuid">The card's number by its driver, the same in other drivers that follow the specification.</param>
internal sealed record CardIdentity((uint Domain, uint Bus, uint Device, uint Function)? Bus, ulong? Luid, Guid Uuid)
{
    /// <summary>Whether this is the same card, by the best evidence that both drivers give.</summary>
    public bool Is(CardIdentity other) =>
        Bus is { } bus && other.Bus is { } otherBus ? bus == otherBus
        : Luid is { } luid && other.Luid is { } otherLuid ? luid == otherLuid
        : Uuid == other.Uuid && Uuid != Guid.Empty;
}
