using System.Text.Json;
using LdlVk.Runtime.Files;

namespace LdlVk.Scoring;

/// <summary>Names of the attributes: from the optional file labels.json, a list of as many strings; else the published ones.</summary>
internal static class Labels
{
    public static IReadOnlyList<string> Read(string folder, int attributes, IReadOnlyList<string>? published = null)
    {
        string path = Path.Combine(folder, "labels.json");
        try
        {
            if (FileIdentity.Of(path) is { Kind: FileKind.File } && new FileInfo(path).Length < 1 << 20)
            {
                using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(path));
                string?[] names = [.. json.RootElement.EnumerateArray().Select(e => e.GetString())];
                if (names.Length == attributes && names.All(n => n is not null)) return names!;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or InvalidOperationException)
        {
            // Names are for display: without a usable file the attributes keep their numbers.
        }

        if (published?.Count == attributes) return published;
        return [.. Enumerable.Range(0, attributes).Select(i => $"attribute {i}")];
    }
}
