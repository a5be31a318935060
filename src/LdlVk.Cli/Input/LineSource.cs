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
            FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
            return new LineSource(file, new LineReader(file, cancellation).Lines, null);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"--input {path} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>The lines as texts to score, each parsed when it is asked for.</summary>
    public IEnumerable<InputLine> Lines() => _only is not null ? [_only] : RawLines().Select(InputLine.Parse);

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
