using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Conversion;

/// <summary>Identity of a source file, to detect that it has changed.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="ModifiedTicks">Time of the last write, in UTC ticks.</param>
internal readonly record struct SourceFile(string Name, long Bytes, long ModifiedTicks)
{
    /// <summary>Reads the identity of a file, or of a link's target.</summary>
    public static SourceFile Of(string path)
    {
        FileInfo file = new(path);
        if (file.ResolveLinkTarget(returnFinalTarget: true) is FileInfo target) file = target;
        return new SourceFile(Path.GetFileName(path), file.Length, file.LastWriteTimeUtc.Ticks);
    }
}

/// <summary>A complete file of the result.</summary>
/// <param name="Bytes">Its size.</param>
/// <param name="Sha256">Its SHA-256 in hexadecimal.</param>
internal readonly record struct CompleteFile(long Bytes, string Sha256);

/// <summary>
/// <c>ldlvk-convert.json</c>: the source of a conversion and the complete files of its result. It is written before the first file and
/// after each.
/// </summary>
/// <param name="Format">The format of the result.</param>
/// <param name="Source">The source's files.</param>
/// <param name="Complete">The complete files by name.</param>
internal sealed record ConversionManifest(
    ConvertedFormat Format, IReadOnlyList<SourceFile> Source, SortedDictionary<string, CompleteFile> Complete)
{
    /// <summary>Returns the id of a conversion, from its source files, weight format and shard size.</summary>
    public static string Identify(string weights, IEnumerable<SourceFile> source, long shardBytes)
    {
        StringBuilder text = new($"{ConvertedFormat.Version}\n{weights}\n{shardBytes}\n");
        foreach (SourceFile file in source)
            text.Append(System.Globalization.CultureInfo.InvariantCulture, $"{file.Name}\n{file.Bytes}\n{file.ModifiedTicks}\n");
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())).AsSpan(0, 16));
    }

    /// <summary>Reads the text of <see cref="ToJson"/>: id of the conversion, weight format and complete files.</summary>
    /// <exception cref="CheckpointException">The file is damaged.</exception>
    public static (string Conversion, string Weights, SortedDictionary<string, CompleteFile> Complete) Read(string path) =>
        JsonFile.Read(path, root =>
    {
        SortedDictionary<string, CompleteFile> complete = new(StringComparer.Ordinal);
        JsonField files = root.Get("files");
        foreach (JsonProperty pair in files.Members())
        {
            JsonField file = files.Member(Shown.Short(pair.Name), pair.Value);
            complete.Add(pair.Name, new CompleteFile((long)file.Get("bytes").Number(0, long.MaxValue), file.Get("sha256").String()));
        }
        return (root.Get("conversion").String(), root.Get("weights").String(), complete);
    });

    /// <summary>Returns the file's text.</summary>
    public byte[] ToJson()
    {
        using MemoryStream buffer = new();
        using (Utf8JsonWriter json = new(buffer, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteString("version", ConvertedFormat.Version);
            json.WriteString("weights", ConvertedFormat.Name(Format.Weights));
            json.WriteString("source_type", ConvertedFormat.Name(Format.SourceType));
            json.WriteString("conversion", Format.Conversion);
            json.WriteStartObject("source");
            foreach (SourceFile file in Source)
            {
                json.WriteStartObject(file.Name);
                json.WriteNumber("bytes", file.Bytes);
                json.WriteString("modified", new DateTime(file.ModifiedTicks, DateTimeKind.Utc));
                json.WriteEndObject();
            }
            json.WriteEndObject();
            json.WriteStartObject("files");
            foreach ((string name, CompleteFile file) in Complete)
            {
                json.WriteStartObject(name);
                json.WriteNumber("bytes", file.Bytes);
                json.WriteString("sha256", file.Sha256);
                json.WriteEndObject();
            }
            json.WriteEndObject();
            json.WriteEndObject();
        }
        return buffer.ToArray();
    }
}
