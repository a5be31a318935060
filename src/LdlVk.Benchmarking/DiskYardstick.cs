using System.Diagnostics;

namespace LdlVk.Benchmarking;

/// <summary>Measures the write speed of a disk, as reference for conversions.</summary>
public static class DiskYardstick
{
    private const int Chunk = 8 << 20;

    /// <summary>Writes incompressible bytes to a temporary file, waits until they are on the disk, and deletes the file.</summary>
    /// <param name="folder">The folder of the temporary file.</param>
    /// <param name="bytes">Number of bytes to write.</param>
    /// <param name="cancellationToken">Cancels the measurement.</param>
    /// <returns>Bytes per second.</returns>
    /// <exception cref="IOException">The disk is full or fails.</exception>
    public static double Measure(string folder, long bytes, CancellationToken cancellationToken)
    {
        byte[] chunk = new byte[Chunk];
        new Random(1).NextBytes(chunk);
        Stopwatch watch = Stopwatch.StartNew();
        using FileStream file = new(
            Path.Combine(folder, $".{Guid.NewGuid():N}.tmp"), FileMode.CreateNew, FileAccess.Write, FileShare.None, 0,
            FileOptions.DeleteOnClose);
        for (long left = bytes; left > 0; left -= Chunk)
        {
            cancellationToken.ThrowIfCancellationRequested();
            file.Write(chunk, 0, (int)Math.Min(left, Chunk));
        }
        file.Flush(flushToDisk: true);
        return bytes / watch.Elapsed.TotalSeconds;
    }
}
