using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Containers.Parquet;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Datasets.Lines;

/// <summary>Where a command's lines come from; owns the file.</summary>
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

    /// <summary>One line that is there already.</summary>
    public static LineSource Of(InputLine line) => new(null, null, () => null, line);

    /// <summary>The lines of a stream, which stays the caller's to close.</summary>
    /// <param name="stream">JSON lines.</param>
    /// <param name="cancellationToken">Ends the wait for more.</param>
    public static LineSource Of(Stream stream, CancellationToken cancellationToken = default) =>
        new(null, new LineReader(stream, cancellationToken).Lines, () => null, null);

    /// <summary>The lines of a file: JSON lines, also in gzip or Zstandard, or Parquet. The content decides, not the name.</summary>
    /// <param name="path">The file.</param>
    /// <param name="name">What the caller's user calls the input, for messages.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    /// <exception cref="UsageException">There is no such file, or it cannot be read.</exception>
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

            // A gzip or Zstandard file is read in pieces that are small beside it.
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

    /// <summary>The lines as texts to score, each parsed when it is asked for.</summary>
    public IEnumerable<InputLine> Lines() => _only is not null ? [_only] : RawLines().Select(raw => Parse(raw));

    /// <summary>What has been read of the input, when all lines have been.</summary>
    public LineDigest Digest { get; } = new();

    /// <summary>The lines of a part, but for those that have results.</summary>
    /// <param name="shard">The part.</param>
    /// <param name="done">Lines of it that have results.</param>
    /// <param name="digest">What <see cref="Digest"/> was at the last of them.</param>
    /// <exception cref="UsageException">The input begins with other lines than those.</exception>
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
        InputLine line = InputLine.Parse(raw);
        line.Share = _share();
        return line;
    }

    private UsageException Changed(long done) =>
        new(
            $"The {Readable.Plural(done, "result")} that are there are not of the lines that {_name} has now. "
            + $"Use the same input, or another output file.");

    /// <summary>The lines of the file as they are. Of blank lines only the very last one is left out.</summary>
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
