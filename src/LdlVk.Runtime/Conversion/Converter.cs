using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Files;
using LdlVk.Runtime.Model;
using LdlVk.Runtime.Model.Heads;

namespace LdlVk.Runtime.Conversion;

/// <summary>Progress of a conversion.</summary>
/// <param name="Stage">The current stage.</param>
/// <param name="File">The current file.</param>
/// <param name="BytesDone">Number of bytes of the result that are checked or written.</param>
/// <param name="BytesTotal">Size of the result in bytes.</param>
public readonly record struct ConversionProgress(ConversionStage Stage, string File, long BytesDone, long BytesTotal);

/// <summary>Stage of a conversion.</summary>
public enum ConversionStage
{
    /// <summary>Verifying the checksums of files of an earlier attempt.</summary>
    Checking,
    /// <summary>Writing files.</summary>
    Writing,
}

/// <summary>Result of a conversion.</summary>
/// <param name="Folder">The converted folder, as a full path.</param>
/// <param name="Bytes">Size of its files in bytes.</param>
/// <param name="BytesWritten">Number of bytes written by this call; the rest already existed, with verified checksums.</param>
/// <param name="Writing">Duration of writing, including conversion.</param>
public sealed record ConversionResult(string Folder, long Bytes, long BytesWritten, TimeSpan Writing);

/// <summary>
/// <c>ldlvk convert</c>: writes a copy of a checkpoint's folder with the layers in a device's format (<see cref="ConvertedFormat"/>). Each
/// file is complete and flushed to disk before it gets its name, and the index comes last. The folder of an interrupted conversion
/// therefore cannot be loaded; the same call keeps its complete files and finishes it. Memory is limited to a few chunks and the scales of
/// one matrix, for any size of the model.
/// </summary>
public sealed class Converter
{
    private const string IndexName = ShardedTensors.IndexName;

    /// <summary>The files of the tokenizer and the chat template.</summary>
    private static readonly string[] TextFiles =
    [
        "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json",
        "chat_template.jinja", "chat_template.json",
    ];

    /// <summary>
    /// Files that are copied if they exist. config.json gets the quantization method.
    /// </summary>
    private static readonly string[] Copied =
    [
        CheckpointFolder.ConfigName, "generation_config.json", .. TextFiles, "labels.json",
        "LICENSE", "LICENSE.txt", "NOTICE", "NOTICE.txt",
    ];

    private readonly OutputFolder _folder;
    private readonly ConversionPlan _plan;
    private readonly ConversionManifest _manifest;
    private readonly Output[] _outputs;
    private readonly long _shardBytes;
    private readonly IWeightSupply? _supply;
    private readonly IProgress<ConversionProgress>? _progress;
    private readonly string? _chosen;
    private readonly CancellationToken _cancellationToken;

    private Converter(
        Checkpoint checkpoint,
        OutputFolder folder,
        WeightFormat weights,
        long shardBytes,
        IWeightSupply? supply,
        IProgress<ConversionProgress>? progress,
        string? chosen,
        CancellationToken cancellationToken)
    {
        (_folder, _shardBytes, _supply, _progress, _cancellationToken) = (folder, shardBytes, supply, progress, cancellationToken);
        _chosen = chosen;
        string[] copied = [.. Copied.Select(name => FileOf(checkpoint, name)).Where(File.Exists)];
        SourceFile[] source = [.. copied.Concat(checkpoint.WeightFiles).Concat(checkpoint.AdapterFiles).Select(SourceFile.Of)];
        // Conversions with two heads of a model write different tensors.
        string result = ConvertedFormat.Name(weights)
            + (checkpoint.Head is LogitHead head ? $" {head.Summary}" : chosen is null ? "" : $" head {chosen}");
        ConvertedFormat format = new(weights, checkpoint.SourceType, ConversionManifest.Identify(result, source, shardBytes));
        _plan = ConversionPlan.Of(checkpoint, format, shardBytes);
        _manifest = new ConversionManifest(format, source, new SortedDictionary<string, CompleteFile>(StringComparer.Ordinal));
        _outputs =
        [
            .. copied.Select(path => Path.GetFileName(path) == CheckpointFolder.ConfigName ? Config(path, format) : Copy(path)),
            .. _plan.Shards.Select((shard, i) => supply is null ? Convert(shard, checkpoint) : ConvertWhatComes(shard, i, checkpoint)),
        ];
    }

    private long Total => _outputs.Sum(output => output.Bytes);

