using System.Diagnostics;
using System.Runtime.InteropServices;

namespace LdlVk.DirectML.Interop;

/// <summary>dxgi.dll, d3d12.dll and DirectML.dll, found at run time so that the same assembly loads where there are none.</summary>
internal sealed unsafe class NativeLibraries
{
    /// <summary>The environment variable with the path of a DirectML.dll, or of the folder it is in.</summary>
    public const string PathVariable = "LDLVK_DIRECTML";

    private const string FileName = "DirectML.dll";

    private static readonly Lazy<(NativeLibraries? Found, Notice? WhyNot)> Loaded = new(Load);

    private readonly nint _dxgi, _d3d12, _directML;

    private NativeLibraries(nint dxgi, nint d3d12, nint directML, string path)
    {
        (_dxgi, _d3d12, _directML, DirectMLPath) = (dxgi, d3d12, directML, path);
        FileVersionInfo version = FileVersionInfo.GetVersionInfo(path);
        DirectMLVersion = $"{version.FileMajorPart}.{version.FileMinorPart}.{version.FileBuildPart}";
    }

    /// <summary>The path of the DirectML.dll in use.</summary>
    public string DirectMLPath { get; }

    /// <summary>Version of that file.</summary>
    public string DirectMLVersion { get; }

    /// <summary>The libraries; null with a reason where this machine lacks one. They stay loaded.</summary>
    public static NativeLibraries? TryLoad(out Notice? whyNot)
    {
        whyNot = Loaded.Value.WhyNot;
        return Loaded.Value.Found;
    }

    public DxgiFactory CreateFactory()
    {
        Guid iid = DxgiFactory.Iid;
        void* factory;
        ((delegate* unmanaged<Guid*, void**, int>)NativeLibrary.GetExport(_dxgi, "CreateDXGIFactory1"))(&iid,
            &factory).Check("CreateDXGIFactory1");
        return new DxgiFactory(factory);
    }

    /// <summary>Opens Direct3D 12 on an adapter; null where it has no Direct3D 12.</summary>
    public D3D12Device? TryCreateDevice(DxgiAdapter adapter)
    {
        Guid iid = D3D12Device.Iid;
        void* device;
        int result = ((delegate* unmanaged<void*, int, Guid*, void**, int>)NativeLibrary.GetExport(_d3d12, "D3D12CreateDevice"))(
            adapter.Pointer, D3D12Device.FeatureLevel, &iid, &device);
        return result < 0 ? null : new D3D12Device(device);
    }

    /// <summary>Opens DirectML on a device.</summary>
    public DmlDevice CreateDmlDevice(D3D12Device device)
    {
        Guid iid = DmlDevice.Iid;
        void* created;
        device.Check(((delegate* unmanaged<void*, int, int, Guid*, void**, int>)NativeLibrary.GetExport(_directML, "DMLCreateDevice1"))(
            device.Pointer, 0, 0x1000, &iid, &created), "DMLCreateDevice1");
        return new DmlDevice(created, device);
    }

    private static (NativeLibraries? Found, Notice? WhyNot) Load()
    {
        if (!OperatingSystem.IsWindows())
            return (null, $"DirectML is a part of Windows; on this system use {OptionName.Device.Of("vulkan or cpu")}");
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64) return (null,
            $"the DirectML backend runs in x64 processes only, not {RuntimeInformation.ProcessArchitecture}");
        if (!NativeLibrary.TryLoad("dxgi.dll", out nint dxgi) || !NativeLibrary.TryLoad("d3d12.dll", out nint d3d12)) return (null,
            "Direct3D 12 (dxgi.dll, d3d12.dll) is not installed; Windows 10 or later has it");
        IEnumerable<string> places = Places(AppContext.BaseDirectory, Environment.GetEnvironmentVariable(PathVariable),
            Environment.SystemDirectory);
        return TryFind(places, out nint directML, out Notice? whyNot) is { } path ? (new NativeLibraries(dxgi, d3d12, directML, path), null)
            : (null, whyNot);
    }

    /// <summary>
    /// The places where DirectML.dll is looked for: beside the executable, at the path in the variable, and in the folder of Windows.
    /// </summary>
    internal static IEnumerable<string> Places(string program, string? named, string system)
    {
        yield return Path.Combine(program, FileName);
        if (!string.IsNullOrEmpty(named)) yield return Directory.Exists(named) ? Path.Combine(named, FileName) : named;
        yield return Path.Combine(system, FileName);
    }

    /// <summary>Loads the first of some files that is a DirectML.dll new enough; null, and what is wrong with each, if none is.</summary>
    internal static string? TryFind(IEnumerable<string> places, out nint directML, out Notice? whyNot)
    {
        List<string> tried = [];
        whyNot = null;
        foreach (string path in places)
        {
            if (!File.Exists(path)) tried.Add($"{path} (not there)");
            else if (!NativeLibrary.TryLoad(path, out directML)) tried.Add($"{path} (not a library that this process can load)");
            else if (!NativeLibrary.TryGetExport(directML, "DMLCreateDevice1", out _)) tried.Add($"{path} (too old)");
            else return path;
        }
        directML = 0;
        whyNot = $"no {FileName} of version 1.4 or later was found; looked at {string.Join(", ", tried)}. Put one beside the executable "
            + $"(package Microsoft.AI.DirectML), or name it in {PathVariable}; or use {OptionName.Device.Of("vulkan:0")}";
        return null;
    }
}
