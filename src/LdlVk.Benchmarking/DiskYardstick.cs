using System.Diagnostics;

namespace LdlVk.Benchmarking;

/// <summary>How fast a disk takes bytes: what <c>ldlvk convert</c> is measured by.</summary>
internal static class DiskYardstick
{
    private const int Chunk = 8 << 20;

    /// <summary>Writes bytes that do not compress to a file in a folder, waits until the disk has them, and removes it.</summary>
    /// <returns>Bytes a second.</returns>
    public static double Measure(string folder, long bytes, CancellationToken cancellation)
    {
        byte[] chunk = new byte[Chunk];
        new Random(1).NextBytes(chunk);
        Stopwatch watch = Stopwatch.StartNew();
        using FileStream file = new(Path.Combine(folder, $".{Guid.NewGuid():N}.tmp"), FileMode.CreateNew, FileAccess.Write, FileShare.None, 0, FileOptions.DeleteOnClose);
        for (long left = bytes; left > 0; left -= Chunk)
        {
            cancellation.ThrowIfCancellationRequested();
            file.Write(chunk, 0, (int)Math.Min(left, Chunk));
        }
        file.Flush(flushToDisk: true);
        return bytes / watch.Elapsed.TotalSeconds;
    }
}
