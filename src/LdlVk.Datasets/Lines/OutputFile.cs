namespace LdlVk.Datasets.Lines;

/// <summary>
/// An output: a stream, or a file that gets its name only when it is complete. Until then it is a temporary file in the same folder. If the
/// run fails, the temporary file is deleted, or renamed to the name plus <c>.partial</c>, up to the last complete line, if the results are
/// lines.
/// </summary>
public sealed class OutputFile : IDisposable
{
    private readonly string? _temporary, _final;
    private readonly Action<long, string>? _keepsLines;
    private bool _complete;

    private OutputFile(Stream stream, string? temporary, string? final, Action<long, string>? keepsLines) =>
        (Stream, _temporary, _final, _keepsLines) = (stream, temporary, final, keepsLines);

    /// <summary>The stream to write to.</summary>
    public Stream Stream { get; }

    /// <summary>Creates an output for an existing stream, such as standard output.</summary>
    public static OutputFile Of(Stream stream) => new(stream, null, null, null);

    /// <summary>Opens a file to write.</summary>
    /// <param name="path">The file.</param>
    /// <param name="flag">The user's name of the file, for messages.</param>
    /// <param name="keepsLines">Called with the number of lines that a failed run keeps, and their file; null if incomplete results are
    /// useless.</param>
    /// <exception cref="UsageException">The file cannot be created.</exception>
    public static OutputFile Open(string path, string flag, Action<long, string>? keepsLines = null)
    {
        if (path.Length == 0 || Directory.Exists(path))
            throw new UsageException($"{flag} '{path}' is not a file name. Give the name of the file to write, or - for standard output.");
        try
        {
            // The target of a link is replaced, not the link. Devices such as /dev/null are written to, not replaced.
            string full = Path.GetFullPath(path);
            string final = new FileInfo(full).LinkTarget is null ? full : File.ResolveLinkTarget(full, returnFinalTarget: true)!.FullName;
            if (!OperatingSystem.IsWindows() && (IsDevice(final) || IsDevice(full)))
                return new OutputFile(
                    new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0), null, null, null);
            if (!Directory.Exists(Path.GetDirectoryName(final)))
                throw new UsageException($"{flag} {path}: there is no folder {Path.GetDirectoryName(final)}. Create it first.");
            string temporary = Path.Combine(Path.GetDirectoryName(final)!, $".{Path.GetFileName(final)}.{Guid.NewGuid():N}.tmp");
            return new OutputFile(
                new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.Read), temporary, final, keepsLines);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"{flag} {path} cannot be written: {e.Message}", e);
        }
    }

    /// <summary>Completes the output: gives the file its name.</summary>
    public void Complete()
    {
        Stream.Flush();
        if (_temporary is null) return;
        ((FileStream)Stream).Flush(flushToDisk: true);
        Stream.Dispose();
        File.Move(_temporary, _final!, overwrite: true);
        _complete = true;
    }

    /// <summary>Keeps the lines of an incomplete file, or deletes it.</summary>
    public void Dispose()
    {
        if (_temporary is null || _complete) return;
        try
        {
            Stream.Dispose();
        }
        catch (IOException)
        {
            // The disk is full; the exception in flight already reports it.
        }

        if (_keepsLines is not null) KeepLines(_keepsLines);
        File.Delete(_temporary);
    }

    private void KeepLines(Action<long, string> tell)
    {
        try
        {
            long lines = 0, end = 0, at = 0;
            using (FileStream file = new(_temporary!, FileMode.Open, FileAccess.ReadWrite))
            {
                byte[] buffer = new byte[1 << 16];
                for (int read; (read = file.Read(buffer)) > 0; at += read)
                {
                    lines += buffer.AsSpan(0, read).Count((byte)'\n');
                    int last = buffer.AsSpan(0, read).LastIndexOf((byte)'\n');
                    if (last >= 0) end = at + last + 1;
                }

                if (lines == 0) return;
                file.SetLength(end);
            }

            string partial = _final + ".partial";
            File.Move(_temporary!, partial, overwrite: true);
            tell(lines, partial);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The exception in flight is the one to report.
        }
    }

    private static bool IsDevice(string path) =>
        path.StartsWith("/dev/", StringComparison.Ordinal) || path.StartsWith("/proc/", StringComparison.Ordinal);
}
