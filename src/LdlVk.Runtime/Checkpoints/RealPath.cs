namespace LdlVk.Runtime.Checkpoints;

/// <summary>Paths without links.</summary>
internal static class RealPath
{
    /// <summary>The path with every link in it followed, up to the root; what does not exist stays as it is.</summary>
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
