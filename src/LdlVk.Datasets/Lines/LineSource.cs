using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Containers.Arrow;
using LdlVk.Datasets.Containers.Parquet;
using LdlVk.Datasets.Items;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Datasets.Lines;

/// <summary>The source of a command's lines. Owns the file.</summary>
public sealed class LineSource : IDisposable
{
    private readonly IDisposable? _file;
    private readonly Func<ItemFields, IEnumerable<RawLine>>? _raw;
    private readonly Func<double?> _share;
    private readonly InputLine? _only;
    private readonly string _name;

    private LineSource(
        IDisposable? file, Func<ItemFields, IEnumerable<RawLine>>? raw, Func<double?> share, InputLine? only, string name = "the input") =>
        (_file, _raw, _share, _only, _name) = (file, raw, share, only, name);

    /// <summary>Whether the lines come from a file or from standard input.</summary>
    public bool IsFile => _only is null;

    /// <summary>Creates a source of one given line.</summary>
    public static LineSource Of(InputLine line) => new(null, null, () => null, line);

    /// <summary>Creates a source of the lines of a stream, which the caller closes.</summary>
    /// <param name="stream">Items in one of the containers of <see cref="Open"/>, except Parquet and folders.</param>
    /// <param name="cancellationToken">Cancels waiting for more lines.</param>
    public static LineSource Of(Stream stream, CancellationToken cancellationToken = default)
    {
        InputBuffer input = new(stream, cancellationToken);
        return new LineSource(null, names => new ContainerReader(input, "The input", names, isFile: false).Lines(), () => null, null);
    }

    /// <summary>
    /// Opens a file of JSON lines, a JSON array, an object of lists, CSV, TSV or Arrow, each also compressed with gzip or Zstandard, or of
    /// Parquet; or a folder of Arrow files that <c>datasets</c> saved. The content determines the format, not the name.
    /// </summary>
    /// <param name="path">The file or folder.</param>
    /// <param name="name">The user's name of the input, for messages.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <exception cref="UsageException">The file does not exist or cannot be read.</exception>
    public static LineSource Open(string path, string name = "the input", CancellationToken cancellationToken = default)
    {
        if (Directory.Exists(path)) return OpenFolder(path, name, cancellationToken);
        if (!File.Exists(path)) throw new UsageException($"There is no file {path} for {name}.");
        try
        {
            FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
            if (file.CanSeek && IsParquet(file))
            {
                file.Dispose();
                ParquetFile parquet = ParquetFile.Open(path, cancellationToken);
                return new LineSource(parquet, _ => parquet.Lines(), () => parquet.Share, null, name);
            }

            // Decompressors read in small parts, so that the bytes used show the progress.
            long bytes = file.CanSeek ? file.Length : 0;
            InputBuffer input = new(file, cancellationToken);
            return new LineSource(
                file,
                names => new ContainerReader(input, path, names, isFile: file.CanSeek).Lines(),
                () => bytes == 0 ? null : Math.Clamp(input.Used / (double)bytes, 0, 1),
                null,
                name);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"{name} {path} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>The fields of an item's parts.</summary>
    public ItemFields Names { get; set; } = ItemFields.Usual;

    /// <summary>Returns the lines as items to score; each is parsed on demand.</summary>
    public IEnumerable<InputLine> Lines() => _only is not null ? [_only] : RawLines().Select(raw => Parse(raw));

    /// <summary>The digest of the input, after all lines have been read.</summary>
    public LineDigest Digest { get; } = new();

    /// <summary>Returns the lines of a part that have no results yet.</summary>
    /// <param name="shard">The part.</param>
    /// <param name="done">Number of its lines that have results.</param>
    /// <param name="digest">The value of <see cref="Digest"/> at the last of those lines.</param>
    /// <exception cref="UsageException">The input does not begin with those lines.</exception>
    public IEnumerable<InputLine> Lines(Shard shard, long done, string digest)
    {
        if (_only is not null)
        {
            yield return _only;
            yield break;
        }

        long left = done;
        foreach (RawLine raw in RawLines())
        {
            Digest.Add(raw);
            if (!shard.Has(raw.Number)) continue;
            if (left > 0)
            {
                left--;
                if (left == 0 && Digest.Value != digest) throw Changed(done);
                continue;
            }

            InputLine line = Parse(raw);
            line.Digest = Digest.Hold();
            yield return line;
        }

        if (left > 0) throw Changed(done);
    }

    private InputLine Parse(RawLine raw)
    {
        InputLine line = InputLine.Parse(raw, Names);
        line.Share = _share();
        return line;
    }

    private UsageException Changed(long done) =>
        new(
            $"The {Readable.Plural(done, "result")} of an earlier run {(done == 1 ? "is" : "are")} not of the lines that {_name} has now. "
            + "Use the same input, or another output file.");

    /// <summary>Returns the unparsed lines of the file. Only a blank last line is omitted.</summary>
    public IEnumerable<RawLine> RawLines()
    {
        RawLine? blank = null;
        foreach (RawLine line in _raw!(Names))
        {
            if (blank is { } before) yield return before;
            blank = line.IsBlank ? line with { Bytes = default } : null;
            if (blank is null) yield return line;
        }
    }

    /// <summary>Opens a folder of Arrow files, which are read one after another.</summary>
    private static LineSource OpenFolder(string path, string name, CancellationToken cancellationToken)
    {
        IReadOnlyList<string> files = ArrowFolder.Files(path, name);
        long all = files.Sum(file => new FileInfo(file).Length), used = 0;
        return new LineSource(null, Lines, () => all == 0 ? null : Math.Clamp(used / (double)all, 0, 1), null, name);

        IEnumerable<RawLine> Lines(ItemFields names)
        {
            long number = 0, before = 0;
            foreach (string path in files)
            {
                using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
                InputBuffer input = new(file, cancellationToken);
                foreach (RawLine line in new ArrowFile(input, path).Lines())
                {
                    used = before + input.Used;
                    yield return line with { Number = number++ };
                }

                before += file.Length;
            }
        }
    }

    private static bool IsParquet(FileStream file)
    {
        Span<byte> magic = stackalloc byte[4];
        int read = file.ReadAtLeast(magic, magic.Length, throwOnEndOfStream: false);
        file.Position = 0;
        return ParquetFile.Is(magic[..read]);
    }

    /// <inheritdoc/>
    public void Dispose() => _file?.Dispose();
}
