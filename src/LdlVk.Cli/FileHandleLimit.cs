using System.Runtime.InteropServices;

namespace LdlVk.Cli;

/// <summary>
/// Checks before anything else that the process may open enough files. The runtime keeps its assemblies open, about 130 of them; where
/// one cannot be opened, it reports a missing assembly, or aborts. The check itself opens nothing and writes without the console.
/// </summary>
internal static partial class FileHandleLimit
{
    private const int Min = 256;

    /// <summary>Whether there are enough; if not, writes why to standard error.</summary>
    public static unsafe bool IsEnough()
    {
        const int Linux = 7, Mac = 8, StandardError = 2; // RLIMIT_NOFILE
        if (OperatingSystem.IsWindows()) return true;
        ulong* limits = stackalloc ulong[2];
        if (GetLimit(OperatingSystem.IsMacOS() ? Mac : Linux, limits) != 0 || limits[0] >= Min) return true;
        ReadOnlySpan<byte> why = "ldlvk: this process may open too few files: it needs 256. Raise the limit (ulimit -n 4096).\n"u8;
        fixed (byte* text = why) _ = Write(StandardError, text, why.Length);
        return false;
    }

    [LibraryImport("libc", EntryPoint = "getrlimit")]
    private static unsafe partial int GetLimit(int resource, ulong* limits);

    [LibraryImport("libc", EntryPoint = "write")]
    private static unsafe partial nint Write(int file, byte* bytes, nint count);
}
