using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using LdlVk.Runtime.Conversion;
using Microsoft.Win32.SafeHandles;

namespace LdlVk.Hub;

/// <summary>
/// Weight files that are downloaded while they are converted. Each file is a stand-in at first: its header with a hole behind it, which
/// takes no room on the disk. Then it is whole with the right checksum, and after its conversion a stand-in again. Whole files are
/// downloaded, not single tensors, because only a whole file can be checked before its tensors are used.
/// </summary>
internal sealed partial class ComingWeights(
    Download download, IReadOnlyList<HubFile> files, string folder, PullReceipt receipt,
    CancellationToken cancellationToken) : IWeightSupply
{
    private const int MaxHeaderBytes = 100_000_000, LengthBytes = sizeof(long);

    private readonly Dictionary<string, HubFile> _files = files.ToDictionary(download.PathOf, StringComparer.Ordinal);
    private readonly HashSet<string> _fetched = [.. receipt.Fetched];

    /// <summary>Writes a stand-in for each file that is not whole.</summary>
    public async Task PrepareAsync()
    {
        foreach ((string path, HubFile file) in _files)
        {
            if (_fetched.Contains(file.Name) && File.Exists(path) && new FileInfo(path).Length == file.Bytes) continue;
            if (!_fetched.Remove(file.Name) && HasHeader(path, file)) continue;
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            WriteStandIn(path, file, await HeaderAsync(file).ConfigureAwait(false));
        }
    }

    /// <inheritdoc/>
    public void Fetch(IReadOnlySet<string> paths)
    {
        foreach (string path in paths.Order(StringComparer.Ordinal))
        {
            HubFile file = _files[path];
            if (_fetched.Contains(file.Name)) continue;
            byte[] header = ReadHeader(path, file);
            download.FetchAsync(file, replace: true, partial =>
            {
                // The plan of the conversion was made from the header that the server sent first.
                if (!ReadHeader(partial, file).AsSpan().SequenceEqual(header))
                    throw new IOException($"{file.Name} came with another header than before. Delete {folder} and try again.");
                SetTime(file, partial);
            }, cancellationToken).GetAwaiter().GetResult();
            _fetched.Add(file.Name);
            Remember();
        }
    }

    /// <inheritdoc/>
    public void Release(IReadOnlySet<string> paths)
    {
        foreach (string path in paths)
        {
            HubFile file = _files[path];
            byte[] header = ReadHeader(path, file);
            _fetched.Remove(file.Name);
            Remember();
            WriteStandIn(path, file, header);
        }
    }

    /// <summary>
    /// Gives a file a time of writing that stands for its content: a conversion recognizes its source by names, sizes and these times, and
    /// continues only with the same source.
    /// </summary>
    public static void SetTime(HubFile file, string path)
    {
        int seconds = int.Parse(file.Checksum[..7], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        File.SetLastWriteTimeUtc(path, new DateTime(2000, 1, 1, 0, 0, 0, DateTimeKind.Utc).AddSeconds(seconds));
    }

    private void Remember() => (receipt with { Fetched = new HashSet<string>(_fetched) }).Write(folder);

    private static bool HasHeader(string path, HubFile file)
    {
        if (new FileInfo(path) is not { Exists: true } there || there.Length != file.Bytes) return false;
        using FileStream stream = File.OpenRead(path);
        Span<byte> length = stackalloc byte[LengthBytes];
        return stream.ReadAtLeast(length, LengthBytes, throwOnEndOfStream: false) == LengthBytes
            && BinaryPrimitives.ReadInt64LittleEndian(length) > 0;
    }

    private async Task<byte[]> HeaderAsync(HubFile file)
    {
        byte[] head = await download.BeginningAsync(file, 1 << 16, cancellationToken).ConfigureAwait(false);
        int length = HeaderLength(head, file);
        if (head.Length < length) head = await download.BeginningAsync(file, length, cancellationToken).ConfigureAwait(false);
        return head[..length];
    }

    private static byte[] ReadHeader(string path, HubFile file)
    {
        using FileStream stream = File.OpenRead(path);
        byte[] length = new byte[LengthBytes];
        stream.ReadExactly(length);
        byte[] header = new byte[HeaderLength(length, file)];
        stream.Position = 0;
        stream.ReadExactly(header);
        return header;
    }

    /// <summary>Bytes before the first tensor.</summary>
    private static int HeaderLength(ReadOnlySpan<byte> head, HubFile file)
    {
        long length = head.Length < LengthBytes ? -1 : BinaryPrimitives.ReadInt64LittleEndian(head);
        return length is > 0 and <= MaxHeaderBytes && length <= file.Bytes - LengthBytes ? LengthBytes + (int)length
            : throw new CheckpointException($"{file.Name} is no safetensors file: its header has no possible length.");
    }

    private static void WriteStandIn(string path, HubFile file, byte[] header)
    {
        File.Delete(path);
        using (FileStream stream = File.Create(path))
        {
            if (OperatingSystem.IsWindows()) MakeSparse(stream.SafeFileHandle);
            stream.Write(header);
            stream.SetLength(file.Bytes);
        }

        SetTime(file, path);
    }

    /// <summary>
    /// NTFS makes holes only in a file that is marked as sparse; without the mark the disk must have room for the whole file.
    /// </summary>
    private static void MakeSparse(SafeFileHandle file)
    {
        const uint SetSparse = 0x000900C4;
        DeviceIoControl(file, SetSparse, 0, 0, 0, 0, out _, 0);
    }

    [LibraryImport("kernel32.dll", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool DeviceIoControl(
        SafeFileHandle file, uint code, nint input, uint inputBytes, nint output, uint outputBytes, out uint returned, nint overlapped);
}
