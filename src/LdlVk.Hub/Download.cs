using System.Security.Cryptography;
using System.Text;
using LdlVk.Runtime.Files;

namespace LdlVk.Hub;

/// <summary>
/// Downloads files into a folder. A file has <see cref="OutputNames.Partial"/> behind its name until it is whole and its checksum is right;
/// bytes that are there are never requested again.
/// </summary>
internal sealed class Download(HubClient client, HubRepository repository, string commit, string folder, DownloadProgress progress)
{
    /// <summary>The path of a file.</summary>
    public string PathOf(HubFile file) => Path.Combine([folder, .. file.Name.Split('/')]);

    /// <summary>Bytes of a file on the disk, which are not requested again; they are not checked yet.</summary>
    public long BytesThere(HubFile file) =>
        new FileInfo(PathOf(file)) is { Exists: true } whole ? whole.Length == file.Bytes ? file.Bytes : 0
        : new FileInfo(PathOf(file) + OutputNames.Partial) is { Exists: true } part ? Math.Min(part.Length, file.Bytes) : 0;

    /// <summary>Downloads a file unless it is there with the right checksum.</summary>
    /// <param name="file">The file.</param>
    /// <param name="replace">Whether the file under its name is a stand-in that is replaced.</param>
    /// <param name="check">Checks the path of the file once its checksum is right, before the file gets its name.</param>
    /// <param name="cancellationToken">Ends the download; the bytes on the disk stay.</param>
    /// <exception cref="IOException">The file cannot be downloaded.</exception>
    public async Task FetchAsync(HubFile file, bool replace, Action<string>? check, CancellationToken cancellationToken)
    {
        string path = PathOf(file), partial = path + OutputNames.Partial;
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        OwnFile.Check(path);
        OwnFile.Check(partial);
        if (!replace && File.Exists(path))
        {
            if (new FileInfo(path).Length == file.Bytes && await IsRightAsync(file, path, cancellationToken).ConfigureAwait(false)) return;
            File.Delete(path);
        }

        // A disk or a proxy may have spoiled the bytes. If a second download is wrong too, the server is.
        for (int attempt = 0; attempt < 2; attempt++)
        {
            if (await FetchPartialAsync(file, partial, cancellationToken).ConfigureAwait(false))
            {
                check?.Invoke(partial);
                FolderSync.Move(partial, path);
                return;
            }

            File.Delete(partial);
        }

        throw new IOException(
            $"{file.Name} of {repository.Name} came twice with another checksum than {file.Checksum}, which the hub says. "
                + "Try again later, or another mirror.");
    }

    /// <summary>Reads the beginning of a file from the hub.</summary>
    /// <param name="file">The file.</param>
    /// <param name="bytes">Minimum number of bytes; a shorter file gives fewer.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    public async Task<byte[]> BeginningAsync(HubFile file, int bytes, CancellationToken cancellationToken)
    {
        using MemoryStream head = new();
        await client.ReadAsync(repository.File(commit, file.Name), 0, file.Bytes, (_, more) =>
        {
            head.Write(more.Span);
            return head.Length < bytes;
        }, () => head.SetLength(0), cancellationToken).ConfigureAwait(false);
        return head.ToArray();
    }

    private async Task<bool> FetchPartialAsync(HubFile file, string partial, CancellationToken cancellationToken)
    {
        using IncrementalHash hash = Begin(file);
        using FileStream stream = new(partial, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 0);
        if (stream.Length > file.Bytes) stream.SetLength(0);
        await HashAsync(file, stream, hash, cancellationToken).ConfigureAwait(false);
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
            }, cancellationToken).ConfigureAwait(false);
        }

        stream.Flush(flushToDisk: true);
        if (IsRight(file, hash)) return true;
        progress.Add(file.Name, -stream.Length, isNew: false);
        return false;
    }

    private async Task<bool> IsRightAsync(HubFile file, string path, CancellationToken cancellationToken)
    {
        using IncrementalHash hash = Begin(file);
        using FileStream stream = File.OpenRead(path);
        await HashAsync(file, stream, hash, cancellationToken).ConfigureAwait(false);
        if (IsRight(file, hash)) return true;
        progress.Add(file.Name, -stream.Length, isNew: false);
        return false;
    }

    /// <summary>Hashes the bytes on the disk.</summary>
    private async Task HashAsync(HubFile file, FileStream stream, IncrementalHash hash, CancellationToken cancellationToken)
    {
        byte[] buffer = new byte[1 << 20];
        stream.Position = 0;
        while (await stream.ReadAsync(buffer, cancellationToken).ConfigureAwait(false) is > 0 and var read)
        {
            hash.AppendData(buffer, 0, read);
            progress.Add(file.Name, read, isNew: false);
        }
    }

    private static IncrementalHash Begin(HubFile file) =>
        Begin(file, IncrementalHash.CreateHash(file.Sha256 is null ? HashAlgorithmName.SHA1 : HashAlgorithmName.SHA256));

    private static IncrementalHash Begin(HubFile file, IncrementalHash hash)
    {
        if (file.Sha256 is null) hash.AppendData(Encoding.ASCII.GetBytes($"blob {file.Bytes}\0"));
        return hash;
    }

    private static bool IsRight(HubFile file, IncrementalHash hash) => Convert.ToHexStringLower(hash.GetHashAndReset()) == file.Checksum;
}
