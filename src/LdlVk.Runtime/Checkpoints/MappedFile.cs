using System.IO.MemoryMappedFiles;
using LdlVk.Runtime.Files;
using Microsoft.Win32.SafeHandles;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>
/// Read-only bytes of a file, memory-mapped or, of a small file, in memory; the only owner of them. Bytes are accessible only through a
/// <see cref="Lease"/>, which keeps the mapping alive while it is read: disposing the file during a read causes an exception, never a
/// crash.
/// </summary>
internal sealed unsafe class MappedFile : IDisposable
{
    /// <summary>Bytes up to which a file is read instead of mapped: a change of it later can then change or end nothing.</summary>
    internal const long MaxCopied = 64L << 20;

    private readonly MemoryMappedFileAccess _access;
    private readonly Action<Stream>? _fill;
    private readonly Lock _viewLock = new();
    private MemoryMappedFile? _map;
    private MemoryMappedViewAccessor? _view;
    private SafeFileHandle? _file;
    private DateTime _written;
    private bool _disposed;

    private MappedFile(string path, long length, MemoryMappedFile map)
    {
        Path = path;
        Length = length;
        _map = map;
        _access = MemoryMappedFileAccess.Read;
        _view = map.CreateViewAccessor(0, length, _access);
    }

    private MappedFile(string path, long length, Action<Stream> fill)
    {
        Path = path;
        Length = length;
        _access = MemoryMappedFileAccess.ReadWrite;
        _fill = fill;
    }

    /// <summary>The source of the bytes, for messages.</summary>
    public string Path { get; }

    /// <summary>Number of bytes.</summary>
    public long Length { get; }

    /// <summary>Maps an existing file of at least one byte, or reads a small one.</summary>
    /// <exception cref="CheckpointException">The file cannot be read, is empty, or is none that could be a model's.</exception>
    public static MappedFile Open(string path)
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
                if (length <= MaxCopied)
                {
                    using (handle) return Copied(path, handle, length);
                }

                MemoryMappedFile map = MemoryMappedFile.CreateFromFile(
                    handle, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
                try
                {
                    return new MappedFile(path, length, map) { _file = handle, _written = written };
                }
                catch
                {
                    map.Dispose();
                    throw;
                }
            }
            catch
            {
                handle.Dispose();
                throw;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new CheckpointException($"{path} cannot be read: {WhyNot(e)}", e);
        }
    }

    /// <summary>
    /// Throws if a mapped file was changed since it was opened: its bytes are then those of another model, and reading past its new end
    /// would end the process. A file that was replaced by another of its name is still the old one here.
    /// </summary>
    /// <exception cref="CheckpointException">It was.</exception>
    public void CheckUnchanged()
    {
        lock (_viewLock)
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
    public static MappedFile InMemory(string path, long length, Action<Stream> fill) => new(path, length, fill);

    /// <summary>A stream over a range of the file, which must lie inside it.</summary>
    public Stream Stream(long offset, long length)
    {
        lock (_viewLock) return new UnmanagedMemoryStream(View().SafeMemoryMappedViewHandle, offset, length, FileAccess.Read);
    }

    /// <summary>Makes the bytes readable until the lease is disposed. Thread-safe.</summary>
    /// <exception cref="ObjectDisposedException">The file is disposed.</exception>
    public Lease Acquire()
    {
        lock (_viewLock) return new(View().SafeMemoryMappedViewHandle, Length);
    }

    /// <summary>
    /// Unmaps the pages read so far, which count as memory of the process while they are mapped. The bytes stay readable through a new
    /// mapping; leases keep the old one until they end. Thread-safe; does nothing after disposal.
    /// </summary>
    /// <exception cref="CheckpointException">The system refused the new view.</exception>
    public void ForgetPages()
    {
        lock (_viewLock)
        {
            if (_disposed || _view is null) return;
            try
            {
                MemoryMappedViewAccessor fresh = _map!.CreateViewAccessor(0, Length, _access);
                _view.Dispose();
                _view = fresh;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new CheckpointException($"{Path} cannot be mapped again: {e.Message}", e);
            }
        }
    }

    /// <summary>Copies a small range into an array.</summary>
    public byte[] Copy(long offset, int length)
    {
        using Lease lease = Acquire();
        return lease.Slice(offset, length).ToArray();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_viewLock)
        {
            _disposed = true;
            _view?.Dispose();
            _map?.Dispose();
            _file?.Dispose();
        }
    }

    /// <summary>Returns the reason for a failure to open a file; .NET does not name that of too many open files.</summary>
    private static string WhyNot(Exception e)
    {
        const int TooManyOpenFiles = 24; // EMFILE of Linux and macOS
        return !OperatingSystem.IsWindows() && (e.HResult & 0xffff) == TooManyOpenFiles
            ? "this process has too many open files. Raise the limit (ulimit -n 4096)."
            : e.Message;
    }

    private static MappedFile Copied(string path, SafeFileHandle handle, long length)
    {
        MappedFile file = InMemory(path, length, Fill);
        lock (file._viewLock) file.View();
        return file;

        void Fill(Stream to)
        {
            byte[] part = new byte[1 << 20];
            for (long at = 0; at < length;)
            {
                int read = RandomAccess.Read(handle, part.AsSpan(0, (int)Math.Min(part.Length, length - at)), at);
                if (read == 0) throw new CheckpointException($"{path} became shorter while it was read. Wait until it is complete.");
                to.Write(part.AsSpan(0, read));
                at += read;
            }
        }
    }

    /// <summary>Returns the view, and fills bytes in memory before. The lock is held.</summary>
    /// <exception cref="CheckpointException">The machine has too little memory.</exception>
    private MemoryMappedViewAccessor View()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_view is not null) return _view;
        MemoryMappedFile? map = null;
        MemoryMappedViewAccessor? view = null;
        try
        {
            map = MemoryMappedFile.CreateNew(null, Length);
            view = map.CreateViewAccessor(0, Length, _access);
            using UnmanagedMemoryStream stream = new(view.SafeMemoryMappedViewHandle, 0, Length, FileAccess.Write);
            _fill!(stream);
            (_map, _view) = (map, view);
            return view;
        }
        catch (Exception e)
        {
            view?.Dispose();
            map?.Dispose();
            if (e is not IOException) throw;
            throw new CheckpointException(
                $"{Path} needs {Length:N0} bytes of memory, which this machine refused: {WhyNot(e)}", e);
        }
    }

    /// <summary>Access to the mapped bytes until it is disposed.</summary>
    public readonly ref struct Lease : IDisposable
    {
        private readonly SafeMemoryMappedViewHandle _handle;
        private readonly byte* _start;
        private readonly long _length;

        internal Lease(SafeMemoryMappedViewHandle handle, long length)
        {
            handle.AcquirePointer(ref _start);
            _handle = handle;
            _length = length;
        }

        /// <summary>The bytes [<paramref name="offset"/>, + <paramref name="length"/>), valid until the lease ends.</summary>
        /// <exception cref="ArgumentOutOfRangeException">The range leaves the file.</exception>
        public ReadOnlySpan<byte> Slice(long offset, int length)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(length);
            ArgumentOutOfRangeException.ThrowIfNegative(offset);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, _length - length);
            return new ReadOnlySpan<byte>(_start + offset, length);
        }

        /// <summary>Ends the access.</summary>
        public void Dispose() => _handle.ReleasePointer();
    }
}
