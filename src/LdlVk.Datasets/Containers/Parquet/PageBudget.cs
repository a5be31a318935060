using System.Runtime.CompilerServices;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Datasets.Containers.Parquet;

/// <summary>
/// What all columns of a file may use together, bounded by the file's size: a file says how much it needs, and may lie. Its pages may
/// overlap, claim to be large, or stand for any number of nulls.
/// </summary>
/// <param name="fileBytes">Size of the file.</param>
internal sealed class PageBudget(long fileBytes)
{
    /// <summary>Memory at most, whatever the file's size; writers make pages of 1 MB unless a single text is longer.</summary>
    private const long MaxMemory = 1L << 30;

    /// <summary>What a small file may use in any case.</summary>
    private const long FreeMemory = 96 << 20, FreeBytes = 64 << 20, FreeEntries = 1 << 20;

    /// <summary>Entries, and decompressed bytes, for each byte of the file. Deflate reaches 1,032 bytes.</summary>
    private const long MaxPerByte = 1 << 10;

    private long _held, _read, _decompressed, _entries;

    /// <summary>Makes a buffer as long as needed; what it holds is lost.</summary>
    public void Grow<T>(ref T[] buffer, int length)
    {
        if (buffer.Length >= length) return;
        _held += (length - buffer.Length) * (long)Unsafe.SizeOf<T>();
        long max = Math.Min(MaxMemory, FreeMemory + (3 * fileBytes));
        if (_held > max)
            throw new NotSupportedException($"its pages need more than {Readable.Bytes(max)}. Write it anew with smaller pages.");
        buffer = GC.AllocateUninitializedArray<T>(length);
    }

    /// <summary>Counts a page. Each byte of a file is part of one page at most.</summary>
    /// <param name="bytes">Its bytes in the file.</param>
    /// <param name="decompressed">Its bytes after decompression, as it claims.</param>
    public void AddPage(long bytes, long decompressed)
    {
        _read += bytes;
        _decompressed += decompressed;
        if (_read > fileBytes) throw new InvalidDataException("its pages overlap.");
        if (_decompressed > FreeBytes + (MaxPerByte * _read))
            throw new InvalidDataException("its pages claim to be more than their bytes can hold.");
    }

    /// <summary>Counts the entries of a column's part, as the file claims.</summary>
    public void AddEntries(long entries)
    {
        if (entries > FreeEntries + (MaxPerByte * fileBytes) - _entries)
            throw new InvalidDataException($"its columns claim more than {Readable.Count(MaxPerByte)} entries for each of its bytes.");
        _entries += entries;
    }
}
