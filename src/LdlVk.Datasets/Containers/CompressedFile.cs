using ICSharpCode.SharpZipLib;

namespace LdlVk.Datasets.Containers;

/// <summary>A file of lines, decompressed on the way if it is gzip or Zstandard, whatever its name.</summary>
internal static class CompressedFile
{
    /// <summary>The lines of a file that begins with <paramref name="magic"/>.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static Stream Open(string path, FileStream file, ReadOnlySpan<byte> magic)
    {
        try
        {
            return magic switch
            {
                [0x1f, 0x8b, ..] => new Guarded(path, "gzip", new GzipReader(file)),
                // The second begins with a frame to be skipped, as what pzstd writes.
                [0x28, 0xb5, 0x2f, 0xfd] or [>= 0x50 and <= 0x5f, 0x2a, 0x4d, 0x18] => new Guarded(path, "Zstandard",
                    new ZstdSharp.DecompressionStream(file, checkEndOfStream: true, leaveOpen: false)),
                _ => file,
            };
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

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
