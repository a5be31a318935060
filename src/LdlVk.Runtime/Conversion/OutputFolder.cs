using LdlVk.Runtime.Files;

namespace LdlVk.Runtime.Conversion;

/// <summary>
/// The folder that a conversion writes. All disk operations go through this class, so that tests can interrupt them at any byte. A file is
/// written under its name plus <see cref="PartialSuffix"/>, and renamed when it is complete and flushed to disk.
/// </summary>
internal class OutputFolder(string path)
{
    /// <summary>Suffix of the names of incomplete files.</summary>
    public const string PartialSuffix = ".partial";

    private const string LockName = ".ldlvk-convert.lock";

    /// <summary>The folder, as a full path.</summary>
    public string Path { get; } = System.IO.Path.GetFullPath(path);

    /// <summary>Names of the files and folders in it, except hidden ones; empty if it does not exist.</summary>
    public IReadOnlyList<string> Names => Directory.Exists(Path)
        ? [.. Directory.EnumerateFileSystemEntries(Path).Select(System.IO.Path.GetFileName).OfType<string>()
            .Where(name => name[0] != '.').Order(StringComparer.Ordinal)]
        : [];

    /// <summary>Free disk space in bytes; null if unknown.</summary>
    public virtual long? FreeBytes
    {
        get
        {
            string there = Path;
            while (!Directory.Exists(there) && System.IO.Path.GetDirectoryName(there) is { } parent) there = parent;
            try
            {
                return new DriveInfo(there).AvailableFreeSpace;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
            {
                return null;
            }
        }
    }

    /// <summary>Returns the path of a file.</summary>
    public string this[string name] => System.IO.Path.Combine(Path, name);

    /// <summary>
    /// Creates the folder, and locks it against other conversions until the result is disposed. Disposing removes the folder if it is
    /// empty.
    /// </summary>
    /// <exception cref="UsageException">Another conversion is writing to it.</exception>
    public virtual IDisposable Lock()
    {
        bool made = !Directory.Exists(Path);
        Directory.CreateDirectory(Path);
        OwnFile.Check(this[LockName]);
        try
        {
            FileStream file = new(
                this[LockName], FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
            return new FolderLock(this, file, made);
        }
        catch (IOException e) when (File.Exists(this[LockName]))
        {
            throw new UsageException($"Another conversion is writing to {Path}. Wait for it, or give another folder.", e);
        }
    }

    /// <summary>Creates a file, which gets its name with <see cref="OutputFile.Complete"/>.</summary>
    public virtual OutputFile Create(string name) => new(this[name]);

    /// <summary>Deletes a file if it exists.</summary>
    public virtual void Delete(string name) => File.Delete(this[name]);

    private sealed class FolderLock(OutputFolder folder, FileStream file, bool made) : IDisposable
    {
        public void Dispose()
        {
            file.Dispose();
            if (made && folder.Names.Count == 0) Directory.Delete(folder.Path);
        }
    }
}

/// <summary>A file of an <see cref="OutputFolder"/> that is being written.</summary>
internal class OutputFile(string path) : IDisposable
{
    private readonly FileStream _stream = Open(path);

    /// <summary>Appends bytes.</summary>
    public virtual void Write(ReadOnlySpan<byte> bytes) => _stream.Write(bytes);

    /// <summary>Flushes all bytes written so far to disk. Other threads may write meanwhile.</summary>
    public virtual void Sync() => RandomAccess.FlushToDisk(_stream.SafeFileHandle);

    /// <summary>
    /// Renames the flushed file to its final name, and flushes the renaming.
    /// </summary>
    public virtual void Complete()
    {
        Sync();
        _stream.Dispose();
        FolderSync.Move(path + OutputFolder.PartialSuffix, path);
    }

    /// <summary>Closes the file. An incomplete file stays until the next attempt overwrites it.</summary>
    public virtual void Dispose()
    {
        _stream.Dispose();
        GC.SuppressFinalize(this);
    }

    private static FileStream Open(string path)
    {
        OwnFile.Check(path);
        OwnFile.Check(path + OutputFolder.PartialSuffix);
        // Truncating the file would also truncate another name of it, such as that of a backup made of hard links.
        File.Delete(path + OutputFolder.PartialSuffix);
        return new FileStream(path + OutputFolder.PartialSuffix, FileMode.Create, FileAccess.Write, FileShare.Read, bufferSize: 0);
    }
}
