using LdlVk.Cli.Output;
using LdlVk.Runtime;

namespace LdlVk.Cli.Input;

/// <summary>Where a command's lines come from; owns the file.</summary>
internal sealed class LineSource : IDisposable
{
    private readonly Stream? _file;
    private readonly Func<IEnumerable<RawLine>>? _raw;
    private readonly InputLine? _only;

    private LineSource(Stream? file, Func<IEnumerable<RawLine>>? raw, InputLine? only) => (_file, _raw, _only) = (file, raw, only);

    /// <summary>Whether the lines come from a file or from standard input.</summary>
    public bool IsFile => _only is null;

    /// <summary>One line that is there already.</summary>
    public static LineSource Of(InputLine line) => new(null, null, line);

    /// <summary>The lines of a file; <c>-</c> is standard input.</summary>
    /// <exception cref="UsageException">There is no such file, or it cannot be read.</exception>
    public static LineSource Open(string path, Terminal terminal, CancellationToken cancellation)
    {
        if (path == "-") return new LineSource(null, new LineReader(terminal.In, cancellation).Lines, null);
        if (Directory.Exists(path)) throw new UsageException($"--input {path} is a folder. Give a file of JSON lines.");
        if (!File.Exists(path)) throw new UsageException($"There is no file {path} for --input.");
        try
        {
            Stream file = CompressedFile.Open(path);
            return new LineSource(file, new LineReader(file, cancellation).Lines, null);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"--input {path} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>The lines as texts to score, each parsed when it is asked for.</summary>
    public IEnumerable<InputLine> Lines() => _only is not null ? [_only] : RawLines().Select(InputLine.Parse);

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

            InputLine line = InputLine.Parse(raw);
            line.Digest = Digest.Value;
            yield return line;
        }

        if (left > 0) throw Changed(done);
    }

    private static UsageException Changed(long done) =>
        new($"The {Text.Plural(done, "result")} that are there are not of the lines that --input has now. Use the same input, or another --output.");

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
