using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Containers.Parquet;
using LdlVk.Datasets.Items;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Datasets.Lines;

/// <summary>The source of a command's lines. Owns the file.</summary>
public sealed class LineSource : IDisposable
{
    private readonly IDisposable? _file;
    private readonly Func<IEnumerable<RawLine>>? _raw;
    private readonly Func<double?> _share;
    private readonly InputLine? _only;
    private readonly string _name;

    private LineSource(
        IDisposable? file, Func<IEnumerable<RawLine>>? raw, Func<double?> share, InputLine? only, string name = "the input") =>
        (_file, _raw, _share, _only, _name) = (file, raw, share, only, name);

    /// <summary>Whether the lines come from a file or from standard input.</summary>
    public bool IsFile => _only is null;

    /// <summary>Creates a source of one given line.</summary>
    public static LineSource Of(InputLine line) => new(null, null, () => null, line);

    /// <summary>Creates a source of the lines of a stream, which the caller closes.</summary>
    /// <param name="stream">JSON lines.</param>
    /// <param name="cancellationToken">Cancels waiting for more lines.</param>
    public static LineSource Of(Stream stream, CancellationToken cancellationToken = default) =>
        new(null, new LineReader(stream, cancellationToken).Lines, () => null, null);

    /// <summary>
    /// Opens a file of JSON lines, also compressed with gzip or Zstandard, or of Parquet. The content determines the format, not the name.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="name">The user's name of the input, for messages.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <exception cref="UsageException">The file does not exist or cannot be read.</exception>
    public static LineSource Open(string path, string name = "the input", CancellationToken cancellationToken = default)
    {
        if (Directory.Exists(path)) throw new UsageException($"{name} {path} is a folder. Give a file of JSON lines, or of Parquet.");
        if (!File.Exists(path)) throw new UsageException($"There is no file {path} for {name}.");
        try
        {
            FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
            if (!file.CanSeek) return new LineSource(file, new LineReader(file, cancellationToken).Lines, () => null, null, name); // a pipe
            Span<byte> magic = stackalloc byte[4];
            int read = file.ReadAtLeast(magic, magic.Length, throwOnEndOfStream: false);
            file.Position = 0;
            if (ParquetFile.Is(magic[..read]))
            {
                file.Dispose();
                ParquetFile parquet = ParquetFile.Open(path, cancellationToken);
                return new LineSource(parquet, parquet.Lines, () => parquet.Share, null, name);
            }

            // Compressed files are read in small parts, so the position shows the progress.
            long bytes = file.Length;
            Stream plain = CompressedFile.Open(path, file, magic[..read]);
            LineReader reader = new(plain, cancellationToken);
            return new LineSource(
                plain,
                reader.Lines,
                () => bytes == 0 ? null : Math.Clamp((file.Position - (plain == file ? reader.Ahead : 0)) / (double)bytes, 0, 1),
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
            line.Digest = Digest.Value;
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
            $"The {Readable.Plural(done, "result")} that are there are not of the lines that {_name} has now. "
            + $"Use the same input, or another output file.");

    /// <summary>Returns the unparsed lines of the file. Only a blank last line is omitted.</summary>
    public IEnumerable<RawLine> RawLines()
    {
        RawLine? blank = null;
        foreach (RawLine line in _raw!())
        {
            if (blank is { } before) yield return before;
            blank = line.IsBlank ? line with { Bytes = default } : null;
            if (blank is null) yield return line;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _file?.Dispose();
}
