using System.Security;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Kernels;

/// <summary>What the files of the user's cache folder have in common: they belong to one driver, and are shortcuts, never errors.</summary>
internal static unsafe class CacheFile
{
    /// <summary>The user's cache folder; null where there is none.</summary>
    public static string? DefaultFolder
    {
        get
        {
            string folder = Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify);
            return folder.Length == 0 ? null : Path.Combine(folder, "ldlvk");
        }
    }

    /// <summary>A device and its driver's version, as a part of a file's name.</summary>
    public static string DriverKey(PhysicalDeviceProperties p) =>
        $"{p.VendorID:x4}-{p.DeviceID:x4}-{p.DriverVersion:x}-{Convert.ToHexStringLower(new ReadOnlySpan<byte>(p.PipelineCacheUuid, 16))}";

    /// <summary>
    /// Writes a file of its own and moves it to the path in one step: readers see the old one or the new one, and several processes may do
    /// this at once.
    /// </summary>
    /// <returns>Whether it is there.</returns>
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
        catch (Exception e) when (IsTrouble(e))
        {
            try { File.Delete(temporary); } catch (Exception d) when (IsTrouble(d)) { }
            return false;
        }
    }

    /// <summary>The file's content; empty where it is missing, unreadable, or of another size.</summary>
    public static byte[] Read(string path, int minBytes, int maxBytes)
    {
        try
        {
            // What is no file, as a pipe, has no length, and opening it might wait for ever.
            if (!File.Exists(path) || !Fits(new FileInfo(path).Length)) return [];
            using FileStream file = File.OpenRead(path);
            if (!Fits(file.Length)) return [];
            byte[] content = new byte[file.Length];
            file.ReadExactly(content);
            return content;
        }
        catch (Exception e) when (IsTrouble(e))
        {
            return [];
        }

        bool Fits(long length) => length >= minBytes && length <= maxBytes;
    }

    private static bool IsTrouble(Exception e) =>
        e is IOException or UnauthorizedAccessException or SecurityException or NotSupportedException or ArgumentException;
}
