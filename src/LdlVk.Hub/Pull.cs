using LdlVk.Runtime.Conversion;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Hub;

/// <summary>The result of a pull.</summary>
/// <param name="Folder">Full path of the folder.</param>
/// <param name="Commit">The commit of the repository.</param>
/// <param name="Bytes">Bytes of the repository's files that the model needs.</param>
/// <param name="Downloaded">Bytes that came from the hub in this call.</param>
/// <param name="Time">Time of this call.</param>
public sealed record PullResult(string Folder, string Commit, long Bytes, long Downloaded, TimeSpan Time);

/// <summary>
/// Downloads a model from a hub into a folder. After an interruption the same call continues: files with the right checksum are kept, and
/// so is the beginning of the file that was coming.
/// </summary>
/// <param name="client">The client of the model's repository.</param>
/// <param name="progress">Told how far the pull is, from the calling thread; null for nobody.</param>
public sealed class Pull(HubClient client, IProgress<PullProgress>? progress = null)
{
    private readonly HubRepository _repository = client.Repository;

    /// <summary>Patterns, with * and ?, of files that are downloaded beside those that a model needs.</summary>
    public IReadOnlyList<string> Include { get; init; } = [];

    /// <summary>Patterns, with * and ?, of files that are not downloaded.</summary>
    public IReadOnlyList<string> Exclude { get; init; } = [];

    /// <summary>Format to which the layers' weights are converted as they come; null for a copy.</summary>
    public WeightFormat? Weights { get; init; }

    /// <summary>The head that a conversion keeps, where the model has several; null for the only one that there is.</summary>
    public string? Head { get; init; }

    /// <summary>Bytes of each weight file that a conversion writes.</summary>
    public long ShardBytes { get; init; } = 4L << 30;

    /// <summary>Downloads the model.</summary>
    /// <param name="destination">A folder that is new, empty, or was begun by the same call.</param>
    /// <param name="cancellationToken">Ends the download; the bytes on the disk stay for the next call.</param>
    /// <exception cref="UsageException">The model does not exist, may not be read, or the folder holds something else.</exception>
    /// <exception cref="IOException">The hub does not answer, sends wrong bytes, or the disk is too small.</exception>
    public async Task<PullResult> RunAsync(string destination, CancellationToken cancellationToken)
    {
        string folder = Path.GetFullPath(destination);
        if (Head is not null && Weights is null)
            throw new UsageException(
                $"{OptionName.Head.Of(Head)} chooses what a conversion keeps, and without {OptionName.Weights} nothing is converted. "
                + $"Leave it out, and choose the head when the model scores.");
        if (File.Exists(folder)) throw new UsageException($"{folder} is a file. Give the name of a new folder.");
        progress?.Report(new PullProgress(PullStage.Listing, _repository.Name, 0, 0, 0));
        HubFiles listed = await client.ListAsync(cancellationToken).ConfigureAwait(false);
        IReadOnlyList<HubFile> files = listed.Select(_repository, Include, Exclude);
        PullReceipt wanted = new(
            _repository.Page, listed.Commit, Weights is { } format ? Readable.Name(format) : "", false, new HashSet<string>())
        {
            Head = Head ?? "",
        };
        PullReceipt? found = Check(folder, wanted);
        long began = TimeProvider.System.GetTimestamp(), bytes = files.Sum(file => file.Bytes);
        DownloadProgress counted = new(progress, bytes);
        if (found is not { IsComplete: true } || Weights is null)
        {
            Directory.CreateDirectory(folder);
            if (found is null) wanted.Write(folder);
            if (Weights is null) await CopyAsync(files, folder, listed.Commit, counted, cancellationToken).ConfigureAwait(false);
            else await ConvertAsync(files, folder, found ?? wanted, counted, cancellationToken).ConfigureAwait(false);
            (wanted with { IsComplete = true }).Write(folder);
        }

        return new PullResult(folder, listed.Commit, bytes, counted.New, TimeProvider.System.GetElapsedTime(began));
    }

    /// <summary>Refuses a folder that holds something else.</summary>
    private PullReceipt? Check(string folder, PullReceipt wanted)
    {
        if (!Directory.Exists(folder)) return null;
        PullReceipt? found = PullReceipt.Read(folder);
        if (found is null)
        {
            string[] names = [.. Directory.EnumerateFileSystemEntries(folder).Select(Path.GetFileName).OfType<string>().Take(4)];
            return names.Length == 0
                ? null
                : throw new UsageException(
                    $"{folder} is not empty and was not begun by ldlvk pull: there is {string.Join(", ", names)}. Give a new folder.");
        }

        if (found.Repository != wanted.Repository) throw new UsageException($"{folder} holds {found.Repository}. Give another folder.");
        if (found.Weights != wanted.Weights)
        {
            string has = found.Weights.Length == 0 ? "the model as it is" : $"a conversion to {found.Weights} weights";
            Notice given = wanted.Weights.Length == 0 ? (Notice)$"no {OptionName.Weights} are"
                : $"{OptionName.Weights.Of(wanted.Weights)} is";
            throw new UsageException(
                $"{folder} holds {has}, and {given} given now. Give another folder.");
        }

        if (found.Head != wanted.Head)
            throw new UsageException(
                $"{folder} holds a conversion with {(found.Head.Length == 0 ? "the only head" : $"the head {found.Head}")}, and "
                + (wanted.Head.Length == 0 ? (Notice)$"no {OptionName.Head} is" : $"{OptionName.Head.Of(wanted.Head)} is")
                + " given now. Give another folder.");
        if (found.Commit != wanted.Commit)
            throw new UsageException(
                $"{folder} holds commit {found.Commit}, but {_repository.Revision} is {wanted.Commit} now. "
                    + $"Give another folder, or {HubOption.Revision.Of(found.Commit)} to go on.");
        return found;
    }

