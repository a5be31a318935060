using System.Runtime.InteropServices;
using LdlVk.Runtime.Files;
using Microsoft.Win32.SafeHandles;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>
/// Read-only bytes of a file, or of memory. A large file is read where it is asked for, and not mapped: a page of a mapped file that
/// another program cut short, or that its disk cannot read, ends the process, where a read is an error. Of 3 GiB in the system's cache,
/// two threads read 16 MiB pieces in 0.3 to 0.5 s (mapped: 0.2 to 0.3 s), and from disk in 2.1 to 2.6 s (mapped: 2.3 to 3.5 s).
/// Thread-safe: disposal during a read makes an exception of a later one, never a crash.
/// </summary>
internal sealed class FileBytes : IDisposable
{
    /// <summary>Bytes up to which a file is read whole when it is opened: a change of it later can then change nothing.</summary>
    internal const long MaxCopied = 64L << 20;

    /// <summary>Bytes read at a time through a buffer: they stay in a core's cache.</summary>
    internal const int Piece = 256 << 10;

    private readonly Action<Stream>? _fill;
    private readonly Lock _lock = new();
    private readonly SafeFileHandle? _file;
    private readonly DateTime _written;
    private NativeBytes? _memory;
    private bool _disposed;

    private FileBytes(string path, SafeFileHandle file, long length, DateTime written)
    {
        Path = path;
        Length = length;
        _file = file;
        _written = written;
    }

    private FileBytes(string path, long length, Action<Stream> fill)
    {
        Path = path;
        Length = length;
        _fill = fill;
    }

    /// <summary>The source of the bytes, for messages.</summary>
    public string Path { get; }

    /// <summary>Number of bytes.</summary>
    public long Length { get; }

    /// <summary>Whether the bytes are in memory, or will be from their first use on.</summary>
    public bool IsInMemory => _file is null;

    /// <summary>Opens an existing file of at least one byte; reads a small one.</summary>
    /// <exception cref="CheckpointException">The file cannot be read, is empty, or is none that could be a model's.</exception>
    public static FileBytes Open(string path)
    {
        WrongContent.RequireOrdinary(path);
        try
        {
            SafeFileHandle handle = File.OpenHandle(path);
            try
            {
                DateTime written = File.GetLastWriteTimeUtc(handle);
                long length = RandomAccess.GetLength(handle);
                if (length == 0) throw new CheckpointException($"{path} is empty. Download it again.");
                Span<byte> head = stackalloc byte[512];
                WrongContent.Check(path, head[..RandomAccess.Read(handle, head, 0)]);
                FileBytes file = new(path, handle, length, written);
                if (length > MaxCopied) return file;
                using (file) return Copied(file);
            }
            catch
            {
                handle.Dispose();
                throw;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw CannotRead(path, e);
        }
    }

    /// <summary>
    /// Throws if a file that is not in memory was changed since it was opened: its bytes are then those of another model. A file that was
    /// replaced by another of its name is still the old one here.
    /// </summary>
    /// <exception cref="CheckpointException">It was.</exception>
    public void CheckUnchanged()
    {
        lock (_lock)
        {
            if (_file is not { IsClosed: false } file) return;
            if (RandomAccess.GetLength(file) == Length && File.GetLastWriteTimeUtc(file) == _written) return;
        }

        throw new CheckpointException(
            $"{Path} was changed after the model was loaded, so scores would be those of no model. Start again with the file as it is now, "
            + $"and replace a model's files by renaming others over them.");
    }

    /// <summary>
    /// Returns bytes in memory outside the managed heap, for inflated entries. They are allocated and filled with <paramref name="fill"/>
    /// when they are first read: before that, who reads them has checked that they are wanted.
    /// </summary>
    public static FileBytes InMemory(string path, long length, Action<Stream> fill) => new(path, length, fill);

    /// <summary>A stream over a range, which must lie inside.</summary>
    public Stream Stream(long offset, long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        CheckRange(offset, length);
        return new FileRangeStream(this, offset, length);
    }

    /// <summary>Copies a range, which must lie inside.</summary>
    /// <exception cref="CheckpointException">The file was cut short, or its disk cannot read it.</exception>
    /// <exception cref="ObjectDisposedException">The file is disposed.</exception>
    public void Read(long offset, Span<byte> destination)
    {
        CheckRange(offset, destination.Length);
        if (_file is null) Memory().Copy(offset, destination);
        else if (!OperatingSystem.IsWindows()) ReadFile(offset, destination);
        else ReadThroughBuffer(offset, destination);
    }

    /// <summary>Copies elements of <paramref name="size"/> bytes that are <paramref name="step"/> bytes apart.</summary>
    /// <inheritdoc cref="Read"/>
    public void Gather(long offset, long step, int size, Span<byte> destination)
    {
        int count = destination.Length / size;
        if (count == 0) return;
        CheckRange(offset, ((count - 1) * step) + size);
        if (_file is null) Memory().Gather(offset, step, size, destination);
        else for (int i = 0; i < count; i++) Read(offset + (i * step), destination.Slice(i * size, size));
    }

    /// <summary>Frees bytes in memory, which their next use makes again.</summary>
    public void Forget()
    {
        lock (_lock)
        {
            _memory?.Dispose();
            _memory = null;
        }
    }

    /// <summary>Copies a small range into an array.</summary>
    public byte[] Copy(long offset, int length)
    {
        byte[] bytes = new byte[length];
        Read(offset, bytes);
        return bytes;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            _disposed = true;
            _memory?.Dispose();
            _file?.Dispose();
        }
    }

