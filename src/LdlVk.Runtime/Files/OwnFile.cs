namespace LdlVk.Runtime.Files;

/// <summary>Files that a command creates or replaces without a name from the user, such as the incomplete state of an output.</summary>
public static class OwnFile
{
    /// <summary>
    /// Checks that a file is a regular file, or is not there. Opening a link would write to the file that it leads to, and renaming over a
    /// link or a device would destroy it.
    /// </summary>
    /// <exception cref="UsageException">It is a link, a device or a folder.</exception>
    public static void Check(string path)
    {
        bool isLink = new FileInfo(path).LinkTarget is not null;
        if (!isLink && FileIdentity.Of(path) is not { Kind: not FileKind.File }) return;
        throw new UsageException(
            $"{path} would be written, but it is a {(isLink ? "link" : "folder or a device")}. Move it away, or write somewhere else.");
    }
}
