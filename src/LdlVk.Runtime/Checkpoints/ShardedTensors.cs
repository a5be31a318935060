using System.Text.Json;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>
/// The tensors of a Hugging Face folder: those of <c>model.safetensors</c>, or of the shards that <c>model.safetensors.index.json</c>
/// lists.
/// Names are without the prefix <c>model.</c>, which is optional in the files. Owns the files.
/// </summary>
internal sealed class ShardedTensors : IDisposable
{
    /// <summary>The file that lists the shard of each tensor.</summary>
    public const string IndexName = "model.safetensors.index.json";

    private const string SingleName = "model.safetensors", Prefix = "model.";

    private readonly Dictionary<string, SafetensorsFile> _files = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (SafetensorsFile File, string Key)> _tensors = new(StringComparer.Ordinal);
    private readonly string _folder;

    private ShardedTensors(string folder) => _folder = folder;

    /// <summary>The names of all tensors, without <c>model.</c>.</summary>
    public IReadOnlyCollection<string> Names => _tensors.Keys;

    /// <summary>Opens the files of <paramref name="folder"/>, whose existence the caller has checked.</summary>
    /// <exception cref="CheckpointException">There are no files, one is missing or damaged, or the index is wrong.</exception>
    public static ShardedTensors Open(string folder)
    {
        ShardedTensors tensors = new(folder);
        try
        {
            string single = Path.Combine(folder, SingleName), index = Path.Combine(folder, IndexName);
            if (File.Exists(single)) tensors.AddAll(SafetensorsFile.Open(single));
            else if (File.Exists(index)) tensors.AddIndexed(index);
            else throw NoWeights(folder);
            return tensors;
        }
        catch
        {
            tensors.Dispose();
            throw;
        }
    }

    /// <summary>The open files.</summary>
    public IReadOnlyCollection<SafetensorsFile> Files => _files.Values;

    /// <summary>Whether there is a tensor of this name.</summary>
    public bool Contains(string name) => _tensors.ContainsKey(name);

    /// <summary>Path of the file that holds the tensor of this name; null if there is none.</summary>
    public string? FileOf(string name) => _tensors.TryGetValue(name, out (SafetensorsFile File, string Key) found) ? found.File.Path : null;

    /// <summary>The tensor of this name.</summary>
    /// <exception cref="CheckpointException">The tensor is missing or has an unsupported element type.</exception>
    public CheckpointTensor Tensor(string name)
    {
        (SafetensorsFile file, string key) = Find(name);
        return file.Tensor(key, name);
    }

    /// <summary>The bytes of the tensor of this name, which must have this type and shape.</summary>
    /// <exception cref="CheckpointException">The tensor is missing, or has another type or shape.</exception>
    public FileRange Range(string name, string type, params int[] shape)
    {
        (SafetensorsFile file, string key) = Find(name);
        return file.Range(key, type, shape);
    }

    private (SafetensorsFile File, string Key) Find(string name)
    {
        if (_tensors.TryGetValue(name, out (SafetensorsFile, string) found)) return found;
        string example = _tensors.Count == 0 ? "none" : Shown.Short(_tensors.Keys.Order(StringComparer.Ordinal).First());
        throw new CheckpointException(
            $"The checkpoint {_folder} has no tensor {name} (nor {Prefix}{name}). "
            + $"It holds {_tensors.Count} tensors, the first of which is {example}. "
            + $"Check that the download is complete and that it is the full model, not an adapter.");
    }

    /// <summary>Unmaps the pages of all files read so far.</summary>
    public void ForgetPages()
    {
        foreach (SafetensorsFile file in _files.Values) file.ForgetPages();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (SafetensorsFile file in _files.Values) file.Dispose();
    }

    private void AddAll(SafetensorsFile file)
    {
        _files.Add(SingleName, file);
        foreach (string key in file.Names) Add(key, file);
    }

