namespace LdlVk.Runtime.Checkpoints;

/// <summary>Resolves symbolic links.</summary>
internal static class RealPath
{
    /// <summary>Returns the path with every symbolic link in it resolved; parts that do not exist are unchanged.</summary>
    public static string Of(string path)
    {
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        while (Path.GetDirectoryName(full) is { } parent)
        {
            FileSystemInfo info = Directory.Exists(full) ? new DirectoryInfo(full) : new FileInfo(full);
            if (info.LinkTarget is not { } target) return Path.Combine(Of(parent), Path.GetFileName(full));
            full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(target, parent));
        }
        return full;
    }
}
