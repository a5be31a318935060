using LdlVk.Runtime.Files;

namespace LdlVk.Datasets.Containers;

/// <summary>Recognizes by its first bytes what is not read here, so that it is one error instead of one for each line.</summary>
internal static class ForeignFormat
{
    /// <summary>Bytes by which everything is recognized.</summary>
    public const int HeadBytes = 512;

    private static readonly (byte[] Magic, string What)[] Formats =
    [
        // Before UTF-16, whose bytes these begin with.
        ([0xff, 0xfe, 0, 0], "UTF-32 text. Save it as UTF-8: iconv -f UTF-32 -t UTF-8 FILE"),
        ([0, 0, 0xfe, 0xff], "UTF-32 text. Save it as UTF-8: iconv -f UTF-32 -t UTF-8 FILE"),
        ([(byte)'{', 0, 0, 0], "UTF-32 text. Save it as UTF-8: iconv -f UTF-32LE -t UTF-8 FILE"),
        ([0, 0, 0, (byte)'{'], "UTF-32 text. Save it as UTF-8: iconv -f UTF-32BE -t UTF-8 FILE"),
        ([0xff, 0xfe], "UTF-16 text. Save it as UTF-8: iconv -f UTF-16 -t UTF-8 FILE"),
        ([0xfe, 0xff], "UTF-16 text. Save it as UTF-8: iconv -f UTF-16 -t UTF-8 FILE"),
        ([(byte)'{', 0], "UTF-16 text. Save it as UTF-8: iconv -f UTF-16LE -t UTF-8 FILE"),
        ([0, (byte)'{'], "UTF-16 text. Save it as UTF-8: iconv -f UTF-16BE -t UTF-8 FILE"),
        ([.. "PK\u0003\u0004"u8], "a zip archive or an Excel workbook. Unpack it, or save the sheet as JSON lines"),
        ([0xd0, 0xcf, 0x11, 0xe0], "an Excel workbook. Save the sheet as JSON lines"),
        ([.. "BZh"u8], "compressed with bzip2. Unpack it: bunzip2 FILE"),
        ([0xfd, .. "7zXZ"u8, 0], "compressed with xz. Unpack it: unxz FILE"),
        ([0x04, 0x22, 0x4d, 0x18], "compressed with lz4. Unpack it: unlz4 FILE"),
        ([.. "7z"u8, 0xbc, 0xaf, 0x27, 0x1c], "a 7-Zip archive. Unpack it"),
        ([.. "Rar!"u8], "a RAR archive. Unpack it"),
        ([0x1f, 0x8b], "compressed twice. Unpack it once"),
        ([0x28, 0xb5, 0x2f, 0xfd], "compressed twice. Unpack it once"),
        ([.. "FEA1"u8], "a Feather file of version 1. Write it as Parquet, or with the current version"),
        ([.. "SQLite format 3"u8], "an SQLite database. Export its table as JSON lines"),
        ([.. "GGUF"u8], "a GGUF model, not texts"),
        ([.. "%PDF"u8], "a PDF document, not texts"),
    ];

    /// <summary>Says what a file is that begins with <paramref name="start"/>, and the way on; null if it may be lines.</summary>
    public static string? Find(ReadOnlySpan<byte> start)
    {
        foreach ((byte[] magic, string what) in Formats)
            if (start.StartsWith(magic)) return what;
        if (start.Length > 262 && start[257..].StartsWith("ustar"u8)) return "a tar archive. Unpack it: tar xf FILE";
        return WrongContent.Find(start) switch
        {
            Placeholder.GitLfsPointer => "a Git LFS pointer, not the file: run git lfs pull in its repository",
            Placeholder.WebPage => "a web page: the download was refused, or its address was that of a page. Download the file itself",
            Placeholder.Xml => "an XML document: a server's error may have been saved in its place. Download the file itself",
            Placeholder.Link => "the path of a link, which was copied as a text. Copy the file that it leads to",
            _ => null,
        };
    }
}