    private async Task CopyAsync(
        IReadOnlyList<HubFile> files, string folder, string commit, DownloadProgress counted, CancellationToken cancellationToken)
    {
        Download download = new(client, _repository, commit, folder, counted);
        CheckSpace(folder, files.Sum(file => file.Bytes - download.BytesThere(file)));
        // The index comes last: without it the folder is refused.
        foreach (
            HubFile file in files.OrderBy(file => file.Name.EndsWith(".index.json", StringComparison.Ordinal) ? 2 : file.IsWeights ? 1 : 0)
                .ThenBy(file => file.Name, StringComparer.Ordinal))
            await download.FetchAsync(file, replace: false, check: null, cancellationToken).ConfigureAwait(false);
    }

    private async Task ConvertAsync(
        IReadOnlyList<HubFile> files, string folder, PullReceipt receipt, DownloadProgress counted, CancellationToken cancellationToken)
    {
        // Hidden: a conversion refuses a folder that holds something else.
        string source = Path.Combine(folder, ".download");
        Download download = new(client, _repository, receipt.Commit, source, counted);
        HubFile[] weights = [.. files.Where(file => file.IsWeights)];
        if (weights.Any(file => !file.IsSafetensors))
        {
            await ConvertWholeAsync(files, folder, download, cancellationToken).ConfigureAwait(false);
            return;
        }

        // A converted file is made of up to three files of the usual size. The size of the result is known, and checked, once the headers
        // are there.
        CheckSpace(
            folder,
            files.Where(file => !file.IsWeights).Sum(file => file.Bytes - download.BytesThere(file))
                + weights.Select(file => file.Bytes).OrderDescending().Take(3).Sum());
        foreach (HubFile file in files.Where(file => !file.IsWeights))
        {
            await download.FetchAsync(file, replace: false, check: null, cancellationToken).ConfigureAwait(false);
            ComingWeights.SetTime(file, download.PathOf(file));
        }

        ComingWeights coming = new(download, weights, folder, receipt, cancellationToken);
        await coming.PrepareAsync().ConfigureAwait(false);
        await Task.Run(
            () =>
                Converter.Run(
                    source, folder, Weights!.Value, coming, ShardBytes, progress is null ? null : new Conversion(progress),
                    cancellationToken, Head),
            cancellationToken).ConfigureAwait(false);
        Directory.Delete(source, recursive: true);
    }

    /// <summary>
    /// Downloads files of PyTorch and converts them then: their list of tensors is not at the beginning of a file, where it could be read
    /// before the rest has come.
    /// </summary>
    private async Task ConvertWholeAsync(
        IReadOnlyList<HubFile> files, string folder, Download download, CancellationToken cancellationToken)
    {
        string source = Path.Combine(folder, ".download");
        CheckSpace(folder, files.Sum(file => file.Bytes - download.BytesThere(file)));
        foreach (HubFile file in files)
        {
            await download.FetchAsync(file, replace: false, check: null, cancellationToken).ConfigureAwait(false);
            ComingWeights.SetTime(file, download.PathOf(file));
        }

        await Task.Run(
            () => Converter.Run(
                source, folder, Weights!.Value, progress is null ? null : new Conversion(progress), cancellationToken: cancellationToken,
                head: Head),
            cancellationToken).ConfigureAwait(false);
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
            return; // the system does not tell
        }

        if (free < bytes)
            throw new IOException(
                $"{folder} needs {Readable.Bytes(bytes)} more, and {Readable.Bytes(free)} are free there. "
                    + "Free space, give a folder on another disk, or convert the weights to int8 or int4 on the way.");
    }

    /// <summary>Reports the progress of a conversion as that of the pull.</summary>
    private sealed class Conversion(IProgress<PullProgress> progress) : IProgress<ConversionProgress>
    {
        public void Report(ConversionProgress value) => progress.Report(new PullProgress(
            value.Stage == ConversionStage.Checking ? PullStage.Checking : PullStage.Converting, value.File, value.BytesDone,
                value.BytesTotal, 0));
    }
}
