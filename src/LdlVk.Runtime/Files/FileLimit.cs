namespace LdlVk.Runtime.Files;

/// <summary>The size that the file system or a limit of the process (<c>ulimit -f</c>) permits a file.</summary>
public static class FileLimit
{
    /// <summary>
    /// Whether an exception says that a file would be larger than permitted. .NET throws <see cref="ArgumentOutOfRangeException"/> for the
    /// system's EFBIG, not an <see cref="IOException"/>.
    /// </summary>
    public static bool IsExceeded(Exception exception) =>
        exception is ArgumentOutOfRangeException { ParamName: "value" }
        && exception.Message.Contains("file length", StringComparison.Ordinal);
}
