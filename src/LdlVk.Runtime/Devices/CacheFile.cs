using System.Security;

namespace LdlVk.Runtime.Devices;

/// <summary>
/// Reads and writes the files of the user's cache folder. They only save time: a file that cannot be read or written is never an error.
/// </summary>
public static class CacheFile
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

    /// <summary>Why nothing is kept in the user's cache folder; null if files can be written there.</summary>
    public static string? WhyNotKept()
    {
        if (DefaultFolder is not { } folder) return "there is no folder for caches";
        try
        {
            Directory.CreateDirectory(folder);
            string path = Path.Combine(folder, $"probe.{Guid.NewGuid():N}");
            using FileStream probe = new(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose);
            return null;
        }
        catch (Exception e) when (IsFileError(e))
        {
            return $"{folder} cannot be written ({e.Message.TrimEnd('.')})";
        }
    }

    /// <summary>
    /// Writes a temporary file and moves it to the path in one step: readers see the old content or the new one, and several processes may
    /// do this at once.
    /// </summary>
    /// <param name="path">The file; its folder is made if it is missing.</param>
    /// <param name="content">All of its new content.</param>
    /// <returns>Whether the file was written.</returns>
    public static bool Replace(string path, ReadOnlySpan<byte> content)
    {
        ArgumentNullException.ThrowIfNull(path);
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
    /// <param name="path">The file.</param>
    /// <param name="minBytes">Its size, at least.</param>
    /// <param name="maxBytes">Its size, at most.</param>
    public static byte[] Read(string path, int minBytes, int maxBytes)
    {
        ArgumentNullException.ThrowIfNull(path);
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
