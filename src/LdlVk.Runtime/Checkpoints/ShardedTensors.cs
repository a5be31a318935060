using System.Text.Json;
using LdlVk.Runtime.Files;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>
/// The tensors of a Hugging Face folder: those of <c>model.safetensors</c>, or of the shards that <c>model.safetensors.index.json</c>
/// lists. Beside either, value_head.safetensors may hold a head. Names are those of <see cref="TensorNames"/>. Owns the files.
/// </summary>
internal sealed class ShardedTensors : IDisposable
{
    /// <summary>The file that lists the shard of each tensor.</summary>
    public const string IndexName = "model.safetensors.index.json";

    /// <summary>The file in which TRL and LLaMA-Factory save a value head.</summary>
    public const string ValueHeadName = "value_head.safetensors";

    private const string SingleName = "model.safetensors";

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
            List<(string Key, SafetensorsFile File)> found = File.Exists(single) ? tensors.All(SingleName)
                : File.Exists(index) ? tensors.Indexed(index) : throw OtherFolder.NoWeights(folder);
            if (File.Exists(Path.Combine(folder, ValueHeadName)) && !tensors._files.ContainsKey(ValueHeadName))
                found.AddRange(tensors.All(ValueHeadName));
            tensors.Add(found);
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
        string? first = _tensors.Values.Select(tensor => tensor.Key).Order(StringComparer.Ordinal).FirstOrDefault();
        throw new CheckpointException(
            $"The checkpoint {_folder} has no tensor {name} (nor {TensorNames.Usual}{name}). "
            + $"It holds {_tensors.Count} tensors, the first of which is {(first is null ? "none" : Shown.Short(first))}. "
            + (OtherFolder.WhyMissing(_tensors.Values.Select(t => t.Key))
                ?? "Check that the download is complete and that it is the full model, not an adapter."));
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

    private List<(string Key, SafetensorsFile File)> All(string name)
    {
        SafetensorsFile file = SafetensorsFile.Open(Path.Combine(_folder, name));
        _files.Add(name, file);
        return [.. file.Names.Select(key => (key, file))];
    }

    private List<(string Key, SafetensorsFile File)> Indexed(string index)
    {
        List<(string, SafetensorsFile)> found = [];
        foreach ((string key, string shard) in JsonFile.Read(index, ReadWeightMap))
        {
            if (!_files.TryGetValue(shard, out SafetensorsFile? file))
                _files.Add(shard, file = SafetensorsFile.Open(ShardPath(index, shard)));
            if (!file.Contains(key))
                throw new CheckpointException(
                    $"{index} says that tensor {Shown.Short(key)} is in {shard}, but that file does not have it. Download both again.");
            found.Add((key, file));
        }

        return found;
    }

    private void Add(List<(string Key, SafetensorsFile File)> found)
    {
        TensorNames names = new(_folder, [.. found.Select(tensor => tensor.Key)]);
        foreach ((string key, SafetensorsFile file) in found)
        {
            if (names.Of(key) is { } name && !_tensors.TryAdd(name, (file, key)))
                throw new CheckpointException(
                    $"The checkpoint {_folder} has tensor {Shown.Short(name)} twice, as {Shown.Short(_tensors[name].Key)} and as "
                    + $"{Shown.Short(key)}. It must be one or the other.");
        }
    }

    private static List<(string Key, string Shard)> ReadWeightMap(JsonField root)
    {
        JsonField map = root.Get("weight_map");
        List<(string, string)> shards = [];
        foreach (JsonProperty pair in map.Members()) shards.Add((pair.Name, map.Member(Shown.Short(pair.Name), pair.Value).String()));
        return shards;
    }

    /// <summary>
    /// Returns the path of a shard. Its name must be a plain file name, so that an index cannot name files elsewhere. The file itself may
    /// be a link to anywhere: links are the user's own.
    /// </summary>
    private string ShardPath(string index, string shard)
    {
        // Refused on every system: separators, drives of Windows, and the names '.' and '..'.
        if (!shard.EndsWith(".safetensors", StringComparison.Ordinal) || shard.AsSpan().IndexOfAny("/\\:\0") >= 0)
            throw new CheckpointException(
                $"{index} names the shard {Shown.Short(shard)}. "
                + $"A shard must be a plain file name ending in .safetensors, in the same folder.");
        string path = Path.Combine(_folder, shard);
        if (FileIdentity.Of(path) is not null) return path;
        if (new FileInfo(path).LinkTarget is { } target)
            throw new CheckpointException(
                $"The shard {path} is a link to {target}, which does not exist. Put the file back, or download it.");
        throw new CheckpointException($"The shard {path} is missing; {IndexName} lists it. Download it.");
    }
}
