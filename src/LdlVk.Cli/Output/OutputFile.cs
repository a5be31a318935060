using LdlVk.Runtime;

namespace LdlVk.Cli.Output;

/// <summary>
/// What a command writes: standard output, or a file that appears under its name only when it is complete. Until then it is a temporary
/// file in the same folder, which is removed when the run fails.
/// </summary>
internal sealed class OutputFile : IDisposable
{
    private readonly string? _temporary, _final;

    private OutputFile(Stream stream, string? temporary, string? final) => (Stream, _temporary, _final) = (stream, temporary, final);

    /// <summary>Where to write.</summary>
    public Stream Stream { get; }

    /// <summary>Opens an output; <c>-</c> and null are standard output.</summary>
    /// <param name="path">Value of the flag.</param>
    /// <param name="flag">Name of the flag, for messages.</param>
    /// <param name="terminal">The standard streams.</param>
    /// <exception cref="UsageException">The file cannot be made there.</exception>
    public static OutputFile Open(string? path, string flag, Terminal terminal)
    {
        if (path is null or "-") return new OutputFile(terminal.Out, null, null);
        if (path.Length == 0 || Directory.Exists(path)) throw new UsageException($"{flag} '{path}' is not a file name. Give the name of the file to write, or - for standard output.");
        try
        {
            // A link's target is replaced, not the link; and devices such as /dev/null are written to, not replaced.
            string full = Path.GetFullPath(path);
            string final = new FileInfo(full).LinkTarget is null ? full : File.ResolveLinkTarget(full, returnFinalTarget: true)!.FullName;
            if (!OperatingSystem.IsWindows() && (IsDevice(final) || IsDevice(full)))
                return new OutputFile(new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0), null, null);
            if (!Directory.Exists(Path.GetDirectoryName(final))) throw new UsageException($"{flag} {path}: there is no folder {Path.GetDirectoryName(final)}. Make it first.");
            string temporary = Path.Combine(Path.GetDirectoryName(final)!, $".{Path.GetFileName(final)}.{Guid.NewGuid():N}.tmp");
            return new OutputFile(new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.Read), temporary, final);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"{flag} {path} cannot be written: {e.Message}", e);
        }
    }

    /// <summary>The output is complete: gives the file its name.</summary>
    public void Complete()
    {
        Stream.Flush();
        if (_temporary is null) return;
        ((FileStream)Stream).Flush(flushToDisk: true);
        Stream.Dispose();
        File.Move(_temporary, _final!, overwrite: true);
    }

    /// <summary>Removes what is not complete.</summary>
    public void Dispose()
    {
        if (_temporary is null) return;
        try
        {
            Stream.Dispose();
        }
        catch (IOException)
        {
            // The last bytes did not fit on the disk: the error that is on its way already says so.
        }

        File.Delete(_temporary);
    }

    private static bool IsDevice(string path) => path.StartsWith("/dev/", StringComparison.Ordinal) || path.StartsWith("/proc/", StringComparison.Ordinal);
}