    private void AddIndexed(string index)
    {
        foreach ((string key, string shard) in JsonFile.Read(index, ReadWeightMap))
        {
            if (!_files.TryGetValue(shard, out SafetensorsFile? file))
                _files.Add(shard, file = SafetensorsFile.Open(ShardPath(index, shard)));
            if (!file.Contains(key))
                throw new CheckpointException(
                    $"{index} says that tensor {Shown.Short(key)} is in {shard}, but that file does not have it. Download both again.");
            Add(key, file);
        }
    }

    private void Add(string key, SafetensorsFile file)
    {
        string name = key.StartsWith(Prefix, StringComparison.Ordinal) ? key[Prefix.Length..] : key;
        if (!_tensors.TryAdd(name, (file, key)))
            throw new CheckpointException(
                $"The checkpoint {_folder} has tensor {Shown.Short(name)} twice, with the prefix {Prefix} and without. "
                + $"It must be one or the other.");
    }

    private static List<(string Key, string Shard)> ReadWeightMap(JsonField root)
    {
        JsonField map = root.Get("weight_map");
        List<(string, string)> shards = [];
        foreach (JsonProperty pair in map.Members()) shards.Add((pair.Name, map.Member(Shown.Short(pair.Name), pair.Value).String()));
        return shards;
    }

    /// <summary>Returns the path of a shard. Its name must be a plain file name, and the file must be in the folder of the index.</summary>
    private string ShardPath(string index, string shard)
    {
        // Refused on every system: separators, drives of Windows, and the names '.' and '..'.
        if (!shard.EndsWith(".safetensors", StringComparison.Ordinal) || shard.AsSpan().IndexOfAny("/\\:\0") >= 0)
            throw new CheckpointException(
                $"{index} names the shard {Shown.Short(shard)}. "
                + $"A shard must be a plain file name ending in .safetensors, in the same folder.");
        string path = Path.Combine(_folder, shard);
        if (!File.Exists(path)) throw new CheckpointException($"The shard {path} is missing; {IndexName} lists it. Download it.");
        if (RealPath.Of(path) is var real && !IsBelow(real, _folder) && !IsInDownloadCache(real))
            throw new CheckpointException(
                $"The shard {path} is a link to {real}, which is outside its folder. Put the file itself into the folder.");
        return path;
    }

    /// <summary>
    /// Whether a link is part of a Hugging Face download cache, which has the files in MODEL/blobs and links to them in
    /// MODEL/snapshots/REVISION. Only in this layout may a link point outside its folder.
    /// </summary>
    private bool IsInDownloadCache(string real)
    {
        DirectoryInfo? snapshots = new DirectoryInfo(RealPath.Of(_folder)).Parent;
        return snapshots is { Name: "snapshots", Parent: { } model } && IsBelow(real, Path.Combine(model.FullName, "blobs"));
    }

    private static bool IsBelow(string real, string folder)
    {
        string above = RealPath.Of(folder);
        return real.StartsWith(
            Path.EndsInDirectorySeparator(above) ? above : above + Path.DirectorySeparatorChar, StringComparison.Ordinal);
    }

    private static CheckpointException NoWeights(string folder)
    {
        string[] files = [.. Directory.EnumerateFiles(folder).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal)];
        string advice = files switch
        {
            _ when files.Contains(ConvertedFormat.ManifestName) =>
                "It is an unfinished conversion: run the same ldlvk convert again to continue it.",
            _ when files.Any(file => file.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase)) =>
                ".gguf files are not supported: use the original Hugging Face model.",
            _ when files.Any(file => file.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase)) =>
                $"There are shards without {IndexName}: download that too.",
            _ when files.Any(file => file.EndsWith(".bin", StringComparison.OrdinalIgnoreCase)) =>
                "Weights in .bin files are not supported: convert them with save_pretrained(…, safe_serialization=True).",
            _ => "Give the folder of a downloaded Hugging Face model.",
        };
        string found = files.Length == 0
            ? "no files"
            : string.Join(", ", files.Take(8).Select(Shown.Short)) + (files.Length > 8 ? ", …" : "");
        return new CheckpointException($"The folder {folder} has neither {SingleName} nor {IndexName}. Found: {found}. {advice}");
    }
}