    /// <summary>Converts a checkpoint, or continues an interrupted conversion.</summary>
    /// <param name="source">The checkpoint's folder.</param>
    /// <param name="destination">A folder that is new, empty, or an unfinished conversion of the same source to the same weights.</param>
    /// <param name="weights">Format of the layers' matrices: all but fp32.</param>
    /// <param name="progress">Receives the progress about every 8 MB.</param>
    /// <param name="adapter">Folder of a PEFT adapter that is merged into the result; null for none.</param>
    /// <param name="head">The head, as for <see cref="Checkpoint.Open"/>.</param>
    /// <param name="cancellationToken">Cancels the conversion; complete files are kept for the next call.</param>
    /// <exception cref="CheckpointException">The source is damaged or not supported.</exception>
    /// <exception cref="UsageException">The destination holds something else, or the source was converted to other weights.</exception>
    /// <exception cref="IOException">There is not enough space, or the disk failed; the message lists what is kept.</exception>
    public static ConversionResult Run(
        string source, string destination, WeightFormat weights, IProgress<ConversionProgress>? progress = null,
        string? adapter = null, CancellationToken cancellationToken = default,
        string? head = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(destination);
        return Run(
            source, new OutputFolder(destination), weights, ConversionPlan.ShardBytes, progress, cancellationToken, adapter: adapter,
            head: head);
    }

    /// <summary>
    /// Converts a checkpoint whose safetensors files are downloaded during the conversion, so that they are never all on the disk.
    /// </summary>
    /// <param name="source">Its folder, with all files except the safetensors files, and with the headers of those (see
    /// <see cref="IWeightSupply"/>).</param>
    /// <param name="destination">A folder that is new, empty, or an unfinished conversion of the same source to the same weights.</param>
    /// <param name="weights">Format of the layers' matrices: all but fp32.</param>
    /// <param name="supply">Provides the safetensors files.</param>
    /// <param name="shardBytes">Target size of a file of the result in bytes.</param>
    /// <param name="progress">Receives the progress about every 8 MB.</param>
    /// <param name="cancellationToken">Cancels the conversion; complete files are kept for the next call.</param>
    /// <param name="head">The head, as for <see cref="Checkpoint.Open"/>.</param>
    /// <exception cref="CheckpointException">The source is damaged or not supported.</exception>
    /// <exception cref="UsageException">The destination holds something else, or the source was converted to other weights.</exception>
    /// <exception cref="IOException">There is not enough space, or the disk failed; the message lists what is kept.</exception>
    public static ConversionResult Run(
        string source, string destination, WeightFormat weights, IWeightSupply supply, long shardBytes = ConversionPlan.ShardBytes,
        IProgress<ConversionProgress>? progress = null, CancellationToken cancellationToken = default, string? head = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(destination);
        ArgumentNullException.ThrowIfNull(supply);
        return Run(source, new OutputFolder(destination), weights, shardBytes, progress, cancellationToken, supply, head: head);
    }

    /// <summary>Converts to an output folder that the caller provides.</summary>
    internal static ConversionResult Run(
        string source, OutputFolder folder, WeightFormat weights, long shardBytes, IProgress<ConversionProgress>? progress = null,
        CancellationToken cancellationToken = default, IWeightSupply? supply = null, string? adapter = null,
        string? head = null)
    {
        if (weights == WeightFormat.Fp32)
            throw new UsageException(
                "There is nothing to convert to fp32: a device that takes fp32 weights reads any original folder. Use fp16, int8 or int4.");
        if (File.Exists(folder.Path)) throw new UsageException($"{folder.Path} is a file. Give the name of a new folder.");
        using Checkpoint checkpoint = Checkpoint.Open(source, adapter, head);
        string[] read = [.. new[] { checkpoint.Folder, checkpoint.AdapterFolder }.OfType<string>()];
        if (read.Any(path => RealPath.Of(path) == RealPath.Of(folder.Path)
            || (FileIdentity.Of(folder.Path) is { } there && there == FileIdentity.Of(path))))
            throw new UsageException($"{source} cannot be converted into itself. Give another folder to write to.");
        if (checkpoint.Converted is { } converted && converted.Weights != weights)
        {
            string has = ConvertedFormat.Name(converted.Weights), wanted = ConvertedFormat.Name(weights);
            throw new UsageException(
                $"{source} was converted to {has} weights, and a conversion of those to {wanted} would add a second rounding error. "
                + $"Convert the original folder to {wanted}.");
        }

        Converter converter = new(checkpoint, folder, weights, shardBytes, supply, progress, head, cancellationToken);
        // Some systems cannot replace open files.
        if (supply is not null) checkpoint.Dispose();
        using IDisposable locked = folder.Lock();
        converter.TakeStock();
        return converter.Write();
    }

