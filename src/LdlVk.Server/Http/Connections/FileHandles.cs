using System.Runtime.InteropServices;

namespace LdlVk.Server.Http.Connections;

/// <summary>The number of file handles that this process may have, each connection being one.</summary>
internal static partial class FileHandles
{
    /// <summary>
    /// Handles that stay free for all but connections: assemblies that are loaded later, files, and connections that are being closed.
    /// </summary>
    private const int Reserve = 256;

    /// <summary>Of those, the ones that even connections that are being closed do not take.</summary>
    private const int Last = 64;

    private const int MinConnections = 16;

    private static readonly long MaxHandle = (Limit() ?? long.MaxValue) - Last;

    /// <summary>Returns the number of connections for which there are handles, up to a maximum.</summary>
    /// <exception cref="UsageException">There are too few.</exception>
    public static int Connections(int max)
    {
        if (Limit() is not { } limit) return max;
        long used = Directory.Exists("/proc/self/fd") ? Directory.EnumerateFileSystemEntries("/proc/self/fd").LongCount() : Reserve;
        long free = limit - used;
        long connections = free - Reserve;
        return connections >= MinConnections
            ? (int)Math.Min(max, connections)
            : throw new UsageException(
                $"This process may open {limit} files. {used} are open, and the server needs {Reserve} more and one for each connection. "
                + $"Raise the limit (ulimit -n 4096, or LimitNOFILE= of systemd), and start it again.");
    }

    /// <summary>
    /// Whether a socket's handle is among the last ones. The system gives the lowest number that is free, so the number of a new handle
    /// tells how many are in use. Without handles the runtime cannot load an assembly, and aborts.
    /// </summary>
    public static bool IsAmongLast(nint handle) => !OperatingSystem.IsWindows() && handle >= MaxHandle;

    private static unsafe long? Limit()
    {
        const int Linux = 7, Mac = 8; // RLIMIT_NOFILE
        if (OperatingSystem.IsWindows()) return null;
        ulong* limits = stackalloc ulong[2];
        if (GetLimit(OperatingSystem.IsMacOS() ? Mac : Linux, limits) != 0) return null;
        return limits[0] > int.MaxValue ? null : (long)limits[0];
    }

    [LibraryImport("libc", EntryPoint = "getrlimit")]
    private static unsafe partial int GetLimit(int resource, ulong* limits);
}
