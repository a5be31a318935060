using System.Security.Cryptography;
using System.Text;
using LdlVk.Runtime;

namespace LdlVk.Hub;

/// <summary>
/// Brings files into a folder. A file is there under its name with <see cref="OutputNames.Partial"/> behind it until all of it is and its
/// checksum is right; what is there of it is never asked for again.
/// </summary>
internal sealed class Download(HubClient client, HubRepository repository, string commit, string folder, DownloadProgress progress)
{
    /// <summary>Where a file will be.</summary>
    public string PathOf(HubFile file) => Path.Combine([folder, .. file.Name.Split('/')]);

    /// <summary>Bytes of a file that need not be asked for, before they are checked.</summary>
    public long BytesThere(HubFile file) => new FileInfo(PathOf(file)) is { Exists: true } whole ? whole.Length == file.Bytes ? file.Bytes : 0
        : new FileInfo(PathOf(file) + OutputNames.Partial) is { Exists: true } part ? Math.Min(part.Length, file.Bytes) : 0;

    /// <summary>Sees that a file is there and is right.</summary>
    /// <param name="file">The file.</param>
    /// <param name="replace">Whether what lies under its name is another one.</param>
    /// <param name="check">Looks at it once its checksum is right, before it gets its name.</param>
    /// <param name="cancellation">Ends it; what is there stays.</param>
    /// <exception cref="IOException">It cannot be had.</exception>
    public async Task FetchAsync(HubFile file, bool replace, Action<string>? check, CancellationToken cancellation)
    {
        string path = PathOf(file), partial = path + OutputNames.Partial;
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        if (!replace && File.Exists(path))
        {
            if (new FileInfo(path).Length == file.Bytes && await IsRightAsync(file, path, cancellation).ConfigureAwait(false)) return;
            File.Delete(path);
        }

        // A checksum that is wrong may come from a disk or a proxy: once more from the beginning, and then it is the server's.
        for (int attempt = 0; attempt < 2; attempt++)
        {
            if (await FetchPartialAsync(file, partial, cancellation).ConfigureAwait(false))
            {
                check?.Invoke(partial);
                File.Move(partial, path, overwrite: true);
                return;
            }

            File.Delete(partial);
        }

        throw new IOException($"{file.Name} of {repository.Name} came twice with another checksum than {file.Checksum}, which the hub says. Try again later, or another mirror.");
    }

    /// <summary>Reads the beginning of a file.</summary>
    /// <param name="file">The file.</param>
    /// <param name="bytes">How much, at least; less if it has less.</param>
    /// <param name="cancellation">Ends it.</param>
    public async Task<byte[]> BeginningAsync(HubFile file, int bytes, CancellationToken cancellation)
    {
        using MemoryStream head = new();
        await client.ReadAsync(repository.File(commit, file.Name), 0, file.Bytes, (_, more) =>
        {
            head.Write(more.Span);
            return head.Length < bytes;
        }, () => head.SetLength(0), cancellation).ConfigureAwait(false);
        return head.ToArray();
    }

    private async Task<bool> FetchPartialAsync(HubFile file, string partial, CancellationToken cancellation)
    {
        using IncrementalHash hash = Begin(file);
        using FileStream stream = new(partial, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read, bufferSize: 0);
        if (stream.Length > file.Bytes) stream.SetLength(0);
        await HashAsync(file, stream, hash, cancellation).ConfigureAwait(false);
        long there = stream.Length;
        if (there < file.Bytes)
        {
            await client.ReadAsync(repository.File(commit, file.Name), there, file.Bytes, (_, bytes) =>
            {
                stream.Write(bytes.Span);
                hash.AppendData(bytes.Span);
                progress.Add(file.Name, bytes.Length, isNew: true);
                return true;
            }, () =>
            {
                progress.Add(file.Name, -stream.Length, isNew: false);
                stream.SetLength(0);
                hash.GetHashAndReset();
                Begin(file, hash);
            }, cancellation).ConfigureAwait(false);
        }

        stream.Flush(flushToDisk: true);
        if (IsRight(file, hash)) return true;
        progress.Add(file.Name, -stream.Length, isNew: false);
        return false;
    }

    private async Task<bool> IsRightAsync(HubFile file, string path, CancellationToken cancellation)
    {
        using IncrementalHash hash = Begin(file);
        using FileStream stream = File.OpenRead(path);
        await HashAsync(file, stream, hash, cancellation).ConfigureAwait(false);
        if (IsRight(file, hash)) return true;
        progress.Add(file.Name, -stream.Length, isNew: false);
        return false;
    }

    /// <summary>Takes what is there into account.</summary>
    private async Task HashAsync(HubFile file, FileStream stream, IncrementalHash hash, CancellationToken cancellation)
    {
        byte[] buffer = new byte[1 << 20];
        stream.Position = 0;
        while (await stream.ReadAsync(buffer, cancellation).ConfigureAwait(false) is > 0 and var read)
        {
            hash.AppendData(buffer, 0, read);
            progress.Add(file.Name, read, isNew: false);
        }
    }

    private static IncrementalHash Begin(HubFile file) => Begin(file, IncrementalHash.CreateHash(file.Sha256 is null ? HashAlgorithmName.SHA1 : HashAlgorithmName.SHA256));

    private static IncrementalHash Begin(HubFile file, IncrementalHash hash)
    {
        if (file.Sha256 is null) hash.AppendData(Encoding.ASCII.GetBytes($"blob {file.Bytes}\0"));
        return hash;
    }

    private static bool IsRight(HubFile file, IncrementalHash hash) => Convert.ToHexStringLower(hash.GetHashAndReset()) == file.Checksum;
}

/// <summary>Says how far a download is, how fast it goes and how long the rest will take.</summary>
internal sealed class DownloadProgress(StatusLine status, long total)
{
    private readonly TimeLeft _left = new();
    private long _there, _new, _began = TimeProvider.System.GetTimestamp();

    /// <summary>Bytes that came over the wire.</summary>
    public long New => _new;

    /// <summary>Begins to measure.</summary>
    public void Begin()
    {
        _began = TimeProvider.System.GetTimestamp();
        _left.Begin();
    }

    /// <summary>Bytes of a file are there now, or count no more.</summary>
    public void Add(string file, long bytes, bool isNew)
    {
        _there += bytes;
        if (isNew)
        {
            _new += bytes;
            _left.Done(total == 0 ? null : Math.Clamp((double)_there / total, 0, 1));
        }

        double seconds = Math.Max(1e-3, TimeProvider.System.GetElapsedTime(_began).TotalSeconds);
        status.Show(() => isNew
            ? $"{Readable.Bytes(_there)} of {Readable.Bytes(total)}, {Readable.Bytes((long)(_new / seconds))}/s{_left}: {file}"
            : $"checking {Readable.Bytes(_there)} of {Readable.Bytes(total)}: {file}");
    }
}
