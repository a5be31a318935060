using System.Buffers.Binary;
using System.Security.Cryptography;
using LdlVk.Runtime.Devices;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Kernels;

/// <summary>
/// A driver's compiled pipelines on disk, so that a second start compiles nothing. The file only saves time: a missing, damaged, foreign or
/// unwritable one is never an error. It begins with a digest, since drivers check little more than the header of the data they are given.
/// </summary>
internal sealed unsafe class PipelineCacheFile(string? path, PhysicalDeviceProperties properties)
{
    /// <summary>More than any driver makes of some dozen kernels; a larger file is not ours.</summary>
    private const int MaxBytes = 64 << 20;

    /// <summary>Length, version, vendor, device (32 bits each) and UUID: VkPipelineCacheHeaderVersionOne.</summary>
    private const int HeaderBytes = 32;

    /// <summary>The file's name for a device and its driver's version.</summary>
    public static string NameFor(PhysicalDeviceProperties p) => $"pipelines-{DriverKey.Of(p)}.bin";

    /// <summary>The data that this device's driver saved last; empty for none.</summary>
    public byte[] Load()
    {
        byte[] file = path is null ? [] : CacheFile.Read(path, SHA256.HashSizeInBytes + HeaderBytes + 1, MaxBytes);
        if (file.Length == 0) return [];
        byte[] data = file[SHA256.HashSizeInBytes..];
        return SHA256.HashData(data).AsSpan().SequenceEqual(file.AsSpan(0, SHA256.HashSizeInBytes)) && IsOfThisDriver(data) ? data : [];
    }

    public void Save(ReadOnlySpan<byte> data)
    {
        if (path is not null && data.Length <= MaxBytes - SHA256.HashSizeInBytes)
            CacheFile.Replace(path, [.. SHA256.HashData(data), .. data]);
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
}
