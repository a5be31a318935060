using System.Text.Json;
using System.Text.Json.Serialization;
using LdlVk.Datasets.Files;
using LdlVk.Datasets.Lines;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Datasets.Resuming;

/// <summary>The record of a finished result file, stored under the same name plus <see cref="Suffix"/>.</summary>
/// <param name="Settings">The settings that the results depend on.</param>
/// <param name="Shard">Index of the part, from 0.</param>
/// <param name="Shards">Number of parts.</param>
/// <param name="InputLines">Number of lines of the input, in all parts.</param>
/// <param name="InputSha256">The input's <see cref="LineDigest"/>.</param>
/// <param name="Lines">Number of results.</param>
/// <param name="Failed">Number of results that are errors.</param>
/// <param name="Bytes">Size of the results.</param>
/// <param name="Sha256">Their SHA-256.</param>
/// <param name="Portable">See <see cref="RunIdentity.Portable"/>.</param>
/// <param name="Driver">See <see cref="RunIdentity.Driver"/>.</param>
public sealed record RunRecord(
    string Settings, int Shard, int Shards, long InputLines, string InputSha256, long Lines, long Failed, long Bytes, string Sha256,
    string? Portable = null, string? Driver = null)
{
    /// <summary>Suffix of the record's file name.</summary>
    public const string Suffix = ".run.json";

    private const int MaxBytes = 1 << 20;

    /// <summary>What the results depend on.</summary>
    [JsonIgnore]
    public RunIdentity Identity => new(Settings, Portable, Driver);

    /// <summary>Reads the record of a result file; null if there is none.</summary>
    /// <exception cref="UsageException">The record is damaged.</exception>
    public static RunRecord? Read(string results)
    {
        string path = OutputPath.RecordOf(results);
        if (!File.Exists(path)) return null;
        if (new FileInfo(path).Length > MaxBytes || Sealed.Open(File.ReadAllBytes(path)) is not var (json, _))
            throw Damaged("its checksum is wrong, or it is from an earlier version.");
        try
        {
            return JsonSerializer.Deserialize(json, RunJson.Default.RunRecord) is
                {
                    Settings: not null, InputSha256: not null, Sha256: not null, Lines: >= 0, InputLines: >= 0, Failed: >= 0, Bytes: >= 0,
                    Shard: >= 0,
                } record && record.Shard < record.Shards
                ? record : throw Damaged("fields are missing.");
        }
        catch (JsonException e)
        {
            throw Damaged(JsonReason.Of(e), e);
        }

        UsageException Damaged(string why, Exception? inner = null) =>
            new($"{path} is damaged: {why} Move {results} and this file away, and score again.", inner);
    }

    /// <summary>Returns the record as JSON, with its checksum.</summary>
    public byte[] ToJson() => Sealed.Seal(JsonSerializer.SerializeToUtf8Bytes(this, RunJson.Default.RunRecord)).Json;
}

/// <summary>An entry of a journal: the state up to which a result file is valid.</summary>
/// <param name="Lines">Number of results.</param>
/// <param name="Failed">Number of results that are errors.</param>
/// <param name="Bytes">Size of the results in bytes.</param>
/// <param name="Input">Digest of the input up to the last result.</param>
/// <param name="Sha256">SHA-256 of the bytes since the previous entry.</param>
/// <param name="Settings">See <see cref="RunIdentity.Settings"/>: of the results from here on if another machine continues.</param>
/// <param name="Portable">See <see cref="RunIdentity.Portable"/>.</param>
/// <param name="Driver">See <see cref="RunIdentity.Driver"/>.</param>
internal sealed record JournalEntry(
    long Lines, long Failed, long Bytes, string Input, string Sha256, string? Settings = null, string? Portable = null,
    string? Driver = null)
{
    /// <summary>The state of an empty file.</summary>
    public static JournalEntry None { get; } = new(0, 0, 0, "", "");
}

/// <summary>The first line of a journal.</summary>
/// <param name="Settings">The settings that the results depend on.</param>
/// <param name="Shard">The part, as on the command line.</param>
/// <param name="Portable">See <see cref="RunIdentity.Portable"/>.</param>
/// <param name="Driver">See <see cref="RunIdentity.Driver"/>.</param>
internal sealed record JournalHead(string Settings, string Shard, string? Portable = null, string? Driver = null)
{
    /// <summary>What the results depend on.</summary>
    [JsonIgnore]
    public RunIdentity Identity => new(Settings, Portable, Driver);
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(RunRecord))]
[JsonSerializable(typeof(JournalHead))]
[JsonSerializable(typeof(JournalEntry))]
internal sealed partial class RunJson : JsonSerializerContext;
