using System.Globalization;
using System.Runtime.InteropServices;

namespace LdlVk.Cpu.Memory;

/// <summary>
/// The native memory of one <see cref="CpuDevice"/>: it counts what its tensors and weights hold, refuses what cannot fit with an error
/// that says so, and frees what is left when the device is closed.
/// </summary>
/// <param name="limit">
/// Bytes that tensors and weights may hold; null for what the machine has. The ops' scratch, some MB a thread, comes on top.
/// </param>
internal sealed unsafe class HostMemory(long? limit) : IDisposable
{
    /// <summary>Alignment of every allocation: a cache line, and a multiple of any vector.</summary>
    public const int Alignment = 64;

    // Below this size the system is not asked first: small requests fail by themselves, large ones may be promised and never given.
    private const long AskFrom = 64L << 20;

    private const double MiB = 1 << 20;

    private readonly HashSet<NativeBuffer> _live = [];
    private readonly Lock _gate = new();
    private bool _closed;

    public long AllocatedBytes { get; private set; }

    /// <summary>The most that <see cref="AllocatedBytes"/> ever was.</summary>
    public long PeakBytes { get; private set; }

    /// <summary>
    /// Allocates memory, zeroed if <paramref name="zeroed"/>; <paramref name="owner"/> names it in errors. What is not
    /// <paramref name="counted"/> (the ops' own scratch) does not show in <see cref="AllocatedBytes"/>.
    /// </summary>
    /// <exception cref="DeviceException">There is not enough memory.</exception>
    public NativeBuffer Allocate(long bytes, string owner, bool zeroed = false, bool counted = true)
    {
        if (!counted) return AllocateTaken(bytes, owner, zeroed, counted);
        Take(bytes, owner);
        try
        {
            return AllocateTaken(bytes, owner, zeroed, counted);
        }
        catch
        {
            lock (_gate) AllocatedBytes -= bytes;
            throw;
        }
    }

    private NativeBuffer AllocateTaken(long bytes, string owner, bool zeroed, bool counted)
    {
        if (bytes >= AskFrom && bytes > FreeBytes()) throw OutOfMemory(bytes, owner, null);
        void* pointer;
        try
        {
            pointer = NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, Alignment), Alignment);
        }
        catch (OutOfMemoryException e)
        {
            throw OutOfMemory(bytes, owner, e);
        }
        if (zeroed) NativeMemory.Clear(pointer, (nuint)bytes);

        NativeBuffer buffer = new(this, pointer, bytes, owner, counted);
        lock (_gate)
        {
            if (!_closed)
            {
                _live.Add(buffer);
                return buffer;
            }
        }
        NativeMemory.AlignedFree(pointer);
        throw new ObjectDisposedException(nameof(CpuDevice));
    }

    public void Free(NativeBuffer buffer)
    {
        lock (_gate)
        {
            if (!_live.Remove(buffer)) return;
            if (buffer.Counted) AllocatedBytes -= buffer.Bytes;
            buffer.Release();
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _closed = true;
            foreach (NativeBuffer buffer in _live) buffer.Release();
            _live.Clear();
            AllocatedBytes = 0;
        }
    }

    /// <summary>Memory that this process may use at all: the machine's, or its container's limit.</summary>
    public static long TotalBytes() => GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;

    /// <summary>Memory that can be had now without swapping, as near as the system says.</summary>
    public static long FreeBytes()
    {
        long free = Math.Max(0, TotalBytes() - Environment.WorkingSet);
        return MemAvailable() is long available ? Math.Min(available, free) : free;
    }

    /// <summary>MemAvailable of /proc/meminfo: free pages and what the kernel can reclaim. Null where there is no such file.</summary>
    private static long? MemAvailable()
    {
        const string Label = "MemAvailable:";
        foreach (string line in SystemFile.Lines("/proc/meminfo"))
        {
            if (!line.StartsWith(Label, StringComparison.Ordinal)) continue;
            string number = line[Label.Length..].Replace("kB", "", StringComparison.Ordinal).Trim();
            return long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out long kib) ? kib << 10 : null;
        }
        return null;
    }

    /// <summary>Counts bytes that are about to be allocated.</summary>
    private void Take(long bytes, string owner)
    {
        lock (_gate)
        {
            if (bytes > limit - AllocatedBytes)
                throw new DeviceException(
                    $"The CPU device is at its memory limit of {limit / MiB:F1} MiB: {owner} needs {bytes / MiB:F1} MiB, and "
                        + $"{AllocatedBytes / MiB:F1} MiB are in use. Give it more ({OptionName.Memory}), or choose a smaller weight "
                        + $"format ({OptionName.Weights.Of("int8 or int4")}) or smaller batches ({OptionName.BatchTokens}).",
                    failure: DeviceFailure.OutOfMemory);
            AllocatedBytes += bytes;
            PeakBytes = Math.Max(PeakBytes, AllocatedBytes);
        }
    }

    private static DeviceException OutOfMemory(long bytes, string owner, Exception? inner) => new(
        $"The CPU device is out of memory: {owner} needs {bytes / MiB:F1} MiB, and about {FreeBytes() / MiB:F1} MiB are free. Choose a "
            + $"smaller weight format ({OptionName.Weights.Of("int8 or int4")}) or smaller batches ({OptionName.BatchTokens}), or run "
            + $"where there is more memory.",
        inner, DeviceFailure.OutOfMemory);
}

/// <summary>One aligned block of native memory. Disposing it twice is harmless; using it afterwards throws.</summary>
internal sealed unsafe class NativeBuffer(HostMemory memory, void* pointer, long bytes, string owner, bool counted) : IDisposable
{
    private void* _pointer = pointer;

    public long Bytes => bytes;

    public bool Counted => counted;

    public bool IsFreed => _pointer == null;

    /// <exception cref="ObjectDisposedException">The memory is freed.</exception>
    public void* Pointer => _pointer != null ? _pointer : throw new ObjectDisposedException(owner);

    public void Dispose() => memory.Free(this);

    /// <summary>Gives the memory back; called by <see cref="HostMemory"/> alone, once.</summary>
    internal void Release()
    {
        NativeMemory.AlignedFree(_pointer);
        _pointer = null;
    }
}

/// <summary>Files of the operating system that may be missing or unreadable.</summary>
internal static class SystemFile
{
    /// <summary>The file's lines, none if it cannot be read.</summary>
    public static string[] Lines(string path)
    {
        try
        {
            return File.Exists(path) ? File.ReadAllLines(path) : [];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
