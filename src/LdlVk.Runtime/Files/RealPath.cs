namespace LdlVk.Runtime.Files;

/// <summary>Resolves symbolic links.</summary>
internal static class RealPath
{
    /// <summary>Links that are followed, as Linux does; more are taken for a circle.</summary>
    private const int MaxLinks = 40;

    /// <summary>Returns the path with every symbolic link in it resolved; parts that do not exist are unchanged.</summary>
    public static string Of(string path)
    {
        int links = 0;
        return Resolve(path, ref links);
    }

    private static string Resolve(string path, ref int links)
    {
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        if (Path.GetDirectoryName(full) is not { } parent) return full;
        // A relative target counts from the folder in which the link lies, which is not the one that its path names if that has links.
        string folder = Resolve(parent, ref links), name = Path.Combine(folder, Path.GetFileName(full));
        FileSystemInfo info = Directory.Exists(name) ? new DirectoryInfo(name) : new FileInfo(name);
        return info.LinkTarget is { } target && ++links <= MaxLinks ? Resolve(Path.Combine(folder, target), ref links) : name;
    }
}
