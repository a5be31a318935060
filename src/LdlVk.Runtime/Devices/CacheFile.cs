using System.Security;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Kernels;

/// <summary>
/// Reads and writes the files of the user's cache folder. Each belongs to one version of one driver and only saves time: a file that cannot
/// be read or written is never an error.
/// </summary>
internal static unsafe class CacheFile
{
    /// <summary>The user's cache folder; null where there is none.</summary>
    public static string? DefaultFolder
    {
        get
        {
            string folder = Environment.GetFolderPath(
                Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify);
            return folder.Length == 0 ? null : Path.Combine(folder, "ldlvk");
        }
    }

    /// <summary>A device and its driver's version, as a part of a file's name.</summary>
    public static string DriverKey(PhysicalDeviceProperties p) =>
        $"{p.VendorID:x4}-{p.DeviceID:x4}-{p.DriverVersion:x}-{Convert.ToHexStringLower(new ReadOnlySpan<byte>(p.PipelineCacheUuid, 16))}";

    /// <summary>
    /// Writes a temporary file and moves it to the path in one step: readers see the old content or the new one, and several processes may
    /// do this at once.
    /// </summary>
    /// <returns>Whether the file was written.</returns>
    public static bool Replace(string path, ReadOnlySpan<byte> content)
    {
        string temporary = $"{path}.{Guid.NewGuid():N}";
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllBytes(temporary, content);
            File.Move(temporary, path, overwrite: true);
            return true;
        }
        catch (Exception e) when (IsFileError(e))
        {
            try { File.Delete(temporary); } catch (Exception d) when (IsFileError(d)) { }
            return false;
        }
    }

    /// <summary>The file's content; empty where it is missing, unreadable, or its size is out of range.</summary>
    public static byte[] Read(string path, int minBytes, int maxBytes)
    {
        try
        {
            // A pipe is no file: it has no length, and opening it might wait forever.
            if (!File.Exists(path) || !Fits(new FileInfo(path).Length)) return [];
            using FileStream file = File.OpenRead(path);
            if (!Fits(file.Length)) return [];
            byte[] content = new byte[file.Length];
            file.ReadExactly(content);
            return content;
        }
        catch (Exception e) when (IsFileError(e))
        {
            return [];
        }

        bool Fits(long length) => length >= minBytes && length <= maxBytes;
    }

    private static bool IsFileError(Exception e) =>
        e is IOException or UnauthorizedAccessException or SecurityException or NotSupportedException or ArgumentException;
}