    private static CheckpointException CannotRead(string path, Exception e) => new($"{path} cannot be read: {WhyNot(e)}", e);

    /// <summary>Returns the reason for a failure to open a file; .NET does not name that of too many open files.</summary>
    private static string WhyNot(Exception e)
    {
        const int TooManyOpenFiles = 24; // EMFILE of Linux and macOS
        return !OperatingSystem.IsWindows() && (e.HResult & 0xffff) == TooManyOpenFiles
            ? "this process has too many open files. Raise the limit (ulimit -n 4096)."
            : e.Message;
    }

    private static FileBytes Copied(FileBytes file)
    {
        FileBytes copy = InMemory(file.Path, file.Length, to => file.Stream(0, file.Length).CopyTo(to, Piece));
        copy.Memory();
        return copy;
    }

    private void CheckRange(long offset, long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, Length - length);
    }

    private void ReadFile(long offset, Span<byte> destination)
    {
        try
        {
            while (destination.Length > 0)
            {
                int read = RandomAccess.Read(_file!, destination, offset);
                if (read == 0) throw new CheckpointException($"{Path} became shorter while it was read. Wait until it is complete.");
                offset += read;
                destination = destination[read..];
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw CannotRead(Path, e);
        }
    }

    /// <summary>Reads into memory into which Windows may not be able to read a file: that of a graphics card.</summary>
    private void ReadThroughBuffer(long offset, Span<byte> destination)
    {
        using Scratch scratch = new(Math.Min(destination.Length, Piece));
        while (destination.Length > 0)
        {
            Span<byte> piece = scratch.Bytes[..Math.Min(destination.Length, Piece)];
            ReadFile(offset, piece);
            piece.CopyTo(destination);
            offset += piece.Length;
            destination = destination[piece.Length..];
        }
    }

    /// <summary>Returns the bytes in memory, filled.</summary>
    /// <exception cref="CheckpointException">The machine has too little memory.</exception>
    private NativeBytes Memory()
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_memory is not null) return _memory;
            NativeBytes? memory = null;
            try
            {
                memory = new NativeBytes(Length);
                using UnmanagedMemoryStream stream = new(memory, 0, Length, FileAccess.Write);
                _fill!(stream);
                return _memory = memory;
            }
            catch (Exception e)
            {
                memory?.Dispose();
                if (e is not OutOfMemoryException) throw;
                throw new CheckpointException($"{Path} needs {Length:N0} bytes of memory, which this machine refused: {e.Message}", e);
            }
        }
    }

    /// <summary>Memory outside the managed heap, which is freed when nobody reads it any more.</summary>
    private sealed unsafe class NativeBytes : SafeBuffer
    {
        public NativeBytes(long length) : base(ownsHandle: true)
        {
            Initialize((ulong)length);
            SetHandle((nint)NativeMemory.Alloc((nuint)length));
        }

        public void Copy(long offset, Span<byte> destination)
        {
            byte* start = null;
            AcquirePointer(ref start);
            new ReadOnlySpan<byte>(start + offset, destination.Length).CopyTo(destination);
            ReleasePointer();
        }

        public void Gather(long offset, long step, int size, Span<byte> destination)
        {
            byte* start = null;
            AcquirePointer(ref start);
            for (int at = 0; at < destination.Length; at += size, offset += step)
                new ReadOnlySpan<byte>(start + offset, size).CopyTo(destination[at..]);
            ReleasePointer();
        }

        protected override bool ReleaseHandle()
        {
            NativeMemory.Free((void*)handle);
            return true;
        }
    }
}
