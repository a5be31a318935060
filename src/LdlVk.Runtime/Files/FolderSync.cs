using System.Runtime.InteropServices;

namespace LdlVk.Runtime.Files;

/// <summary>
/// Flushes a folder's entries to the disk. A file system may keep a renaming in memory after the file's content is on the disk; a power
/// failure would undo it.
/// </summary>
public static partial class FolderSync
{
    /// <summary>Renames a file, and flushes the renaming to the disk.</summary>
    /// <param name="from">The file.</param>
    /// <param name="to">Its new name in the same folder; a file of that name is replaced.</param>
    public static void Move(string from, string to)
    {
        File.Move(from, to, overwrite: true);
        Flush(Path.GetDirectoryName(Path.GetFullPath(to))!);
    }

    /// <summary>
    /// Flushes the entries of a folder. Does nothing on Windows, whose file systems log renamings, and where the system does not permit it.
    /// </summary>
    public static void Flush(string folder)
    {
        if (OperatingSystem.IsWindows()) return;
        const int ReadOnly = 0;
        int file = Open(folder, ReadOnly);
        if (file < 0) return;
        _ = Synchronize(file);
        _ = Close(file);
    }

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync")]
    private static partial int Synchronize(int file);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int file);
}
