using System.Buffers.Binary;
using System.Security;
using System.Security.Cryptography;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan;

/// <summary>
/// A driver's compiled pipelines on disk, so that a second start compiles nothing. The file is only a shortcut: a missing, damaged,
/// foreign or unwritable one costs time, never an error. A digest stands in front because drivers check little more than the header of
/// what they are given. Several processes may use one file: each writes a file of its own and moves it there in one step.
/// </summary>
internal sealed unsafe class PipelineCacheFile(string? path, PhysicalDeviceProperties properties)
{
    /// <summary>Beyond what any driver makes of a dozen kernels; a larger file is not ours.</summary>
    private const int MostBytes = 64 << 20;

    /// <summary>Length, version, vendor, device (32 bits each) and UUID: VkPipelineCacheHeaderVersionOne.</summary>
    private const int HeaderBytes = 32;

    /// <summary>The user's cache folder; null where there is none.</summary>
    public static string? DefaultFolder
    {
        get
        {
            string folder = Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify);
            return folder.Length == 0 ? null : Path.Combine(folder, "ldlvk");
        }
    }

    /// <summary>The file's name for a device and its driver's version.</summary>
    public static string NameFor(PhysicalDeviceProperties p) =>
        $"pipelines-{p.VendorID:x4}-{p.DeviceID:x4}-{p.DriverVersion:x}-{Convert.ToHexStringLower(new ReadOnlySpan<byte>(p.PipelineCacheUuid, 16))}.bin";

    /// <summary>What was saved last by this device's driver, or nothing.</summary>
    public byte[] Load()
    {
        try
        {
            if (path is null || !File.Exists(path) || new FileInfo(path).Length is <= SHA256.HashSizeInBytes + HeaderBytes or > MostBytes) return [];
            byte[] file = File.ReadAllBytes(path), data = file[SHA256.HashSizeInBytes..];
            return SHA256.HashData(data).AsSpan().SequenceEqual(file.AsSpan(0, SHA256.HashSizeInBytes)) && IsOfThisDriver(data) ? data : [];
        }
        catch (Exception e) when (IsTroubleWithFiles(e))
        {
            return [];
        }
    }

    public void Save(ReadOnlySpan<byte> data)
    {
        if (path is null || data.Length > MostBytes - SHA256.HashSizeInBytes) return;
        string temporary = $"{path}.{Guid.NewGuid():N}";
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllBytes(temporary, [.. SHA256.HashData(data), .. data]);
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception e) when (IsTroubleWithFiles(e))
        {
            try { File.Delete(temporary); } catch (Exception d) when (IsTroubleWithFiles(d)) { }
        }
    }

    private bool IsOfThisDriver(ReadOnlySpan<byte> data)
    {
        if (data.Length < HeaderBytes) return false;
        fixed (byte* uuid = properties.PipelineCacheUuid)
            return BinaryPrimitives.ReadUInt32LittleEndian(data[4..]) == (uint)PipelineCacheHeaderVersion.One
                && BinaryPrimitives.ReadUInt32LittleEndian(data[8..]) == properties.VendorID
                && BinaryPrimitives.ReadUInt32LittleEndian(data[12..]) == properties.DeviceID
                && data.Slice(16, 16).SequenceEqual(new ReadOnlySpan<byte>(uuid, 16));
    }

    private static bool IsTroubleWithFiles(Exception e) =>
        e is IOException or UnauthorizedAccessException or SecurityException or NotSupportedException or ArgumentException;
}
