using ICSharpCode.SharpZipLib;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Datasets.Containers;

/// <summary>An input, decompressed on the way if it is gzip or Zstandard, whatever its name.</summary>
internal static class CompressedFile
{
    /// <summary>
    /// Maximum of decompressed bytes: so many in any case, and for each byte of the input. Deflate cannot reach more; a block of Zstandard
    /// makes 128 KiB of 4 bytes.
    /// </summary>
    private const long FreeBytes = 16 << 20, MaxPerByte = 1032;

    /// <summary>Returns what is decompressed of an input; null if it is not compressed.</summary>
    /// <param name="path">The name of the input, for messages.</param>
    /// <param name="input">The input.</param>
    public static Stream? Open(string path, InputBuffer input) => input.Held switch
    {
        [0x1f, 0x8b, ..] => new Guarded(path, "gzip", new GzipReader(input.ToStream()), input),
        // The second begins with a frame to be skipped, as what pzstd writes.
        [0x28, 0xb5, 0x2f, 0xfd, ..] or [>= 0x50 and <= 0x5f, 0x2a, 0x4d, 0x18, ..] => new Guarded(path, "Zstandard",
            new ZstdSharp.DecompressionStream(input.ToStream(), checkEndOfStream: true, leaveOpen: false), input),
        _ => null,
    };

    /// <summary>Says which file is damaged.</summary>
    private sealed class Guarded(string path, string kind, Stream inner, InputBuffer input) : ReadOnlyStream
    {
        private long _bytes;

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer)
        {
            if (_bytes > FreeBytes + (MaxPerByte * input.Used))
                throw new IOException(
                    $"{path} is not read on: its {Readable.Count(input.Used)} bytes of {kind} stand for more than "
                    + $"{Readable.Count(MaxPerByte)} times as much.");
            try
            {
                int read = inner.Read(buffer);
                _bytes += read;
                return read;
            }
            catch (Exception e) when (e is SharpZipBaseException or ZstdSharp.ZstdException or EndOfStreamException)
            {
                throw new IOException($"{path} is damaged, or not all of it is there: it cannot be decompressed as {kind}. "
                    + $"({e.Message})", e);
            }
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing) inner.Dispose();
            base.Dispose(disposing);
        }
    }
}
