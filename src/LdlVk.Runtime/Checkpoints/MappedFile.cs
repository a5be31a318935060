using System.IO.MemoryMappedFiles;
using LdlVk.Runtime.Files;
using Microsoft.Win32.SafeHandles;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>
/// Read-only, memory-mapped bytes of a file; the only owner of the mapping. Bytes are accessible only through a <see cref="Lease"/>, which
/// keeps the mapping alive while it is read: disposing the file during a read causes an exception, never a crash.
/// </summary>
internal sealed unsafe class MappedFile : IDisposable
{
    private readonly MemoryMappedFile _map;
    private readonly MemoryMappedFileAccess _access;
    private readonly Lock _viewLock = new();
    private MemoryMappedViewAccessor _view;
    private bool _disposed;

    private MappedFile(string path, long length, MemoryMappedFile map, MemoryMappedFileAccess access)
    {
        Path = path;
        Length = length;
        _map = map;
        _access = access;
        _view = map.CreateViewAccessor(0, length, access);
    }

    /// <summary>The source of the bytes, for messages.</summary>
    public string Path { get; }

    /// <summary>Number of bytes.</summary>
    public long Length { get; }

    /// <summary>Maps an existing file of at least one byte.</summary>
    /// <exception cref="CheckpointException">The file cannot be read, is empty, or is none that could be a model's.</exception>
    public static MappedFile Open(string path)
    {
        WrongContent.RequireOrdinary(path);
        try
        {
            SafeFileHandle handle = File.OpenHandle(path);
            long length;
            MemoryMappedFile map;
            try
            {
                length = RandomAccess.GetLength(handle);
                if (length == 0) throw new CheckpointException($"{path} is empty. Download it again.");
                Span<byte> head = stackalloc byte[512];
                WrongContent.Check(path, head[..RandomAccess.Read(handle, head, 0)]);
                map = MemoryMappedFile.CreateFromFile(
                    handle, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false);
            }
            catch
            {
                handle.Dispose();
                throw;
            }
            return Wrap(path, length, map, MemoryMappedFileAccess.Read);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new CheckpointException($"{path} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>
    /// Allocates memory outside the managed heap and fills it with <paramref name="fill"/>, for inflated entries.
    /// </summary>
    /// <exception cref="CheckpointException">The machine has too little memory.</exception>
    public static MappedFile InMemory(string path, long length, Action<Stream> fill)
    {
        try
        {
            MappedFile file = Wrap(path, length, MemoryMappedFile.CreateNew(null, length), MemoryMappedFileAccess.ReadWrite);
            try
            {
                using UnmanagedMemoryStream stream = new(file._view.SafeMemoryMappedViewHandle, 0, length, FileAccess.Write);
                fill(stream);
                return file;
            }
            catch
            {
                file.Dispose();
                throw;
            }
        }
        catch (IOException e)
        {
            throw new CheckpointException(
                $"{path} needs {length:N0} bytes of memory to inflate, which this machine refused: {e.Message}", e);
        }
    }

    /// <summary>A stream over a range of the file, which must lie inside it.</summary>
    public Stream Stream(long offset, long length) =>
        new UnmanagedMemoryStream(_view.SafeMemoryMappedViewHandle, offset, length, FileAccess.Read);

    /// <summary>Makes the bytes readable until the lease is disposed. Thread-safe.</summary>
    /// <exception cref="ObjectDisposedException">The file is disposed.</exception>
    public Lease Acquire()
    {
        lock (_viewLock) return new(_view.SafeMemoryMappedViewHandle, Length);
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
            if (_disposed) return;
            try
            {
                MemoryMappedViewAccessor fresh = _map.CreateViewAccessor(0, Length, _access);
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
            _view.Dispose();
            _map.Dispose();
        }
    }

    private static MappedFile Wrap(string path, long length, MemoryMappedFile map, MemoryMappedFileAccess access)
    {
        try
        {
            return new MappedFile(path, length, map, access);
        }
        catch
        {
            map.Dispose();
            throw;
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
