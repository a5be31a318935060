using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>
/// The central directory of a zip file. .NET's reader does not expose the offset of an entry's bytes, which reading tensors in
/// parts needs. Entry names are looked up, never used as paths. (Format: PKWARE APPNOTE 4.3.)
/// </summary>
internal sealed class ZipDirectory
{
    private const uint EndSignature = 0x06054b50, End64LocatorSignature = 0x07064b50, End64Signature = 0x06064b50;
    private const uint CentralSignature = 0x02014b50, LocalSignature = 0x04034b50;
    private const int EndBytes = 22, CentralBytes = 46, LocalBytes = 30;
    private const int MaxEntries = 10_000, MaxDirectoryBytes = 8 << 20;

    /// <summary>Maximum compression ratio of Deflate; a larger ratio means a decompression bomb or damage.</summary>
    private const long MaxInflation = 1032;

    private readonly FileBytes _file;
    private readonly Dictionary<string, Entry> _entries = new(StringComparer.Ordinal);

    /// <summary>Reads and verifies the directory.</summary>
    /// <exception cref="CheckpointException">The file is not a zip file, or is damaged.</exception>
    public ZipDirectory(FileBytes file)
    {
        _file = file;
        (long offset, int bytes, int count) = FindDirectory();
        ReadOnlySpan<byte> rest = file.Copy(offset, bytes);
        for (int i = 0; i < count; i++) rest = ReadEntry(rest);
    }

    /// <summary>The names of all entries.</summary>
    public IReadOnlyCollection<string> Names => _entries.Keys;

    /// <summary>Returns the entry of a name, or null.</summary>
    public Entry? Find(string name) => _entries.GetValueOrDefault(name);

    /// <summary>Returns the offset of an entry's bytes, compressed or not; they are verified to lie inside the file.</summary>
    public long DataOffset(Entry entry)
    {
        if (entry.Header > _file.Length - LocalBytes) throw Damaged($"the header of {entry.Name} lies outside the file");
        ReadOnlySpan<byte> header = _file.Copy(entry.Header, LocalBytes);
        if (U32(header) != LocalSignature) throw Damaged($"{entry.Name} has no header where the directory says");
        long data = entry.Header + LocalBytes + U16(header[26..]) + U16(header[28..]);
        if (entry.StoredBytes > _file.Length - data)
            throw Damaged($"the {entry.StoredBytes:N0} bytes of {entry.Name} reach beyond the file's end");
        return data;
    }

    /// <summary>Reads a whole small entry.</summary>
    public byte[] Read(Entry entry, int maxBytes)
    {
        if (entry.Bytes > maxBytes) throw Damaged($"{entry.Name} claims {entry.Bytes:N0} bytes, more than the {maxBytes:N0} it may have");
        byte[] bytes = new byte[entry.Bytes];
        using MemoryStream to = new(bytes);
        Inflate(entry, to);
        return bytes;
    }

    /// <summary>Writes exactly the declared number of bytes of an entry, even if its data inflate to more.</summary>
    public void Inflate(Entry entry, Stream to)
    {
        using Stream stored = _file.Stream(DataOffset(entry), entry.StoredBytes);
        using Stream from = entry.Compressed ? new DeflateStream(stored, CompressionMode.Decompress) : stored;
        byte[] buffer = new byte[(int)Math.Clamp(entry.Bytes, 1, 1 << 16)];
        try
        {
            long left = entry.Bytes;
            while (left > 0)
            {
                int read = from.Read(buffer, 0, (int)Math.Min(left, buffer.Length));
                if (read == 0) throw Damaged($"{entry.Name} ends {left:N0} bytes early");
                to.Write(buffer, 0, read);
                left -= read;
            }
        }
        catch (InvalidDataException e)
        {
            throw Damaged($"{entry.Name} does not inflate ({e.Message})");
        }
    }

