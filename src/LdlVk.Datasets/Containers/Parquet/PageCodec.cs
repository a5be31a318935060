using System.Buffers.Binary;
using System.IO.Compression;
using K4os.Compression.LZ4;
using Snappier;

namespace LdlVk.Datasets.Containers.Parquet;

/// <summary>Decompresses a page in one of the formats of CompressionCodec in parquet.thrift (Compression.md describes each).</summary>
internal sealed class PageCodec
{
    private delegate bool TryDecompress(ReadOnlyMemory<byte> source, Span<byte> target);

    private static readonly PageCodec None = new("nothing", (source, target) =>
    {
        Copy(source.Span, target);
        return true;
    });

    private static readonly PageCodec SnappyBlock = new("Snappy", (source, target) =>
        // The block begins with its length, and Snappier accepts a target that is longer.
        Snappy.GetUncompressedLength(source.Span) == target.Length && Snappy.TryDecompress(source.Span, target, out int written)
            && written == target.Length);

    private static readonly PageCodec Gzip = new("gzip", DecompressGzip);

    private static readonly PageCodec Brotli = new("Brotli", (source, target) =>
        BrotliDecoder.TryDecompress(source.Span, target, out int written) && written == target.Length);

    private static readonly PageCodec HadoopLz4 = new("LZ4", DecompressHadoopLz4);

    private static readonly PageCodec Zstandard = new("Zstandard", (source, target) =>
    {
        using ZstdSharp.Decompressor decompressor = new();
        return decompressor.TryUnwrap(source.Span, target, out int written) && written == target.Length;
    });

    private static readonly PageCodec RawLz4 = new("LZ4", (source, target) => DecompressLz4Block(source.Span, target));

    private readonly string _name;
    private readonly TryDecompress _tryDecompress;

    private PageCodec(string name, TryDecompress tryDecompress) => (_name, _tryDecompress) = (name, tryDecompress);

    /// <summary>The codec of a number in the file; null for LZO and for unknown ones.</summary>
    public static PageCodec? Of(int number) => number switch
    {
        0 => None,
        1 => SnappyBlock,
        2 => Gzip,
        4 => Brotli,
        5 => HadoopLz4,
        6 => Zstandard,
        7 => RawLz4,
        _ => null,
    };

    /// <summary>Copies a page that is not compressed.</summary>
    /// <exception cref="InvalidDataException">The page's length differs from the length in its header.</exception>
    public static void Copy(ReadOnlySpan<byte> source, Span<byte> target)
    {
        if (source.Length != target.Length) throw new InvalidDataException("a page has another length than it says.");
        source.CopyTo(target);
    }

    /// <summary>Decompresses a page, which must fill <paramref name="target"/> exactly.</summary>
    /// <exception cref="InvalidDataException">The page is damaged.</exception>
    public void Decompress(ReadOnlyMemory<byte> source, Span<byte> target)
    {
        Exception? cause = null;
        try
        {
            if (_tryDecompress(source, target)) return;
        }
        catch (Exception e) when (this != None
            && e is InvalidDataException or EndOfStreamException or ZstdSharp.ZstdException or ArgumentException)
        {
            cause = e;
        }

        throw new InvalidDataException($"a page cannot be decompressed as {_name}.", cause);
    }

    private static bool DecompressGzip(ReadOnlyMemory<byte> source, Span<byte> target)
    {
        using MemoryStream bytes = new(source.ToArray(), writable: false);
        using GZipStream gzip = new(bytes, CompressionMode.Decompress);
        gzip.ReadExactly(target);
        return true;
    }

    private static bool DecompressLz4Block(ReadOnlySpan<byte> source, Span<byte> target) =>
        LZ4Codec.Decode(source, target) == target.Length;

    /// <summary>
    /// Hadoop's blocks: the length of the data, the length of the block, both big-endian, and the block, until the page is full. Files
    /// written by parquet-cpp before 4.0 have the same codec number and one block without lengths.
    /// </summary>
    private static bool DecompressHadoopLz4(ReadOnlyMemory<byte> source, Span<byte> target)
    {
        ReadOnlySpan<byte> rest = source.Span;
        Span<byte> empty = target;
        while (rest.Length >= 8)
        {
            uint bytes = BinaryPrimitives.ReadUInt32BigEndian(rest), length = BinaryPrimitives.ReadUInt32BigEndian(rest[4..]);
            if (bytes > empty.Length || length > rest.Length - 8 || !DecompressLz4Block(rest.Slice(8, (int)length), empty[..(int)bytes]))
                break;
            rest = rest[(8 + (int)length)..];
            empty = empty[(int)bytes..];
        }

        return (rest.IsEmpty && empty.IsEmpty) || DecompressLz4Block(source.Span, target);
    }
}
