using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace LdlVk.Cli.Commands;

/// <summary>
/// Describes in one line all settings that results depend on. Runs with equal settings give bitwise equal results on the same device.
/// </summary>
internal static class RunSettings
{
    /// <summary>Describes a model and its options.</summary>
    public static string Describe(string folder, RewardModelOptions options, bool details) => string.Create(CultureInfo.InvariantCulture,
        $"model {Identity(folder)}, device {options.Device}, weights {options.Weights?.ToString().ToLowerInvariant() ?? "auto"}, "
        + $"heads {options.Heads.ToString().ToLowerInvariant()}, "
        + $"compute {options.Compute.ToString().ToLowerInvariant()}, "
        + $"embedding scale {options.EmbeddingScale.ToString().ToLowerInvariant()}, template {options.ChatTemplate}, "
        + $"{(options.SystemMessages == SystemMessages.Merge ? "system messages merged, " : "")}"
        + $"{(options.Truncate ? "truncated" : "not truncated")}, "
        + $"{(options.Split is { } split ? $"split {string.Join(",", split)}, " : "")}{(details ? "details" : "no details")}");

    /// <summary>
    /// Identifies a folder's model without reading its weights: by config.json and by the names and sizes of the other files, which are the
    /// same for a copy on another machine.
    /// </summary>
    private static string Identity(string folder)
    {
        string config = Path.Combine(folder, "config.json");
        // Without config.json, loading the model reports the error.
        if (!File.Exists(config)) return "";
        StringBuilder text = new(File.ReadAllText(config));
        IEnumerable<FileInfo> files = new DirectoryInfo(folder).EnumerateFiles("*.*")
            .Where(f => f.Extension is ".safetensors" or ".pt" or ".json");
        foreach (FileInfo file in files.OrderBy(f => f.Name, StringComparer.Ordinal))
            text.Append(CultureInfo.InvariantCulture, $"\n{file.Name} {file.Length}");
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())))[..16];
    }
}
