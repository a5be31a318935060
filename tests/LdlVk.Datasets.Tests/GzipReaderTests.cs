using System.IO.Compression;
using System.Text;
using ICSharpCode.SharpZipLib;
using LdlVk.Datasets.Containers;

namespace LdlVk.Datasets.Tests;

public sealed class GzipReaderTests
{
    private static readonly byte[] First = Lines(0), Second = Lines(5000);

    /// <summary>A library loses lines of each of these without an error (see <see cref="GzipReader"/>).</summary>
    [Theory]
    [InlineData("bytes behind the end", false)]
    [InlineData("a second member with another magic", false)]
    [InlineData("a second member of another method", false)]
    [InlineData("the first 5 bytes of a second member", false)]
    [InlineData("half of a second member", false)]
    [InlineData("a second member without its last byte", false)]
    [InlineData("zeros, and a second member", true)]
    public void Nothing_is_lost_without_an_error(string behind, bool isSound)
    {
        byte[] first = Gzip(First), second = Gzip(Second);
        byte[] file =
        [
            .. first,
            .. behind switch
            {
                "bytes behind the end" => "more"u8.ToArray(),
                "a second member with another magic" => [0x1e, .. second[1..]],
                "a second member of another method" => [0x1f, 0x8b, 9, .. second[3..]],
                "the first 5 bytes of a second member" => second[..5],
                "half of a second member" => second[..(second.Length / 2)],
                "a second member without its last byte" => second[..^1],
                _ => (byte[])[.. new byte[700], .. second],
            },
        ];
        if (isSound) Assert.Equal([.. First, .. Second], Read(file));
        else Assert.True(Record.Exception(() => Read(file)) is SharpZipBaseException or EndOfStreamException);
    }

    /// <summary>Some of these make SharpZipLib fail with an IndexOutOfRangeException.</summary>
    [Fact]
    public void Damaged_files_are_errors_of_ours()
    {
        byte[] sound = [.. Gzip(First), .. Gzip(Second)], lines = [.. First, .. Second];
        int border = Gzip(First).Length; // A file that is cut here is sound.
        Random random = new(3);
        for (int i = 0; i < 4000; i++)
        {
            byte[] bytes = [.. sound];
            for (int flips = 1 + random.Next(3); flips > 0; flips--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            if (i % 4 == 0 && random.Next(1, bytes.Length) is var length && length != border) bytes = bytes[..length];
            try
            {
                Assert.Equal(lines, Read(bytes)); // The damage is in a header's time or system.
            }
            catch (Exception e) when (e is SharpZipBaseException or EndOfStreamException)
            {
            }
        }
    }

    private static byte[] Read(byte[] file)
    {
        using GzipReader reader = new(new MemoryStream(file));
        using MemoryStream lines = new();
        reader.CopyTo(lines);
        return lines.ToArray();
    }

    private static byte[] Lines(int from) => Encoding.UTF8.GetBytes(string.Concat(
        Enumerable.Range(from, 500).Select(i => $$"""{"id":{{i}},"prompt":"What is {{i * 7919 % 1000}}?"}""" + "\n")));

    private static byte[] Gzip(byte[] bytes)
    {
        using MemoryStream stream = new();
        using (GZipStream gzip = new(stream, CompressionLevel.Optimal)) gzip.Write(bytes);
        return stream.ToArray();
    }
}
