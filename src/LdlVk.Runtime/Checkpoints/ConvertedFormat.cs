using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>
/// The format of a folder written by <c>ldlvk convert</c>, as stored in the <c>__metadata__</c> of each of its safetensors files. A matrix
/// NAME [n, k] of the layers is stored in the row layout of devices (<see cref="WeightLayout"/>), so that loading copies whole rows:
/// <code>
/// NAME          [n, K] F16, or I8, or [n, K/2] U8 (int4);  K: k rounded up to a multiple of 32, the columns behind k are zeros
/// NAME.scales   [n, K/32] F16, of int8 and int4
/// NAME.factor   [1] F32, a power of two;  NAME = factor · stored (fp16), factor · scales · q (int8), factor · scales · v(q) (int4)
/// </code>
/// The embedding table keeps its type; norms and heads are F32. config.json names a quantization method that only LdlVk knows, so that no
/// other program mistakes the stored values for the weights.
/// </summary>
/// <param name="Weights">Format of the layers' matrices.</param>
/// <param name="SourceType">Element type of the original checkpoint, and of the embedding table.</param>
/// <param name="Conversion">Id of the conversion; files of different conversions must not be mixed.</param>
public sealed record ConvertedFormat(WeightFormat Weights, ElementType SourceType, string Conversion)
{
    /// <summary>Version of the layout; a reader refuses any other.</summary>
    internal const string Version = "1";

    /// <summary>The file that records the progress of a conversion; a folder with it and without an index is unfinished.</summary>
    internal const string ManifestName = "ldlvk-convert.json";

    /// <summary>Suffixes of the names of a matrix's scales and factor.</summary>
    internal const string ScalesSuffix = ".scales", FactorSuffix = ".factor";

    /// <summary>The fields of config.json that name the quantization method, and the method's name.</summary>
    internal const string ConfigField = "quantization_config", MethodField = "quant_method", Method = "ldlvk";

    private const string Prefix = "ldlvk.", HeadField = "head";
    private const string VersionKey = Prefix + "version", WeightsKey = Prefix + "weights", GroupKey = Prefix + "group_size";
    private const string SourceKey = Prefix + "source_type", ConversionKey = Prefix + "conversion", LayoutKey = Prefix + "layout";

    /// <summary>The metadata of a file. Other safetensors readers require <c>format</c>.</summary>
    internal IEnumerable<(string Key, string Text)> Metadata() =>
    [
        ("format", "pt"), (VersionKey, Version), (WeightsKey, Name(Weights)),
        (GroupKey, WeightLayout.GroupSize.ToString(CultureInfo.InvariantCulture)),
        (SourceKey, Name(SourceType)), (ConversionKey, Conversion),
        (LayoutKey, Weights switch
        {
            WeightFormat.Fp16 => "W = factor * stored, rows padded with zeros to a multiple of 32",
            WeightFormat.Int8 => "W[n, k] = factor * scales[n, k / 32] * stored[n, k], rows padded with zeros to a multiple of 32",
            _ => "W[n, k] = factor * scales[n, k / 32] * q * (8 + |q|), rows padded with zeros to a multiple of 32; "
                + "the elements 8 i .. 8 i + 7 of a row are the little-endian 32-bit word i: "
                + "element 2 j of the eight has its q + 8 in bits 4 j .. 4 j + 3, element 2 j + 1 in bits 16 + 4 j .. 19 + 4 j",
        }),
    ];

    /// <summary>Returns a checkpoint's config.json with the quantization method added.</summary>
    /// <param name="path">The file.</param>
    /// <param name="head">The head that the user chose; null for the only one.</param>
    internal byte[] Config(string path, string? head) => JsonFile.Read(path, root =>
    {
        using var stream = new MemoryStream();
        JsonWriterOptions writing = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
        using (var json = new Utf8JsonWriter(stream, writing))
        {
            json.WriteStartObject();
            foreach (JsonProperty property in root.Members())
                if (property.Name != ConfigField) property.WriteTo(json);
            json.WriteStartObject(ConfigField);
            json.WriteString(MethodField, Method);
            json.WriteString("weights", Name(Weights));
            json.WriteNumber("group_size", WeightLayout.GroupSize);
            if (head is not null) json.WriteString(HeadField, head);
            json.WriteEndObject();
            json.WriteEndObject();
        }
        return stream.ToArray();
    });

