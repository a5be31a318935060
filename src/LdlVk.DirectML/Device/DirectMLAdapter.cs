using System.Globalization;
using LdlVk.DirectML.Interop;

namespace LdlVk.DirectML.Device;

/// <summary>An adapter with Direct3D 12 and DirectML open on it.</summary>
internal sealed class DirectMLAdapter : IDisposable
{
    /// <summary>Vendor id of Mesa's software drivers, which an emulated Direct3D 12 passes on.</summary>
    private const uint MesaVendor = 0x10005;

    private readonly DxgiAdapter _adapter;
    private readonly NativeLibraries _libraries;
    private readonly AdapterDescription _description;

    private DirectMLAdapter(NativeLibraries libraries, DxgiAdapter adapter, AdapterDescription description, D3D12Device device,
        DmlDevice dml)
    {
        (_libraries, _adapter, _description, Device, Dml) = (libraries, adapter, description, device, dml);
        FeatureLevel = dml.FeatureLevel;
    }

    public D3D12Device Device { get; }

    public DmlDevice Dml { get; }

    /// <summary>DML_FEATURE_LEVEL: 0x6300 is 6.3.</summary>
    public int FeatureLevel { get; }

    /// <summary>All usable adapters, to be disposed by the caller, and the reasons of those that are not.</summary>
    public static IReadOnlyList<DirectMLAdapter> All(NativeLibraries libraries, out Notice? whyNot)
    {
        List<DirectMLAdapter> usable = [];
        List<Notice> reasons = [];
        using DxgiFactory factory = libraries.CreateFactory();
        for (uint i = 0; factory.Adapter(i) is { } adapter; i++)
        {
            AdapterDescription description = adapter.Description;
            if (TryOpen(libraries, adapter, description, out Notice? reason) is { } opened)
            {
                usable.Add(opened);
                continue;
            }
            reasons.Add($"{NameOf(description)} {reason}");
            adapter.Dispose();
        }
        whyNot = reasons.Count > 0 ? Notice.Join("; ", reasons) : null;
        if (whyNot is null && usable.Count == 0) whyNot = "DXGI lists no adapter; install the GPU's driver";
        return usable;
    }

    public DeviceInfo ToInfo(int index)
    {
        bool shared = Device.Architecture.SharesHostMemory != 0;
        bool software = (_description.Flags & AdapterDescription.SoftwareFlag) != 0 || _description.VendorId == MesaVendor
            || NameOf(_description).Contains("llvmpipe", StringComparison.OrdinalIgnoreCase);
        // An integrated GPU may take mostly the host's memory.
        VideoMemory own = _adapter.Memory(0), other = shared ? _adapter.Memory(1) : default;
        long budget = (long)(own.Budget + other.Budget), used = (long)(own.CurrentUsage + other.CurrentUsage);
        long total = (long)_description.DedicatedVideoMemory + (shared ? (long)_description.SharedSystemMemory : 0);
        if (total == 0) total = Math.Max(budget, (long)_description.SharedSystemMemory);
        return new DeviceInfo(
            string.Create(CultureInfo.InvariantCulture, $"directml:{index}"),
            NameOf(_description),
            software ? DeviceKind.Software : shared ? DeviceKind.IntegratedGpu : DeviceKind.DiscreteGpu,
            $"DirectML {_libraries.DirectMLVersion} ({_libraries.DirectMLPath})",
            total,
            budget > 0 ? Math.Clamp(budget - used, 0, total) : total,
            [$"feature level {Name(FeatureLevel)}", "fp32"])
        {
            Scratch = DirectMLDevice.OpScratch,
        };
    }

    public void Dispose()
    {
        Dml.Dispose();
        Device.Dispose();
        _adapter.Dispose();
    }

    /// <summary>The reason why an adapter with too low a feature level cannot be used.</summary>
    internal static Notice WhyTooLow(int level, string path, string version) =>
        $"has DirectML feature level {Name(level)} with {path} {version}, and {Name(DirectMLBackend.RequiredLevel)} is needed: put a newer "
        + $"DirectML.dll (package Microsoft.AI.DirectML) beside the executable, or use {OptionName.Device.Of("vulkan:0")}";

    private static string Name(int level) => string.Create(CultureInfo.InvariantCulture, $"{level >> 12}.{(level >> 8) & 15}");

    private static DirectMLAdapter? TryOpen(NativeLibraries libraries, DxgiAdapter adapter, AdapterDescription description,
        out Notice? whyNot)
    {
        whyNot = $"has no Direct3D 12, which is needed: update its driver, or use {OptionName.Device.Of("vulkan:0")}";
        D3D12Device? device = libraries.TryCreateDevice(adapter);
        if (device is null) return null;
        DmlDevice? dml = null;
        try
        {
            dml = libraries.CreateDmlDevice(device);
            DirectMLAdapter opened = new(libraries, adapter, description, device, dml);
            if (opened.FeatureLevel >= DirectMLBackend.RequiredLevel) return opened;
            whyNot = WhyTooLow(opened.FeatureLevel, libraries.DirectMLPath, libraries.DirectMLVersion);
        }
        catch (DeviceException e)
        {
            whyNot = e.Notice;
        }
        dml?.Dispose();
        device.Dispose();
        return null;
    }

    private static unsafe string NameOf(AdapterDescription description) => new string(description.Name).Trim();
}
