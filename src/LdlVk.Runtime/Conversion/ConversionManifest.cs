using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Conversion;

/// <summary>A file that was converted or copied, for telling whether it is still the same.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="ModifiedTicks">When it was last written, in UTC ticks.</param>
internal readonly record struct SourceFile(string Name, long Bytes, long ModifiedTicks)
{
    /// <summary>Looks at a file, or at the one that a link leads to.</summary>
    public static SourceFile Of(string path)
    {
        FileInfo file = new(path);
        if (file.ResolveLinkTarget(returnFinalTarget: true) is FileInfo target) file = target;
        return new SourceFile(Path.GetFileName(path), file.Length, file.LastWriteTimeUtc.Ticks);
    }
}

/// <summary>A file that is complete.</summary>
/// <param name="Bytes">Its size.</param>
/// <param name="Sha256">Its SHA-256 in hexadecimal.</param>
internal readonly record struct CompleteFile(long Bytes, string Sha256);

/// <summary>
/// <c>ldlvk-convert.json</c>: of what a folder is the conversion, and which of its files are complete. It is written before the first of
/// them and after each.
/// </summary>
/// <param name="Format">The target.</param>
/// <param name="Source">The source's files.</param>
/// <param name="Complete">What is complete, by name.</param>
internal sealed record ConversionManifest(
    ConvertedFormat Format, IReadOnlyList<SourceFile> Source, SortedDictionary<string, CompleteFile> Complete)
{
    /// <summary>The name that is given to the conversion of such files to such weights, cut into files of this size.</summary>
    public static string Identify(string weights, IEnumerable<SourceFile> source, long shardBytes)
    {
        StringBuilder text = new($"{ConvertedFormat.Version}\n{weights}\n{shardBytes}\n");
        foreach (SourceFile file in source)
            text.Append(System.Globalization.CultureInfo.InvariantCulture, $"{file.Name}\n{file.Bytes}\n{file.ModifiedTicks}\n");
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())).AsSpan(0, 16));
    }

    /// <summary>Reads what <see cref="ToJson"/> wrote: whose conversion it is, to what, and what is complete.</summary>
    /// <exception cref="CheckpointException">It is damaged.</exception>
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

    /// <summary>The file's text.</summary>
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