    /// <summary>The head that was chosen when a folder was converted; null for the only one that the original has.</summary>
    internal static string? ChosenHead(CheckpointFolder folder) => folder.Converted is null ? null : folder.ReadConfig(fields =>
        fields.Root.TryGet(ConfigField, out JsonField method) && method.TryGet(HeadField, out JsonField head) ? head.String() : null);

    /// <summary>Reads the format from a checkpoint's files; null if it was not converted.</summary>
    /// <exception cref="CheckpointException">The files contradict each other, or the format is unknown.</exception>
    internal static ConvertedFormat? Read(IReadOnlyCollection<ITensorFile> files)
    {
        if (!files.Any(file => file.Metadata.Keys.Any(key => key.StartsWith(Prefix, StringComparison.Ordinal)))) return null;
        ITensorFile? first = null;
        ConvertedFormat? format = null;
        foreach (ITensorFile file in files)
        {
            ConvertedFormat read = Read(file);
            if (format is not null && read != format)
                throw new CheckpointException(
                    $"{first!.Path} and {file.Path} are of different conversions ({format.Describe()} and {read.Describe()}). "
                    + $"Convert the original again, into an empty folder.");
            (first, format) = (file, read);
        }
        return format;
    }

    /// <summary>Element type and shape of a matrix's values in a file.</summary>
    internal static (string Type, int[] Shape) Values(WeightFormat format, int rows, int columns) => format switch
    {
        WeightFormat.Fp16 => ("F16", [rows, WeightLayout.PaddedRow(columns)]),
        WeightFormat.Int8 => ("I8", [rows, WeightLayout.PaddedRow(columns)]),
        WeightFormat.Int4 => ("U8", [rows, WeightLayout.PaddedRow(columns) / 2]),
        _ => throw new ArgumentOutOfRangeException(nameof(format)),
    };

    /// <summary>Name of a format or an element type in files and on the command line.</summary>
    internal static string Name<T>(T value) where T : struct, Enum => value.ToString().ToLowerInvariant();

    private static ConvertedFormat Read(ITensorFile file)
    {
        string version = Text(VersionKey);
        if (version != Version)
            throw new CheckpointException(
                $"{file.Path} was converted to version {Shown.Quoted(version)} of the layout; this LdlVk reads version {Version}. "
                + $"Use the LdlVk that wrote it, or convert the original again.");
        WeightFormat weights = Choice(WeightsKey, WeightFormat.Fp16, WeightFormat.Int8, WeightFormat.Int4);
        ElementType source = Choice(SourceKey, Enum.GetValues<ElementType>());
        string group = Text(GroupKey);
        if (group != WeightLayout.GroupSize.ToString(CultureInfo.InvariantCulture))
            throw Damaged(GroupKey, group, $"only groups of {WeightLayout.GroupSize} are read");
        return new ConvertedFormat(weights, source, Text(ConversionKey));

        string Text(string key) => file.Metadata.TryGetValue(key, out string? text)
            ? text
            : throw new CheckpointException(
                $"The metadata of {file.Path} lack {key}, which every file of a converted folder has. Convert the original again.");

        T Choice<T>(string key, params T[] known) where T : struct, Enum
        {
            string text = Text(key);
            foreach (T value in known)
                if (Name(value) == text) return value;
            throw Damaged(key, text, $"known are {string.Join(", ", known.Select(Name))}");
        }

        CheckpointException Damaged(string key, string text, string why) =>
            new($"The metadata of {file.Path} say {key} {Shown.Quoted(text)}; {why}. Convert the original again.");
    }

    private string Describe() => $"{Name(Weights)} {Shown.Short(Conversion)}";
}
