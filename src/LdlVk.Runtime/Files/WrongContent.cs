using System.Text;

namespace LdlVk.Runtime.Files;

/// <summary>Recognizes what lies under the name of a file in its place, so that an error can name it.</summary>
public static class WrongContent
{
    /// <summary>Bytes of a file's beginning that are looked at.</summary>
    private const int HeadBytes = 512;

    /// <summary>Throws if a file is no ordinary one: reading a named pipe or a device would wait, perhaps for ever.</summary>
    /// <exception cref="CheckpointException">It is a pipe, a socket or a device.</exception>
    internal static void RequireOrdinary(string path)
    {
        if (FileIdentity.Of(path) is { Kind: FileKind.Device })
            throw new CheckpointException(
                $"{path} is a pipe or a device, not an ordinary file, which a model's files must be. Copy its content into a file.");
    }

    /// <summary>Recognizes what a failed download or copy leaves in the place of a file.</summary>
    /// <param name="content">The file's content, or the beginning of it.</param>
    public static Placeholder Find(ReadOnlySpan<byte> content)
    {
        string head = Head(content);
        if (head.StartsWith("version https://git-lfs.github.com/spec/", StringComparison.Ordinal)
            || head.StartsWith("version https://hawser.github.com/spec/", StringComparison.Ordinal))
            return Placeholder.GitLfsPointer;
        if (Begins(head, "<!doctype html", "<html", "<head")) return Placeholder.WebPage;
        if (Begins(head, "<?xml", "<error")) return Placeholder.Xml;
        bool isLine = content.Length < HeadBytes && !head.Contains('\n', StringComparison.Ordinal);
        return isLine && head.StartsWith("../", StringComparison.Ordinal) ? Placeholder.Link : Placeholder.None;
    }

    /// <summary>Throws if the beginning of a file says that it holds something else in place of its content.</summary>
    /// <param name="path">The file.</param>
    /// <param name="content">Its content, or the beginning of it.</param>
    /// <exception cref="CheckpointException">It is a Git LFS pointer, a page of HTML or an answer in XML.</exception>
    internal static void Check(string path, ReadOnlySpan<byte> content)
    {
        string? why = Find(content) switch
        {
            Placeholder.GitLfsPointer =>
                "is a Git LFS pointer, not the file itself: the repository was cloned without git-lfs. "
                + "Run git lfs pull there, or download the model with ldlvk pull.",
            Placeholder.WebPage =>
                "is a web page (HTML), not the file itself: the download was refused, or the address was that of a page. "
                + "Download the file again, for instance with ldlvk pull.",
            Placeholder.Xml =>
                "is an XML document, not the file itself: a server's error was saved in its place. "
                + "Download the file again, for instance with ldlvk pull.",
            Placeholder.Link =>
                $"holds the path {Shown.Short(Head(content))}: it was a link, and the folder was copied without links. "
                + "Copy the files that the links lead to (cp -rL), or download the model with ldlvk pull.",
            _ => null,
        };
        if (why is not null) throw new CheckpointException($"{path} {why}");
    }

    private static string Head(ReadOnlySpan<byte> content) =>
        Encoding.UTF8.GetString(content[..Math.Min(content.Length, HeadBytes)]).TrimStart('\uFEFF', ' ', '\t', '\r', '\n');

    private static bool Begins(string head, params ReadOnlySpan<string> words)
    {
        foreach (string word in words) if (head.StartsWith(word, StringComparison.OrdinalIgnoreCase)) return true;
        return false;
    }
}

/// <summary>What can lie in the place of a file.</summary>
public enum Placeholder
{
    /// <summary>Nothing that is known.</summary>
    None,

    /// <summary>A pointer of Git LFS.</summary>
    GitLfsPointer,

    /// <summary>A page of HTML.</summary>
    WebPage,

    /// <summary>An XML document, such as a server's error.</summary>
    Xml,

    /// <summary>The target of a link, as a text.</summary>
    Link,
}