    /// <summary>
    /// Verifies the existing files: adds complete ones to the manifest, and throws if the folder has foreign files.
    /// </summary>
    private void TakeStock()
    {
        const string manifest = ConvertedFormat.ManifestName;
        IReadOnlyList<string> names = _folder.Names;
        if (!names.Contains(manifest))
        {
            // The manifest is the first file. An attempt that ended before it was complete left at most a part of the manifest.
            RefuseOthers([manifest + OutputFolder.PartialSuffix], "is not empty");
            return;
        }

        (string conversion, string weights, SortedDictionary<string, CompleteFile> complete) = ReadManifest();
        string wanted = ConvertedFormat.Name(_manifest.Format.Weights);
        if (weights != wanted) throw Refused($"holds a conversion to {Shown.Short(weights)} weights, not {wanted}");
        if (conversion != _manifest.Format.Conversion)
            throw Refused("holds the conversion of another model, or of this one before its files were changed");
        string[] own = [.. _outputs.Select(output => output.Name), manifest, IndexName];
        RefuseOthers([.. own, .. own.Select(name => name + OutputFolder.PartialSuffix)], "holds more than a conversion");
        foreach (Output output in _outputs)
            if (complete.TryGetValue(output.Name, out CompleteFile file) && IsIntact(output, file))
                _manifest.Complete.Add(output.Name, file);

        void RefuseOthers(string[] known, string why)
        {
            string[] foreign = [.. names.Where(name => !known.Contains(name))];
            if (foreign.Length > 0)
                throw Refused(
                    $"{why}: there is {string.Join(", ", foreign.Take(4).Select(Shown.Short))}{(foreign.Length > 4 ? ", …" : "")}");
        }
    }

    private (string Conversion, string Weights, SortedDictionary<string, CompleteFile> Complete) ReadManifest()
    {
        try
        {
            return ConversionManifest.Read(_folder[ConvertedFormat.ManifestName]);
        }
        catch (CheckpointException e)
        {
            throw new UsageException(
                $"{_folder.Path} holds a conversion whose {ConvertedFormat.ManifestName} is damaged. Give a new folder, or empty this one.",
                e);
        }
    }

    private UsageException Refused(string why) => new($"{_folder.Path} {why}. Give a new folder, or empty this one.");

