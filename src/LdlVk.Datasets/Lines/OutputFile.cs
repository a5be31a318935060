using LdlVk.Datasets.Files;
using LdlVk.Datasets.Resuming;
using LdlVk.Datasets.Tables;
using LdlVk.Runtime.Files;
using Microsoft.Win32.SafeHandles;

namespace LdlVk.Datasets.Lines;

/// <summary>
/// An output: a stream, or a file that gets its name only when it is complete. Until then it is a temporary file in the same folder. If the
/// run fails, the temporary file is deleted, or renamed to the name plus <c>.partial</c>, up to the last complete line, if the results are
/// lines. Results become a table at the end if the file's name ends with <c>.parquet</c>.
/// </summary>
public sealed class OutputFile : IDisposable
{
    private const string PartialSuffix = ".partial";

    private readonly string? _temporary, _final;
    private readonly Action<long, string>? _keepsLines;
    private bool _complete;

    private OutputFile(Stream stream, string? temporary, string? final, Action<long, string>? keepsLines) =>
        (Stream, _temporary, _final, _keepsLines) = (stream, temporary, final, keepsLines);

    /// <summary>Whether lines of results become a table.</summary>
    public bool IsTable { get; private init; }

    /// <summary>Whether what is written is not seen before the output is complete.</summary>
    internal bool IsHidden => _temporary is not null;

    /// <summary>The stream to write to.</summary>
    public Stream Stream { get; }

    /// <summary>Creates an output for an existing stream, such as standard output.</summary>
    public static OutputFile Of(Stream stream) => new(stream, null, null, null);

    /// <summary>Opens a file to write.</summary>
    /// <param name="path">The file.</param>
    /// <param name="flag">The user's name of the file, for messages.</param>
    /// <param name="keepsLines">Called with the number of lines that a failed run keeps, and their file; null if incomplete results are
    /// useless.</param>
    /// <param name="isResults">Whether lines of results are written, which become a table if the file's name says so.</param>
    /// <exception cref="UsageException">The file cannot be created.</exception>
    public static OutputFile Open(string path, string flag, Action<long, string>? keepsLines = null, bool isResults = false)
    {
        bool isTable = isResults && ResultTable.IsTable(path);
        if (path.Length == 0 || Directory.Exists(path) || Path.EndsInDirectorySeparator(path))
            throw new UsageException($"{flag} '{path}' is not a file name. Give the name of the file to write, or - for standard output.");
        try
        {
            // Descriptors and devices are written to. A regular file is replaced: of a link, the file that it leads to.
            if (OutputPath.Descriptor(path) is { } descriptor && FileIdentity.Of(path) is not null) return Of(OpenDescriptor(descriptor));
            string final = OutputPath.Resolve(path);
            if (isResults) ResultTable.Check(path, final);
            if (FileIdentity.Of(final)?.Kind == FileKind.Device)
                return Of(new FileStream(final, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0));
            if (!Directory.Exists(Path.GetDirectoryName(final)))
                throw new UsageException($"{flag} {path}: there is no folder {Path.GetDirectoryName(final)}. Create it first.");
            foreach (string other in FilesBeside(final)) OwnFile.Check(other);
            FileStream temporary = TemporaryFile.Open(final, $"{flag} {path}");
            try
            {
                ResumableFile.CheckUnused(final, $"{flag} {path}");
                return new OutputFile(temporary, temporary.Name, final, keepsLines) { IsTable = isTable };
            }
            catch
            {
                TemporaryFile.Delete(temporary, temporary.Name);
                throw;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"{flag} {path} cannot be written: {e.Message}", e);
        }
    }

    /// <summary>Checks that a file can be written that is opened later. Devices and pipes are not opened.</summary>
    /// <param name="path">The file; - for standard output.</param>
    /// <param name="flag">The user's name of the file, for messages.</param>
    /// <exception cref="UsageException">The file cannot be created.</exception>
    public static void Check(string path, string flag)
    {
        if (path != "-" && FileIdentity.Of(path) is not { Kind: FileKind.Device }) Open(path, flag).Dispose();
    }

    /// <summary>Returns the names of the other files that are written with an output of this name.</summary>
    public static IEnumerable<string> FilesBeside(string path)
    {
        string final = OutputPath.Resolve(path);
        return OutputPath.Descriptor(path) is not null || final.Length == 0 || FileIdentity.Of(final) is { Kind: not FileKind.File } ? []
            : [TemporaryFile.NameOf(final), final + PartialSuffix, .. TableFile.FilesBeside(final)];
    }

    /// <summary>Whether a path names a file descriptor of this process, such as /dev/stdout; it is written to, not replaced.</summary>
    public static bool IsDescriptor(string path) => OutputPath.Descriptor(path) is not null;

    /// <summary>Completes the output: gives the file its name.</summary>
    /// <param name="cancellationToken">Cancels the writing of a table.</param>
    public void Complete(CancellationToken cancellationToken = default)
    {
        Stream.Flush();
        if (_temporary is null) return;
        if (IsTable)
        {
            TableFile.Write(Stream, Shard.Whole, _final!, cancellationToken).Rename();
            _complete = true;
            TemporaryFile.Delete((FileStream)Stream, _temporary);
            return;
        }

        ((FileStream)Stream).Flush(flushToDisk: true);
        Rename(_final!);
        _complete = true;
    }

    /// <summary>Opens a file beside the output for what is needed until the output is complete; it is deleted when closed.</summary>
    internal FileStream OpenBeside() => TableFile.OpenScratch(_final!);

    /// <summary>Keeps the lines of an incomplete file, or deletes it.</summary>
    public void Dispose()
    {
        if (_temporary is null || _complete) return;
        if (_keepsLines is not null) KeepLines(_keepsLines);
        if (!_complete) TemporaryFile.Delete((FileStream)Stream, _temporary);
    }

    private void KeepLines(Action<long, string> tell)
    {
        try
        {
            FileStream file = (FileStream)Stream;
            long lines = 0, end = 0, at = 0;
            file.Position = 0;
            byte[] buffer = new byte[1 << 16];
            for (int read; (read = file.Read(buffer)) > 0; at += read)
            {
                lines += buffer.AsSpan(0, read).Count((byte)'\n');
                int last = buffer.AsSpan(0, read).LastIndexOf((byte)'\n');
                if (last >= 0) end = at + last + 1;
            }

            if (lines == 0) return;
            file.SetLength(end);
            string partial = _final + PartialSuffix;
            Rename(partial);
            _complete = true;
            tell(lines, partial);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The exception in flight is the one to report.
        }
    }

    /// <summary>Renames the temporary file. Its lock is held until it has its name, where the system permits that.</summary>
    private void Rename(string name)
    {
        if (OperatingSystem.IsWindows()) Stream.Dispose();
        FolderSync.Move(_temporary!, name);
        Stream.Dispose();
    }

    /// <summary>
    /// Opens a descriptor of this process. Opening its path instead would begin at the start of a file that others have appended to.
    /// </summary>
    private static Stream OpenDescriptor(int descriptor) => descriptor switch
    {
        1 => Console.OpenStandardOutput(),
        2 => Console.OpenStandardError(),
        _ => new FileStream(new SafeFileHandle(descriptor, ownsHandle: false), FileAccess.Write, bufferSize: 0),
    };
}
