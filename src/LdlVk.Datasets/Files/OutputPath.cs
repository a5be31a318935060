using LdlVk.Datasets.Resuming;

namespace LdlVk.Datasets.Files;

/// <summary>The path of an output.</summary>
internal static class OutputPath
{
    /// <summary>Returns the full path that a path leads to, through links; the target need not exist.</summary>
    /// <exception cref="UsageException">The links form a circle.</exception>
    public static string Resolve(string path)
    {
        if (path.Length == 0) return path;
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        try
        {
            return new FileInfo(full).LinkTarget is null ? full : File.ResolveLinkTarget(full, returnFinalTarget: true)!.FullName;
        }
        catch (IOException e)
        {
            throw new UsageException($"{path} is a link that cannot be followed: {e.Message}", e);
        }
    }

    /// <summary>Returns the record of a result file: beside the file, or beside the file that a link leads to.</summary>
    public static string RecordOf(string path)
    {
        string record = path + RunRecord.Suffix;
        return File.Exists(record) ? record : Resolve(path) + RunRecord.Suffix;
    }

    /// <summary>Returns the file descriptor that a path such as /dev/stdout or /dev/fd/3 names; null for other paths.</summary>
    public static int? Descriptor(string path)
    {
        if (OperatingSystem.IsWindows()) return null;
        switch (path)
        {
            case "/dev/stdout": return 1;
            case "/dev/stderr": return 2;
        }

        string[] folders = ["/dev/fd/", "/proc/self/fd/", $"/proc/{Environment.ProcessId}/fd/", "/proc/thread-self/fd/"];
        return folders.FirstOrDefault(folder => path.StartsWith(folder, StringComparison.Ordinal)) is { } found
            && int.TryParse(path.AsSpan(found.Length), out int descriptor) && descriptor >= 0 ? descriptor : null;
    }
}