    /// <summary>Whether a file of an earlier attempt is unchanged.</summary>
    private bool IsIntact(Output output, CompleteFile file)
    {
        FileInfo info = new(_folder[output.Name]);
        if (file.Bytes != output.Bytes || !info.Exists || info.Length != file.Bytes) return false;
        using FileStream stream = info.OpenRead();
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] chunk = new byte[1 << 20];
        for (long done = CompleteBytes; stream.Read(chunk) is var count and > 0; done += count)
        {
            _cancellationToken.ThrowIfCancellationRequested();
            hash.AppendData(chunk, 0, count);
            _progress?.Report(new ConversionProgress(ConversionStage.Checking, output.Name, done + count, Total));
        }
        return System.Convert.ToHexStringLower(hash.GetHashAndReset()) == file.Sha256;
    }

    private long CompleteBytes => _manifest.Complete.Values.Sum(file => file.Bytes);

    private ConversionResult Write()
    {
        Stopwatch watch = Stopwatch.StartNew();
        Output[] missing = [.. _outputs.Where(output => !_manifest.Complete.ContainsKey(output.Name))];
        long bytes = missing.Sum(output => output.Bytes);
        byte[] index = _plan.Index();
        bool indexed = File.Exists(_folder[IndexName]) && File.ReadAllBytes(_folder[IndexName]).AsSpan().SequenceEqual(index);
        if (missing.Length == 0 && indexed) return new ConversionResult(_folder.Path, Total, 0, watch.Elapsed);
        bool isFetching = false;
        try
        {
            CheckSpace(missing, bytes + index.Length);
            // Without the index, the folder cannot be loaded until the conversion is complete.
            _folder.Delete(IndexName);
            WriteManifest();
            using BlockingCollection<byte[]> chunks = WriteQueue.Chunks(_plan.ChunkBytes);
            for (int i = 0; i < missing.Length; i++)
            {
                isFetching = true;
                _supply?.Fetch(missing[i].Sources);
                isFetching = false;
                WriteFile(missing[i], chunks);
                WriteManifest();
                _supply?.Release(
                    missing[i].Sources.Except(missing[(i + 1)..].SelectMany(later => later.Sources)).ToHashSet(StringComparer.Ordinal));
            }
            foreach (string left in _folder.Names.Where(name => name.EndsWith(OutputFolder.PartialSuffix, StringComparison.Ordinal)))
                _folder.Delete(left);
            WriteSmall(IndexName, index);
        }
        catch (Exception e) when (!isFetching && (e is IOException or UnauthorizedAccessException))
        {
            string kept = _manifest.Complete.Count == 0
                ? ""
                : $" {_manifest.Complete.Count} of {_outputs.Length} files are complete and kept: run the same command again to continue.";
            throw new IOException($"{_folder.Path} cannot be written: {e.Message}{kept}", e);
        }
        return new ConversionResult(_folder.Path, Total, bytes, watch.Elapsed);
    }

    private void CheckSpace(Output[] missing, long bytes)
    {
        long reused = missing.SelectMany(output => (string[])[output.Name, output.Name + OutputFolder.PartialSuffix])
            .Select(name => new FileInfo(_folder[name])).Where(file => file.Exists).Sum(file => file.Length);
        if (_folder.FreeBytes is { } free && free + reused < bytes)
            throw new IOException(string.Create(
                CultureInfo.InvariantCulture,
                $"{bytes / 1e9:F2} GB are needed there, and {free / 1e9:F2} GB are free. "
                + $"Free space, or give a folder on another disk."));
    }

    private void WriteFile(Output output, BlockingCollection<byte[]> chunks)
    {
        using OutputFile file = _folder.Create(output.Name);
        string hash;
        using (WriteQueue queue = new(file, chunks, Report, _cancellationToken))
        {
            output.Write(queue);
            hash = queue.Finish();
            if (queue.Written != output.Bytes)
                throw new CheckpointException(
                    $"{output.Name} changed while it was read: {queue.Written:N0} bytes instead of {output.Bytes:N0}. "
                    + $"Run the same command again.");
        }
        file.Complete();
        _manifest.Complete.Add(output.Name, new CompleteFile(output.Bytes, hash));

        void Report(long written) =>
            _progress?.Report(new ConversionProgress(ConversionStage.Writing, output.Name, CompleteBytes + written, Total));
    }

    private void WriteManifest() => WriteSmall(ConvertedFormat.ManifestName, _manifest.ToJson());

    private void WriteSmall(string name, byte[] bytes)
    {
        using OutputFile file = _folder.Create(name);
        file.Write(bytes);
        file.Complete();
    }

    /// <summary>The file of a name: the tokenizer's and the template's may be those of an adapter.</summary>
    private static string FileOf(Checkpoint checkpoint, string name) =>
        Path.Combine(TextFiles.Contains(name) ? checkpoint.TextFolder : checkpoint.Folder, name);

    private static Output Copy(string path) => new(Path.GetFileName(path), new FileInfo(path).Length, queue =>
    {
        using FileStream stream = File.OpenRead(path);
        byte[] chunk = new byte[1 << 20];
        while (stream.Read(chunk) is var count and > 0) queue.Write(chunk.AsSpan(0, count));
    });

    private Output Config(string path, ConvertedFormat format)
    {
        byte[] config = format.Config(path, _chosen);
        return new Output(Path.GetFileName(path), config.Length, queue => queue.Write(config));
    }

    private Output Convert(PlannedShard shard, Checkpoint checkpoint) =>
        new(shard.Name, shard.Bytes, queue => Write(shard, checkpoint, queue));

    /// <summary>
    /// Converts a shard from safetensors files that were fetched for it. Their headers, and therefore the plan, are unchanged.
    /// </summary>
    private Output ConvertWhatComes(PlannedShard shard, int index, Checkpoint checkpoint)
    {
        string source = checkpoint.Folder;
        return new Output(shard.Name, shard.Bytes, queue =>
        {
            using Checkpoint whole = Checkpoint.Open(source, head: _chosen);
            Write(ConversionPlan.Of(whole, _manifest.Format, _shardBytes).Shards[index], whole, queue);
        }) { Sources = shard.Sources(checkpoint) };
    }

    private void Write(PlannedShard shard, Checkpoint checkpoint, WriteQueue queue)
    {
        queue.Write(shard.Header);
        foreach (PlannedTensor tensor in shard.Tensors)
        {
            tensor.Write(queue);
            if (tensor.Bytes > _plan.ChunkBytes) checkpoint.Forget();
        }
    }

    /// <summary>A file of the result.</summary>
    /// <param name="Name">Its name.</param>
    /// <param name="Bytes">Its size.</param>
    /// <param name="Write">Writes it.</param>
    private sealed record Output(string Name, long Bytes, Action<WriteQueue> Write)
    {
        /// <summary>The safetensors files that must be fetched for the file.</summary>
        public IReadOnlySet<string> Sources { get; init; } = new HashSet<string>();
    }
}
