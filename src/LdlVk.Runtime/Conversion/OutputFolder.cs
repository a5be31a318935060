namespace LdlVk.Runtime.Conversion;

/// <summary>
/// The folder that a conversion writes: all that it does to the disk goes through here, so that tests can end it at any byte. A file is
/// written under its name with <see cref="PartialSuffix"/> behind it, and gets its own when it is complete and on the disk.
/// </summary>
internal class OutputFolder(string path)
{
    /// <summary>What a file's name ends with until it is complete.</summary>
    public const string PartialSuffix = ".partial";

    private const string LockName = ".ldlvk-convert.lock";

    /// <summary>The folder, as a full path.</summary>
    public string Path { get; } = System.IO.Path.GetFullPath(path);

    /// <summary>Names of the files and folders in it, but for hidden ones; none if it does not exist.</summary>
    public IReadOnlyList<string> Names => Directory.Exists(Path)
        ? [.. Directory.EnumerateFileSystemEntries(Path).Select(System.IO.Path.GetFileName).OfType<string>()
            .Where(name => name[0] != '.').Order(StringComparer.Ordinal)]
        : [];

    /// <summary>Bytes that may still be written; null where the system does not tell.</summary>
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

    /// <summary>The path of a file.</summary>
    public string this[string name] => System.IO.Path.Combine(Path, name);

    /// <summary>
    /// Makes the folder, and keeps other conversions out of it until the lock is disposed, which takes a folder made for nothing away
    /// again.
    /// </summary>
    /// <exception cref="UsageException">Another conversion is writing to it.</exception>
    public virtual IDisposable Lock()
    {
        bool made = !Directory.Exists(Path);
        Directory.CreateDirectory(Path);
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

    /// <summary>Begins a file, which has its name after <see cref="OutputFile.Complete"/>.</summary>
    public virtual OutputFile Create(string name) => new(this[name]);

    /// <summary>Removes a file, if there is one.</summary>
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
    private readonly FileStream _stream = new(
        path + OutputFolder.PartialSuffix, FileMode.Create, FileAccess.Write, FileShare.Read, bufferSize: 0);

    /// <summary>Appends bytes.</summary>
    public virtual void Write(ReadOnlySpan<byte> bytes) => _stream.Write(bytes);

    /// <summary>Waits until all bytes so far are on the disk. Other threads may write meanwhile.</summary>
    public virtual void Sync() => RandomAccess.FlushToDisk(_stream.SafeFileHandle);

    /// <summary>
    /// Gives the file, which is on the disk, its name. The name itself may be lost when the power fails; then a file is missing, which
    /// whoever reads the folder notices.
    /// </summary>
    public virtual void Complete()
    {
        Sync();
        _stream.Dispose();
        File.Move(path + OutputFolder.PartialSuffix, path, overwrite: true);
    }

    /// <summary>Ends the writing; the incomplete file stays for the next attempt, which writes it anew.</summary>
    public virtual void Dispose()
    {
        _stream.Dispose();
        GC.SuppressFinalize(this);
    }
}
