using System.IO.Enumeration;
using System.Text.Json;
using LdlVk.Runtime.Formatting;
using LdlVk.Runtime.Model;

namespace LdlVk.Hub;

/// <summary>The files of a repository at one revision, as the hub lists them.</summary>
/// <param name="Commit">The commit that the revision names now.</param>
/// <param name="Files">Its files.</param>
public sealed record HubFiles(string Commit, IReadOnlyList<HubFile> Files)
{
    private const long MaxBytes = 1L << 50;

    /// <summary>Patterns of the files that LdlVk reads of a model, and of its license.</summary>
    private static readonly string[] Needed =
    [
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json",
        "added_tokens.json", "chat_template.jinja", "chat_template.json", "labels.json", .. Checkpoint.HeadFiles,
        "ldlvk-convert.json", "LICENSE*", "NOTICE*",
    ];

    /// <summary>
    /// Patterns of the files of weights, in the order of preference: a repository often has the same weights as safetensors and as .bin.
    /// </summary>
    private static readonly string[][] Weights =
    [
        ["model*.safetensors", "model.safetensors.index.json"], ["pytorch_model*.bin", "pytorch_model.bin.index.json"],
        ["adapter_config.json", "adapter_model.safetensors"], ["adapter_config.json", "adapter_model.bin"],
    ];

    /// <summary>Reads a hub's answer.</summary>
    /// <exception cref="UsageException">The answer is not that of a hub, or names a file outside the folder.</exception>
    internal static HubFiles Parse(HubRepository repository, byte[] answer)
    {
        try
        {
            using JsonDocument json = JsonDocument.Parse(answer);
            string commit = json.RootElement.GetProperty("sha").GetString() ?? "";
            if (commit.Length is 0 or > 64 || !commit.All(char.IsAsciiLetterOrDigit)) throw new FormatException();
            return new HubFiles(commit, [.. json.RootElement.GetProperty("siblings").EnumerateArray().Select(Read)]);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new UsageException(
                $"{repository.Endpoint.Host} did not answer as a hub does, with the files of {repository.Name}. Is {HubOption.Endpoint} "
                    + $"right?", e);
        }
    }

    /// <summary>Selects the files that a model needs.</summary>
    /// <param name="repository">The repository, for messages.</param>
    /// <param name="include">Patterns of further files.</param>
    /// <param name="exclude">Patterns of files to leave out.</param>
    /// <exception cref="UsageException">The repository has no model, or a file has no checksum.</exception>
    public IReadOnlyList<HubFile> Select(HubRepository repository, IReadOnlyList<string> include, IReadOnlyList<string> exclude)
    {
        string[] weights = Array.Find(
            Weights, patterns => Files.Any(file => file.IsWeights && patterns.Any(pattern => Fits(pattern, file.Name)))) ?? [];
        string[] patterns = [.. Needed, .. weights, .. include];
        HubFile[] wanted = [.. Files.Where(file => patterns.Any(pattern => Fits(pattern, file.Name))
            && !exclude.Any(pattern => Fits(pattern, file.Name)))];
        if (!wanted.Any(file => file.IsWeights) && !exclude.Any(pattern => Fits(pattern, "model.safetensors")))
        {
            string found = Files.Count == 0
                ? "no files"
                : string.Join(", ", Files.Take(8).Select(file => Readable.OneLine(file.Name, 60))) + (Files.Count > 8 ? ", …" : "");
            throw new UsageException(
                $"{repository.Name} has no model*.safetensors, nor pytorch_model*.bin: it is no model that LdlVk reads. It holds {found}.");
        }

        if (wanted.Length > 0 && wanted.All(file => file.Bytes < 0 || (file.Sha256 is null && file.BlobSha1 is null)))
            throw new UsageException(
                $"{repository.Endpoint.Host} gives no sizes and checksums of the files of {repository.Name}, so that a download could not "
                    + $"be checked. Use another mirror, or the hub itself ({HubRepository.DefaultEndpoint}).");
        foreach (HubFile file in wanted)
        {
            if (file.Bytes < 0)
                throw new UsageException(
                    $"{repository.Endpoint.Host} gives no size of {Readable.OneLine(file.Name, 60)}. Use another mirror.");
            if (file.Name.Split('/').Any(IsReserved))
                throw new UsageException(
                    $"{repository.Name} has a file {Readable.OneLine(file.Name, 60)}, whose name is that of a device on Windows. "
                        + $"Leave it out with {HubOption.Exclude}.");
            if (file.Name[0] == '.' || file.Name.EndsWith(OutputNames.Partial, StringComparison.Ordinal))
                throw new UsageException(
                    $"{repository.Name} has a file {Readable.OneLine(file.Name, 60)}, whose name is in use here. "
                        + $"Leave it out with {HubOption.Exclude}.");
            if (file.Sha256 is null && file.BlobSha1 is null)
                throw new UsageException(
                    $"{repository.Endpoint.Host} gives no checksum of {Readable.OneLine(file.Name, 60)}, so that it could not be "
                        + "checked. Use another mirror.");
        }

        if (wanted.CountBy(file => file.Name, StringComparer.OrdinalIgnoreCase).FirstOrDefault(n => n.Value > 1) is { Value: > 1 } twice)
            throw new UsageException($"{repository.Name} has {Readable.OneLine(twice.Key, 60)} twice.");
        if (wanted.Aggregate(0L, (sum, file) => Math.Min(MaxBytes + 1, sum + file.Bytes)) > MaxBytes)
            throw new UsageException($"{repository.Name} has more than {MaxBytes >> 40:N0} TiB by its list. It is not to be trusted.");
        HashSet<string> folders = [.. wanted.SelectMany(file => Folders(file.Name))];
        if (wanted.FirstOrDefault(file => folders.Contains(file.Name)) is { } both)
            throw new UsageException(
                $"{repository.Name} has {Readable.OneLine(both.Name, 60)} as a file and as a folder. It is not to be trusted.");
        return wanted;
    }

