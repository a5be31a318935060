using LdlVk.DirectML.Device;
using LdlVk.DirectML.Interop;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML;

/// <summary>
/// The DirectML backend: finds Direct3D 12 adapters and opens them as <see cref="IDevice"/>. Elsewhere than on Windows there are none.
/// </summary>
public static class DirectMLBackend
{
    /// <summary>The DML_FEATURE_LEVEL that the backend needs: 5.1.</summary>
    internal const int RequiredLevel = 0x5100;

    /// <summary>
    /// All usable adapters in the order of DXGI, <c>directml:0</c>, <c>directml:1</c>, …; empty where there is no DirectML.
    /// </summary>
    public static IReadOnlyList<DeviceInfo> Enumerate() => Enumerate(out _);

    /// <summary>As <see cref="Enumerate()"/>, and why there are none where the list is empty.</summary>
    public static IReadOnlyList<DeviceInfo> Enumerate(out Notice? whyNone)
    {
        if (NativeLibraries.TryLoad(out whyNone) is not { } libraries) return [];
        List<DeviceInfo> found = [];
        try
        {
            foreach (DirectMLAdapter adapter in DirectMLAdapter.All(libraries, out whyNone))
            {
                found.Add(adapter.ToInfo(found.Count));
                adapter.Dispose();
            }
        }
        catch (DeviceException e)
        {
            whyNone = e.Notice;
        }
        if (found.Count > 0) whyNone = null;
        return found;
    }

    /// <summary>Opens the device <c>directml:<paramref name="index"/></c>.</summary>
    /// <param name="index">Its number.</param>
    /// <param name="memoryLimit">Bytes of device memory it may take for weights and activations; null for all there are.</param>
    /// <exception cref="UsageException">There is no such device; the message says why.</exception>
    /// <exception cref="DeviceException">Direct3D 12 or DirectML refused.</exception>
    public static IDevice Open(int index, long? memoryLimit = null)
    {
        NativeLibraries libraries = NativeLibraries.TryLoad(out Notice? whyNot)
            ?? throw new UsageException($"Device directml:{index} cannot be opened: {whyNot}.");
        IReadOnlyList<DirectMLAdapter> adapters = DirectMLAdapter.All(libraries, out whyNot);
        DirectMLAdapter? chosen = index >= 0 && index < adapters.Count ? adapters[index] : null;
        foreach (DirectMLAdapter other in adapters)
            if (other != chosen) other.Dispose();
        if (chosen is null)
        {
            Notice why = whyNot is null ? "" : ": " + whyNot;
            throw new UsageException(
                $"There is no device directml:{index}; {adapters.Count} usable adapters were found (see `ldlvk devices`){why}.");
        }

        try
        {
            return new DirectMLDevice(chosen, index, memoryLimit);
        }
        catch
        {
            chosen.Dispose();
            throw;
        }
    }
}
