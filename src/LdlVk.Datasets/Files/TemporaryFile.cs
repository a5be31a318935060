using System.Text.RegularExpressions;
using LdlVk.Runtime.Files;

namespace LdlVk.Datasets.Files;

/// <summary>
/// The file <c>.NAME.1d1f11e.tmp</c> that holds an output until it is complete. It is open without sharing, which excludes other runs with
/// the same output. The lock ends with the process; the next run uses the file that a killed run left.
/// </summary>
internal static partial class TemporaryFile
{
    /// <summary>A fixed number where earlier versions had a random one: no other program uses it.</summary>
    private const string Ending = ".1d1f11e.tmp";

    /// <summary>Returns the name of an output's temporary file.</summary>
    public static string NameOf(string final) => Path.Combine(Path.GetDirectoryName(final)!, $".{Path.GetFileName(final)}{Ending}");

    /// <summary>Opens an output's temporary file, empty and without a buffer: each write of lines reaches the system.</summary>
    /// <param name="final">The path of the output, without links.</param>
    /// <param name="output">The user's name of the output.</param>
    /// <exception cref="BusyException">Another run writes to the same output.</exception>
    public static FileStream Open(string final, string output)
    {
        DeleteOld(final);
        string path = NameOf(final);
        FileStream file;
        try
        {
            file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 0);
        }
        catch (IOException e) when (File.Exists(path))
        {
            throw InUse(output, e);
        }

        // The other run may have renamed the file after this one opened it. It is a finished output then, and must not be changed.
        if (FileIdentity.Of(file.SafeFileHandle) is { } opened && opened != FileIdentity.Of(path))
        {
            file.Dispose();
            throw InUse(output, null);
        }

        file.SetLength(0);
        return file;
    }

    /// <summary>Deletes the temporary file that a killed run left.</summary>
    /// <exception cref="BusyException">Another run writes to it.</exception>
    public static void CheckUnused(string final)
    {
        string path = NameOf(final);
        if (!File.Exists(path)) return;
        OwnFile.Check(path);
        try
        {
            new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose).Dispose();
        }
        catch (IOException e)
        {
            throw InUse(final, e);
        }
    }

    /// <summary>Closes and deletes a temporary file.</summary>
    public static void Delete(FileStream file, string path)
    {
        if (!OperatingSystem.IsWindows()) File.Delete(path);
        file.Dispose();
        if (OperatingSystem.IsWindows()) File.Delete(path);
    }

    /// <summary>Returns the error that another run writes to the same output.</summary>
    public static BusyException InUse(string output, Exception? inner) =>
        new($"{output} is being written by another run. Wait for it, or give another file.", inner);

    /// <summary>Deletes the temporary files that killed runs of earlier versions left: they had random names.</summary>
    private static void DeleteOld(string final)
    {
        string start = $".{Path.GetFileName(final)}.";
        foreach (string path in Directory.EnumerateFiles(Path.GetDirectoryName(final)!, ".*.tmp", new EnumerationOptions
        {
            AttributesToSkip = FileAttributes.ReparsePoint,
            IgnoreInaccessible = true,
        }))
        {
            string name = Path.GetFileName(path);
            if (!name.StartsWith(start, StringComparison.Ordinal) || !OldName().IsMatch(name.AsSpan(start.Length))) continue;
            try
            {
                new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose).Dispose();
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // It is in use, or another user's.
            }
        }
    }

    [GeneratedRegex("^[0-9a-f]{32}\\.tmp$")]
    private static partial Regex OldName();
}
