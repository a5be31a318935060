using ICSharpCode.SharpZipLib;

namespace LdlVk.Datasets.Containers;

/// <summary>An input, decompressed on the way if it is gzip or Zstandard, whatever its name.</summary>
internal static class CompressedFile
{
    /// <summary>Returns what is decompressed of an input that begins with <paramref name="magic"/>; null if it is not compressed.</summary>
    /// <param name="path">The name of the input, for messages.</param>
    /// <param name="input">The input.</param>
    /// <param name="magic">Its first bytes.</param>
    public static Stream? Open(string path, Stream input, ReadOnlySpan<byte> magic) => magic switch
    {
        [0x1f, 0x8b, ..] => new Guarded(path, "gzip", new GzipReader(input)),
        // The second begins with a frame to be skipped, as what pzstd writes.
        [0x28, 0xb5, 0x2f, 0xfd, ..] or [>= 0x50 and <= 0x5f, 0x2a, 0x4d, 0x18, ..] => new Guarded(path, "Zstandard",
            new ZstdSharp.DecompressionStream(input, checkEndOfStream: true, leaveOpen: false)),
        _ => null,
    };

    /// <summary>Says which file is damaged.</summary>
    private sealed class Guarded(string path, string kind, Stream inner) : ReadOnlyStream
    {
        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer)
        {
            try
            {
                return inner.Read(buffer);
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
