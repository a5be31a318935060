using LdlVk.Runtime;
using LdlVk.Runtime.Conversion;
using LdlVk.Runtime.Devices;

namespace LdlVk.Hub;

/// <summary>What was pulled.</summary>
/// <param name="Folder">Where to, as a full path.</param>
/// <param name="Commit">The commit of the repository.</param>
/// <param name="Bytes">Bytes of the repository's files that are wanted.</param>
/// <param name="Downloaded">Bytes that came over the wire now.</param>
/// <param name="Time">How long it took.</param>
internal sealed record PullResult(string Folder, string Commit, long Bytes, long Downloaded, TimeSpan Time);

/// <summary>
/// Brings a model from a hub into a folder. Whatever ends it, the same call goes on: every file that is there with the right checksum is
/// kept, and so is the beginning of the one that was coming.
/// </summary>
internal sealed class Pull(HubRepository repository, HubClient client, StatusLine status)
{
    /// <summary>Patterns of further files.</summary>
    public IReadOnlyList<string> Include { get; init; } = [];

    /// <summary>Patterns of files that are not wanted.</summary>
    public IReadOnlyList<string> Exclude { get; init; } = [];

    /// <summary>What the layers' weights are converted to as they come; null for a copy.</summary>
    public WeightFormat? Weights { get; init; }

    /// <summary>Bytes of a file of a conversion.</summary>
    public long ShardBytes { get; init; } = 4L << 30;

    /// <summary>Pulls.</summary>
    /// <param name="destination">A folder that is new, empty, or was begun by the same call.</param>
    /// <param name="cancellation">Ends it; what is there stays for the next call.</param>
    /// <exception cref="UsageException">There is no such model, it is not for us, or the folder holds something else.</exception>
    /// <exception cref="IOException">The hub does not answer, sends what is wrong, or the disk is too small.</exception>
    public async Task<PullResult> RunAsync(string destination, CancellationToken cancellation)
    {
        string folder = Path.GetFullPath(destination);
        if (File.Exists(folder)) throw new UsageException($"{folder} is a file. Give the name of a new folder.");
        status.Show(() => $"asking {repository.Endpoint.Host} for {repository.Name}");
        HubFiles listed = await client.ListAsync(cancellation).ConfigureAwait(false);
        IReadOnlyList<HubFile> files = listed.Select(repository, Include, Exclude);
        PullReceipt wanted = new(repository.Page, listed.Commit, Weights is { } format ? Readable.Name(format) : "", false, new HashSet<string>());
        PullReceipt? found = Check(folder, wanted);
        long began = TimeProvider.System.GetTimestamp(), bytes = files.Sum(file => file.Bytes);
        DownloadProgress progress = new(status, bytes);
        if (found is not { IsComplete: true } || Weights is null)
        {
            Directory.CreateDirectory(folder);
            if (found is null) wanted.Write(folder);
            progress.Begin();
            if (Weights is null) await CopyAsync(files, folder, listed.Commit, progress, cancellation).ConfigureAwait(false);
            else await ConvertAsync(files, folder, found ?? wanted, progress, cancellation).ConfigureAwait(false);
            (wanted with { IsComplete = true }).Write(folder);
        }

        return new PullResult(folder, listed.Commit, bytes, progress.New, TimeProvider.System.GetElapsedTime(began));
    }

    /// <summary>Refuses a folder that holds something else.</summary>
    private PullReceipt? Check(string folder, PullReceipt wanted)
    {
        if (!Directory.Exists(folder)) return null;
        PullReceipt? found = PullReceipt.Read(folder);
        if (found is null)
        {
            string[] names = [.. Directory.EnumerateFileSystemEntries(folder).Select(Path.GetFileName).OfType<string>().Take(4)];
            return names.Length == 0 ? null : throw new UsageException($"{folder} is not empty and was not begun by ldlvk pull: there is {string.Join(", ", names)}. Give a new folder.");
        }

        if (found.Repository != wanted.Repository) throw new UsageException($"{folder} holds {found.Repository}. Give another folder.");
        if (found.Weights != wanted.Weights)
        {
            string has = found.Weights.Length == 0 ? "the model as it is" : $"a conversion to {found.Weights} weights";
            throw new UsageException($"{folder} holds {has}, and {(wanted.Weights.Length == 0 ? "no --weights are" : $"--weights {wanted.Weights} is")} given now. Give another folder.");
        }

        if (found.Commit != wanted.Commit)
            throw new UsageException($"{folder} holds commit {found.Commit}, but {repository.Revision} is {wanted.Commit} now. Give another folder, or --revision {found.Commit} to go on.");
        return found;
    }

    private async Task CopyAsync(IReadOnlyList<HubFile> files, string folder, string commit, DownloadProgress progress, CancellationToken cancellation)
    {
        Download download = new(client, repository, commit, folder, progress);
        CheckSpace(folder, files.Sum(file => file.Bytes - download.BytesThere(file)));
        // The index comes last: without it the folder is refused.
        foreach (HubFile file in files.OrderBy(file => file.Name.EndsWith(".index.json", StringComparison.Ordinal) ? 2 : file.IsWeights ? 1 : 0).ThenBy(file => file.Name, StringComparer.Ordinal))
            await download.FetchAsync(file, replace: false, check: null, cancellation).ConfigureAwait(false);
    }

    private async Task ConvertAsync(IReadOnlyList<HubFile> files, string folder, PullReceipt receipt, DownloadProgress progress, CancellationToken cancellation)
    {
        // Hidden, since whoever converts refuses folders that hold something else.
        string source = Path.Combine(folder, ".download");
        Download download = new(client, repository, receipt.Commit, source, progress);
        HubFile[] weights = [.. files.Where(file => file.IsWeights)];
        // A file of the result is made of up to three of the usual size. How large the result is, is known and checked when their headers are there.
        CheckSpace(folder, files.Where(file => !file.IsWeights).Sum(file => file.Bytes - download.BytesThere(file)) + weights.Select(file => file.Bytes).OrderDescending().Take(3).Sum());
        foreach (HubFile file in files.Where(file => !file.IsWeights))
        {
            await download.FetchAsync(file, replace: false, check: null, cancellation).ConfigureAwait(false);
            ComingWeights.SetTime(file, download.PathOf(file));
        }

        ComingWeights coming = new(download, weights, folder, receipt, cancellation);
        await coming.PrepareAsync().ConfigureAwait(false);
        await Task.Run(() => Converter.Run(source, folder, Weights!.Value, coming, ShardBytes, new Conversion(status), cancellation), cancellation).ConfigureAwait(false);
        Directory.Delete(source, recursive: true);
    }

    private static void CheckSpace(string folder, long bytes)
    {
        long free;
        try
        {
            free = new DriveInfo(folder).AvailableFreeSpace;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return; // The system does not tell.
        }

        if (free < bytes) throw new IOException($"{folder} needs {Readable.Bytes(bytes)} more, and {Readable.Bytes(free)} are free there. Free space, give a folder on another disk, or convert on the way with --weights int8 or int4.");
    }

    private sealed class Conversion(StatusLine status) : IProgress<ConversionProgress>
    {
        public void Report(ConversionProgress value) => status.Show(() =>
            $"{(value.Stage == ConversionStage.Checking ? "checking" : "converting")} {Readable.Bytes(value.BytesDone)} of {Readable.Bytes(value.BytesTotal)}: {value.File}");
    }
}
