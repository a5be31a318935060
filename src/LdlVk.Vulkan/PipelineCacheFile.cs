using System.Security.Cryptography;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan;

/// <summary>
/// The driver's compiled pipelines, kept in the user's cache folder so that a second start compiles nothing. The file is only a
/// shortcut: a missing, damaged or unwritable one costs time, never an error. A digest stands in front because drivers check little
/// more than the header of what they are given.
/// </summary>
internal sealed unsafe class PipelineCacheFile : IDisposable
{
    private readonly Vk _api;
    private readonly Device _device;
    private readonly string? _path;

    public PipelineCacheFile(Vk api, Device device, PhysicalDeviceFacts facts)
    {
        (_api, _device) = (api, device);
        PhysicalDeviceProperties p = facts.Properties;
        string folder = Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify);
        string uuid = Convert.ToHexStringLower(new ReadOnlySpan<byte>(p.PipelineCacheUuid, 16));
        _path = folder.Length == 0 ? null : Path.Combine(folder, "ldlvk", $"pipelines-{p.VendorID:x4}-{p.DeviceID:x4}-{p.DriverVersion:x}-{uuid}.bin");
        byte[] data = Load();
        fixed (byte* initial = data)
        {
            var create = new PipelineCacheCreateInfo(initialDataSize: (nuint)data.Length, pInitialData: initial);
            api.CreatePipelineCache(device, in create, null, out PipelineCache handle).Check("vkCreatePipelineCache");
            Handle = handle;
        }
    }

    public PipelineCache Handle { get; }

    /// <summary>Whether there is something new to save.</summary>
    public bool Changed { get; set; }

    public void Dispose()
    {
        if (Changed) Save();
        _api.DestroyPipelineCache(_device, Handle, null);
    }

    private byte[] Load()
    {
        try
        {
            if (_path is null || !File.Exists(_path)) return [];
            byte[] file = File.ReadAllBytes(_path);
            return file.Length > SHA256.HashSizeInBytes && SHA256.HashData(file.AsSpan(SHA256.HashSizeInBytes)).AsSpan().SequenceEqual(file.AsSpan(0, SHA256.HashSizeInBytes))
                ? file[SHA256.HashSizeInBytes..]
                : [];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private void Save()
    {
        if (_path is null) return;
        nuint size = 0;
        if (_api.GetPipelineCacheData(_device, Handle, ref size, null) != Result.Success || size == 0) return;
        byte[] data = new byte[size];
        fixed (byte* p = data)
            if (_api.GetPipelineCacheData(_device, Handle, ref size, p) != Result.Success) return;
        string temporary = $"{_path}.{Environment.ProcessId}";
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_path)!);
            File.WriteAllBytes(temporary, [.. SHA256.HashData(data.AsSpan(0, (int)size)), .. data.AsSpan(0, (int)size)]);
            File.Move(temporary, _path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A cache that cannot be written is no error; a half-written one is removed if that is possible.
            try { File.Delete(temporary); } catch (Exception d) when (d is IOException or UnauthorizedAccessException) { }
        }
    }
}
