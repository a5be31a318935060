using System.Text;

namespace LdlVk.Runtime.Files;

/// <summary>Recognizes what lies under the name of a model's file in its place, so that an error can name it.</summary>
internal static class WrongContent
{
    /// <summary>Bytes of a file's beginning that are looked at.</summary>
    private const int HeadBytes = 512;

    /// <summary>Throws if a file is no ordinary one: reading a named pipe or a device would wait, perhaps for ever.</summary>
    /// <exception cref="CheckpointException">It is a pipe, a socket or a device.</exception>
    public static void RequireOrdinary(string path)
    {
        if (FileIdentity.Of(path) is { Kind: FileKind.Device })
            throw new CheckpointException(
                $"{path} is a pipe or a device, not an ordinary file, which a model's files must be. Copy its content into a file.");
    }

    /// <summary>Throws if the beginning of a file says that it holds something else in place of its content.</summary>
    /// <param name="path">The file.</param>
    /// <param name="content">Its content, or the beginning of it.</param>
    /// <exception cref="CheckpointException">It is a Git LFS pointer, a page of HTML or an answer in XML.</exception>
    public static void Check(string path, ReadOnlySpan<byte> content)
    {
        string head = Encoding.UTF8.GetString(content[..Math.Min(content.Length, HeadBytes)]).TrimStart('\uFEFF', ' ', '\t', '\r', '\n');
        if (head.StartsWith("version https://git-lfs.github.com/spec/", StringComparison.Ordinal)
            || head.StartsWith("version https://hawser.github.com/spec/", StringComparison.Ordinal))
            throw new CheckpointException(
                $"{path} is a Git LFS pointer, not the file itself: the repository was cloned without git-lfs. "
                + $"Run git lfs pull there, or download the model with ldlvk pull.");
        if (Begins(head, "<!doctype html", "<html", "<head"))
            throw new CheckpointException(
                $"{path} is a web page (HTML), not the file itself: the download was refused, or the address was that of a page. "
                + $"Download the file again, for instance with ldlvk pull.");
        bool isLine = content.Length < HeadBytes && !head.Contains('\n', StringComparison.Ordinal);
        if (isLine && head.StartsWith("../", StringComparison.Ordinal))
            throw new CheckpointException(
                $"{path} holds the path {Shown.Short(head)}: it was a link, and the folder was copied without links. "
                + $"Copy the files that the links lead to (cp -rL), or download the model with ldlvk pull.");
        if (Begins(head, "<?xml", "<error"))
            throw new CheckpointException(
                $"{path} is an XML document, not the file itself: a server's error was saved in its place. "
                + $"Download the file again, for instance with ldlvk pull.");
    }

    private static bool Begins(string head, params ReadOnlySpan<string> words)
    {
        foreach (string word in words) if (head.StartsWith(word, StringComparison.OrdinalIgnoreCase)) return true;
        return false;
    }
}
