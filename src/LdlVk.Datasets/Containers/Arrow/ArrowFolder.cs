using System.Text.Json;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Datasets.Containers.Arrow;

/// <summary>
/// A folder that the library <c>datasets</c> wrote with <c>save_to_disk</c>: Arrow streams, and state.json, which names them in order.
/// </summary>
internal static class ArrowFolder
{
    private const string State = "state.json", Splits = "dataset_dict.json";
    private const int MaxStateBytes = 16 << 20;

    /// <summary>Returns the files of a folder in order.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="name">The user's name of the input, for messages.</param>
    /// <exception cref="UsageException">The folder is none of these.</exception>
    public static IReadOnlyList<string> Files(string folder, string name)
    {
        string state = Path.Combine(folder, State);
        if (File.Exists(state)) return Read(folder, state);
        throw new UsageException(File.Exists(Path.Combine(folder, Splits))
            ? $"{name} {folder} is a folder of several parts ({string.Join(", ", Parts(folder))}). Give the folder of one of them."
            : $"{name} {folder} is a folder, and not one that Dataset.save_to_disk wrote: it has no {State}. Give one of its files.");
    }

    private static List<string> Read(string folder, string state)
    {
        if (new FileInfo(state).Length > MaxStateBytes) throw Damaged("it is too long.");
        List<string> files = [];
        try
        {
            using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(state));
            JsonElement root = json.RootElement;
            if (root.TryGetProperty("_indices_data_files", out JsonElement indices)
                && indices is { ValueKind: JsonValueKind.Array } && indices.GetArrayLength() > 0)
                throw new UsageException(
                    $"{folder} is a selection of rows of its files. "
                    + "Save it with a current version of datasets, which writes only those rows.");
            foreach (JsonElement file in root.GetProperty("_data_files").EnumerateArray())
            {
                string name = file.GetProperty("filename").GetString() ?? "";
                if (name.Length == 0 || name != Path.GetFileName(name) || name is "." or "..")
                    throw Damaged($"it names {Readable.Quoted(name)}, which is no file of the folder.");
                string path = Path.Combine(folder, name);
                if (!File.Exists(path))
                    throw new UsageException($"{state} names {name}, and there is no such file. Copy the whole folder.");
                files.Add(path);
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            throw Damaged("it does not list the files.", e);
        }

        return files;

        UsageException Damaged(string why, Exception? inner = null) => new($"{state} is damaged: {why} Save the data set again.", inner);
    }

    private static IEnumerable<string> Parts(string folder) =>
        Directory.EnumerateDirectories(folder).Where(part => File.Exists(Path.Combine(part, State)))
            .Select(part => Path.GetFileName(part)).Order(StringComparer.Ordinal).Take(8);
}