    private (long Offset, int Bytes, int Count) FindDirectory()
    {
        if (_file.Length < EndBytes) throw Damaged("it is too short");
        // The end record is followed by a comment of up to 64 KiB.
        int tailBytes = (int)Math.Min(_file.Length, EndBytes + ushort.MaxValue);
        long tailStart = _file.Length - tailBytes;
        ReadOnlySpan<byte> tail = _file.Copy(tailStart, tailBytes);
        int at = tailBytes - EndBytes;
        while (at >= 0 && !(U32(tail[at..]) == EndSignature && at + EndBytes + U16(tail[(at + 20)..]) <= tailBytes)) at--;
        if (at < 0) throw Damaged("it has no directory at its end: it is truncated");

        long count = U16(tail[(at + 10)..]), bytes = U32(tail[(at + 12)..]), offset = U32(tail[(at + 16)..]);
        if (count == ushort.MaxValue || bytes == uint.MaxValue || offset == uint.MaxValue)
        {
            long locator = tailStart + at - 20;
            if (locator < 0 || U32(_file.Copy(locator, 20)) != End64LocatorSignature) throw Damaged("its 64-bit directory is missing");
            long end64 = I64(_file.Copy(locator + 8, 8));
            if (end64 < 0 || end64 > _file.Length - 56) throw Damaged("its 64-bit directory lies outside the file");
            ReadOnlySpan<byte> record = _file.Copy(end64, 56);
            if (U32(record) != End64Signature) throw Damaged("its 64-bit directory is not where it should be");
            (count, bytes, offset) = (I64(record[32..]), I64(record[40..]), I64(record[48..]));
        }
        if (count is < 0 or > MaxEntries || bytes is < 0 or > MaxDirectoryBytes)
            throw Damaged($"it claims {count:N0} entries; more than {MaxEntries:N0} are not read");
        if (offset < 0 || offset > _file.Length - bytes) throw Damaged("its directory lies outside the file");
        return (offset, (int)bytes, (int)count);
    }

    private ReadOnlySpan<byte> ReadEntry(ReadOnlySpan<byte> from)
    {
        if (from.Length < CentralBytes || U32(from) != CentralSignature) throw Damaged("its directory is cut short");
        int nameBytes = U16(from[28..]), extraBytes = U16(from[30..]), total = CentralBytes + nameBytes + extraBytes + U16(from[32..]);
        if (total > from.Length) throw Damaged("its directory is cut short");
        string name = Encoding.UTF8.GetString(from.Slice(CentralBytes, nameBytes));
        int flags = U16(from[8..]), method = U16(from[10..]);
        long stored = U32(from[20..]), bytes = U32(from[24..]), header = U32(from[42..]);

        // The zip64 extra field has the values of fields that are all ones, in this order.
        ReadOnlySpan<byte> wide = Zip64Field(from.Slice(CentralBytes + nameBytes, extraBytes));
        if (bytes == uint.MaxValue) bytes = NextWide(ref wide);
        if (stored == uint.MaxValue) stored = NextWide(ref wide);
        if (header == uint.MaxValue) header = NextWide(ref wide);

        string shown = Shown.Short(name);
        if ((flags & 1) != 0) throw Damaged($"{shown} is encrypted");
        if (method is not (0 or 8)) throw Damaged($"{shown} uses compression method {method}; only stored and deflated entries are read");
        if (stored < 0 || bytes < 0 || header < 0 || stored > _file.Length) throw Damaged($"{shown} claims impossible sizes");
        if (method == 0 ? stored != bytes : bytes / MaxInflation > stored + 1)
            throw Damaged($"{shown} claims {bytes:N0} bytes from {stored:N0} stored ones");
        if (!_entries.TryAdd(name, new Entry(shown, header, stored, bytes, method != 0))) throw Damaged($"{shown} occurs twice");
        return from[total..];
    }

    private static ReadOnlySpan<byte> Zip64Field(ReadOnlySpan<byte> extra)
    {
        while (extra.Length >= 4)
        {
            int id = U16(extra), length = Math.Min(U16(extra[2..]), extra.Length - 4);
            if (id == 1) return extra.Slice(4, length);
            extra = extra[(4 + length)..];
        }
        return default;
    }

    private long NextWide(ref ReadOnlySpan<byte> field)
    {
        if (field.Length < 8) throw Damaged("an entry lacks its 64-bit size");
        long value = I64(field);
        field = field[8..];
        return value;
    }

    private CheckpointException Damaged(string what) => new($"{_file.Path} is not a valid zip file: {what}. Download it again.");

    private static int U16(ReadOnlySpan<byte> from) => BinaryPrimitives.ReadUInt16LittleEndian(from);

    private static uint U32(ReadOnlySpan<byte> from) => BinaryPrimitives.ReadUInt32LittleEndian(from);

    private static long I64(ReadOnlySpan<byte> from) => BinaryPrimitives.ReadInt64LittleEndian(from);

    /// <summary>One entry of the directory.</summary>
    /// <param name="Name">The entry's name, printable.</param>
    /// <param name="Header">Offset of its local header.</param>
    /// <param name="StoredBytes">Its size in the file, in bytes.</param>
    /// <param name="Bytes">Its inflated size in bytes.</param>
    /// <param name="Compressed">Whether it is deflated; otherwise both sizes are equal.</param>
    public sealed record Entry(string Name, long Header, long StoredBytes, long Bytes, bool Compressed);
}
