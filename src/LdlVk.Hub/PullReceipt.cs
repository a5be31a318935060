using System.Text.Json;
using LdlVk.Runtime.Files;

namespace LdlVk.Hub;

/// <summary><c>.ldlvk-pull.json</c>: the source of a folder, and how far the pull is.</summary>
/// <param name="Repository">Address of the repository's page.</param>
/// <param name="Commit">The commit.</param>
/// <param name="Weights">Name of the weight format of a conversion; empty for a copy.</param>
/// <param name="IsComplete">Whether all files are there.</param>
/// <param name="Fetched">Weight files that are whole, during a conversion.</param>
internal sealed record PullReceipt(string Repository, string Commit, string Weights, bool IsComplete, IReadOnlySet<string> Fetched)
{
    /// <summary>The name of the file.</summary>
    public const string Name = ".ldlvk-pull.json";

    /// <summary>The head that a conversion keeps; empty for the only one that there is.</summary>
    public string Head { get; init; } = "";

    private const int MaxBytes = 1 << 20;

    /// <summary>Reads the receipt of a folder; null if there is none.</summary>
    /// <exception cref="UsageException">The receipt is damaged.</exception>
    public static PullReceipt? Read(string folder)
    {
        string path = Path.Combine(folder, Name);
        if (new FileInfo(path) is not { Exists: true, Length: <= MaxBytes }) return null;
        try
        {
            using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(path));
            JsonElement root = json.RootElement;
            return new PullReceipt(
                root.GetProperty("repository").GetString()!,
                root.GetProperty("commit").GetString()!,
                root.GetProperty("weights").GetString()!,
                root.GetProperty("complete").GetBoolean(),
                root.GetProperty("fetched").EnumerateArray().Select(name => name.GetString()!).ToHashSet(StringComparer.Ordinal))
            {
                Head = root.TryGetProperty("head", out JsonElement head) ? head.GetString()! : "",
            };
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            throw new UsageException($"{path} is damaged. Give a new folder, or empty this one.", e);
        }
    }

    /// <summary>Writes the receipt of a folder.</summary>
    public void Write(string folder)
    {
        string path = Path.Combine(folder, Name);
        OwnFile.Check(path);
        OwnFile.Check(path + OutputNames.Partial);
        using (FileStream file = File.Create(path + OutputNames.Partial))
        {
            using (Utf8JsonWriter json = new(file, new JsonWriterOptions { Indented = true }))
            {
                json.WriteStartObject();
                json.WriteString("repository", Repository);
                json.WriteString("commit", Commit);
                json.WriteString("weights", Weights);
                if (Head.Length > 0) json.WriteString("head", Head);
                json.WriteBoolean("complete", IsComplete);
                json.WriteStartArray("fetched");
                foreach (string name in Fetched.Order(StringComparer.Ordinal)) json.WriteStringValue(name);
                json.WriteEndArray();
                json.WriteEndObject();
            }

            file.Flush(flushToDisk: true);
        }

        FolderSync.Move(path + OutputNames.Partial, path);
    }
}
