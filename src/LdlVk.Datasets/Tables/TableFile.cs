using System.Security.Cryptography;
using LdlVk.Datasets.Files;
using LdlVk.Datasets.Lines;
using LdlVk.Runtime.Files;

namespace LdlVk.Datasets.Tables;

/// <summary>A table on disk that has not its name yet: a temporary file beside the output.</summary>
internal sealed class TableFile
{
    /// <summary>Between the output's name and the ending of temporary files.</summary>
    private const string Table = ".table", Parts = ".parts";

    private readonly string _temporary, _final;

    private TableFile(string temporary, string final, long bytes, string sha256) =>
        (_temporary, _final, Bytes, Sha256) = (temporary, final, bytes, sha256);

    /// <summary>Its size.</summary>
    public long Bytes { get; }

    /// <summary>Its SHA-256.</summary>
    public string Sha256 { get; }

    /// <summary>Returns the names of the files that are written beside a table.</summary>
    public static IEnumerable<string> FilesBeside(string final) => ResultTable.IsTable(final)
        ? [TemporaryFile.NameOf(final + Table), TemporaryFile.NameOf(final + Parts)] : [];

    /// <summary>Writes the table of the results in a file of lines, and flushes it to the disk.</summary>
    /// <param name="lines">The lines.</param>
    /// <param name="shard">The part of the input that they are of.</param>
    /// <param name="final">The path of the output.</param>
    /// <param name="cancellationToken">Cancels the writing.</param>
    public static TableFile Write(Stream lines, Shard shard, string final, CancellationToken cancellationToken)
    {
        FileStream file = Open(final + Table);
        try
        {
            ResultTable.Write(lines, shard, file, cancellationToken);
            file.Flush(flushToDisk: true);
            file.Position = 0;
            TableFile table = new(file.Name, final, file.Length, Convert.ToHexStringLower(SHA256.HashData(file)));
            file.Dispose();
            return table;
        }
        catch
        {
            TemporaryFile.Delete(file, file.Name);
            throw;
        }
    }

    /// <summary>Gives the table the name of the output.</summary>
    public void Rename() => FolderSync.Move(_temporary, _final);

    /// <summary>Opens an empty file beside an output that is deleted when it is closed.</summary>
    public static FileStream OpenScratch(string final)
    {
        using FileStream left = Open(final + Parts);
        string path = left.Name;
        TemporaryFile.Delete(left, path);
        return new FileStream(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, 1 << 16, FileOptions.DeleteOnClose);
    }

    private static FileStream Open(string final)
    {
        OwnFile.Check(TemporaryFile.NameOf(final));
        return TemporaryFile.Open(final, final);
    }
}
