using ICSharpCode.SharpZipLib;
using ICSharpCode.SharpZipLib.GZip;

namespace LdlVk.Cli.Input;

/// <summary>
/// A file of lines, decompressed on the way if it is gzip or Zstandard, whatever its name. Not by .NET's GZipStream, to which a file that was
/// cut short is one that ends there.
/// </summary>
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
                [0x1f, 0x8b, ..] => new Guarded(path, "gzip", new GZipInputStream(file)),
                [0x28, 0xb5, 0x2f, 0xfd] => new Guarded(path, "Zstandard", new ZstdSharp.DecompressionStream(file, checkEndOfStream: true, leaveOpen: false)),
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
    private sealed class Guarded(string path, string kind, Stream inner) : Stream
    {
        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer)
        {
            try
            {
                return inner.Read(buffer);
            }
            catch (Exception e) when (e is SharpZipBaseException or ZstdSharp.ZstdException or EndOfStreamException)
            {
                throw new IOException($"{path} is damaged, or not all of it is there: it cannot be decompressed as {kind}. ({e.Message})", e);
            }
        }

        public override void Flush() => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing) inner.Dispose();
            base.Dispose(disposing);
        }
    }
}