    private static IEnumerable<string> Folders(string name)
    {
        for (int at = name.IndexOf('/', StringComparison.Ordinal); at > 0; at = name.IndexOf('/', at + 1)) yield return name[..at];
    }

    /// <summary>Whether Windows opens a device for a name, with any ending and spaces behind it.</summary>
    private static bool IsReserved(string part)
    {
        string name = part.Split('.')[0].TrimEnd(' ').ToUpperInvariant();
        return name is "CON" or "PRN" or "AUX" or "NUL" or "CONIN$" or "CONOUT$"
            || (name.Length == 4 && name[..3] is "COM" or "LPT" && (char.IsAsciiDigit(name[3]) || name[3] is '¹' or '²' or '³'));
    }

    private static bool Fits(string pattern, string name) =>
        FileSystemName.MatchesSimpleExpression(pattern, name, ignoreCase: false) && (pattern.Contains('/') || !name.Contains('/'));

    private static HubFile Read(JsonElement sibling)
    {
        string name = sibling.GetProperty("rfilename").GetString() ?? throw new FormatException();
        // Separators and drives of all systems, names of folders, and ends of names that Windows drops.
        if (name.Length is 0 or > 400 || name.AsSpan().IndexOfAny("\\:*?\"<>|") >= 0 || name.Any(char.IsControl)
            || name.Split('/').Any(part => part.Trim().Length == 0 || part is "." or ".." || part.EndsWith('.') || part.EndsWith(' ')))
            throw new UsageException(
                $"The repository names a file {Readable.OneLine(name, 60)}, which could lie outside the folder, or on no disk. "
                    + "It is not to be trusted.");
        JsonElement lfs = Member(sibling, "lfs");
        long bytes = Size(lfs) ?? Size(sibling) ?? -1;
        if (bytes is < -1 or > MaxBytes) throw new FormatException();
        return new HubFile(
            name, bytes, Hash(Member(lfs, "sha256"), 64),
            lfs.ValueKind == JsonValueKind.Object ? null : Hash(Member(sibling, "blobId"), 40));
    }

    private static long? Size(JsonElement json) =>
        Member(json, "size") is { ValueKind: JsonValueKind.Number } size ? size.GetInt64() : null;

    private static JsonElement Member(JsonElement json, string name) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out JsonElement value) ? value : default;

    private static string? Hash(JsonElement json, int length) =>
        json.ValueKind == JsonValueKind.String && json.GetString() is { } hash && hash.Length == length && hash.All(char.IsAsciiHexDigit)
        ? hash.ToLowerInvariant() : null;
}
