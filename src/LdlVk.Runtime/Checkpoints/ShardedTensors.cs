using System.Text.Json;
using LdlVk.Runtime.Files;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>
/// The tensors of a Hugging Face folder: those of the first of <c>model.safetensors</c>, the shards that
/// <c>model.safetensors.index.json</c> lists, <c>pytorch_model.bin</c>, and the shards that <c>pytorch_model.bin.index.json</c> lists,
/// which is the order of transformers. Beside them, value_head.safetensors may hold a head. Names are those of <see cref="TensorNames"/>.
/// Owns the files.
/// </summary>
internal sealed class ShardedTensors : IDisposable
{
    /// <summary>The file that lists the shard of each tensor.</summary>
    public const string IndexName = SingleName + IndexSuffix;

    /// <summary>The files of weights that PyTorch saves, and their index.</summary>
    public const string TorchName = "pytorch_model.bin", TorchIndexName = TorchName + IndexSuffix;

    /// <summary>The file in which TRL and LLaMA-Factory save a value head.</summary>
    public const string ValueHeadName = "value_head.safetensors";

    private const string SingleName = "model.safetensors", IndexSuffix = ".index.json";

    /// <summary>The files that list or hold a model's weights, in the order in which they are looked for.</summary>
    private static readonly string[] WeightNames = [SingleName, IndexName, TorchName, TorchIndexName];

    private readonly Dictionary<string, ITensorFile> _files = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (ITensorFile File, string Key)> _tensors = new(StringComparer.Ordinal);
    private readonly string _folder;

    private ShardedTensors(string folder) => _folder = folder;

    /// <summary>The names of all tensors, without <c>model.</c>.</summary>
    public IReadOnlyCollection<string> Names => _tensors.Keys;

    /// <summary>The file of PyTorch, or the index of several, that lies beside safetensors and is not read; null if none.</summary>
    public string? Ignored { get; private init; }

    /// <summary>How fp8 weights were quantized; null if config.json does not say so.</summary>
    public Fp8Scheme? Fp8 { get; set; }

    /// <summary>Opens the files of <paramref name="folder"/>, whose existence the caller has checked.</summary>
    /// <exception cref="CheckpointException">There are no files, one is missing or damaged, or the index is wrong.</exception>
    public static ShardedTensors Open(string folder)
    {
        string[] there = [.. WeightNames.Where(name => IsThere(folder, name))];
        if (there is not [var chosen, ..]) throw OtherFolder.NoWeights(folder);
        bool isTorch = IsTorch(chosen);
        ShardedTensors tensors = new(folder) { Ignored = isTorch ? null : Array.Find(there, IsTorch) };
        try
        {
            List<(string Key, ITensorFile File)> found =
                chosen.EndsWith(IndexSuffix, StringComparison.Ordinal) ? tensors.Indexed(chosen) : tensors.All(chosen);
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

        static bool IsTorch(string name) => name.StartsWith(TorchName, StringComparison.Ordinal);
    }

    /// <summary>Whether a folder has files of weights.</summary>
    public static bool HasWeights(string folder) =>
        WeightNames.Any(name => IsThere(folder, name));

    /// <summary>Maps a file of tensors: a state dict of PyTorch if its name ends in .bin, else safetensors.</summary>
    /// <exception cref="CheckpointException">The file cannot be read, is damaged or hostile.</exception>
    public static ITensorFile OpenFile(string path) =>
        path.EndsWith(".bin", StringComparison.Ordinal) ? TorchFile.Open(path) : SafetensorsFile.Open(path);

    /// <summary>Path of the folder.</summary>
    public string Folder => _folder;

    /// <summary>The open files.</summary>
    public IReadOnlyCollection<ITensorFile> Files => _files.Values;

    /// <summary>Whether there is a tensor of this name.</summary>
    public bool Contains(string name) => _tensors.ContainsKey(name);

    /// <summary>Path of the file that holds the tensor of this name; null if there is none.</summary>
    public string? FileOf(string name) => _tensors.TryGetValue(name, out (ITensorFile File, string Key) found) ? found.File.Path : null;

    /// <summary>Dimensions of the tensor of this name, which is there, whatever its type is.</summary>
    public IReadOnlyList<int> ShapeOf(string name)
    {
        (ITensorFile file, string key) = Find(name);
        return file.Shape(key);
    }

    /// <summary>The tensor of this name.</summary>
    /// <exception cref="CheckpointException">The tensor is missing or has an unsupported element type.</exception>
    public CheckpointTensor Tensor(string name)
    {
        (ITensorFile file, string key) = Find(name);
        CheckpointTensor tensor = file.Tensor(key, name);
        return tensor.ElementType == ElementType.Fp8E4M3 ? tensor.With(Fp8Scales.Of(tensor, ScalesOf(name, file), Fp8!)) : tensor;
    }

    /// <summary>The scales of an fp8 matrix.</summary>
    /// <exception cref="CheckpointException">There are none, or config.json does not say how to use them.</exception>
    private CheckpointTensor ScalesOf(string name, ITensorFile file)
    {
        string? scales = Fp8Scheme.Suffixes.Select(suffix => name + suffix).FirstOrDefault(Contains);
        string? why = Fp8 is null ? $"{CheckpointFolder.ConfigName} has no quantization_config that says how they were made"
            : scales is null ? $"there is no {name}{Fp8Scheme.Suffixes[0]} beside it, nor {name}{Fp8Scheme.Suffixes[1]}"
            : TensorNames.IsTable(name) ? "an embedding table in fp8 is not supported" : null;
        return why is null
            ? Tensor(scales!)
            : throw new CheckpointException($"Tensor {name} of {file.Path} has elements of fp8 (E4M3), but {why}. {OtherFolder.Original}");
    }

    /// <summary>The bytes of the tensor of this name, which must have this type and shape.</summary>
    /// <exception cref="CheckpointException">The tensor is missing, or has another type or shape.</exception>
    public FileRange Range(string name, string type, params int[] shape)
    {
        (ITensorFile file, string key) = Find(name);
        return file.Range(key, type, shape);
    }

    private (ITensorFile File, string Key) Find(string name)
    {
        if (_tensors.TryGetValue(name, out (ITensorFile, string) found)) return found;
        string? first = _tensors.Values.Select(tensor => tensor.Key).Order(StringComparer.Ordinal).FirstOrDefault();
        throw new CheckpointException(
            $"The checkpoint {_folder} has no tensor {name} (nor {TensorNames.Usual}{name}). "
            + $"It holds {_tensors.Count} tensors, the first of which is {(first is null ? "none" : Shown.Short(first))}. "
            + (OtherFolder.WhyMissing(_tensors.Values.Select(t => t.Key))
                ?? "Check that the download is complete and that it is the full model, not an adapter.")
            + (Ignored is null ? "" : $" {Ignored} lies beside it and is not read, as safetensors come first."));
    }

    /// <summary>Frees what was read into memory and can be read again.</summary>
    public void Forget()
    {
        foreach (ITensorFile file in _files.Values) file.Forget();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (ITensorFile file in _files.Values) file.Dispose();
    }

    private List<(string Key, ITensorFile File)> All(string name)
    {
        ITensorFile file = OpenFile(Path.Combine(_folder, name));
        _files.Add(name, file);
        return [.. file.Names.Select(key => (key, file))];
    }

    private List<(string Key, ITensorFile File)> Indexed(string indexName)
    {
        string index = Path.Combine(_folder, indexName), extension = indexName == IndexName ? ".safetensors" : ".bin";
        List<(string, ITensorFile)> found = [];
        foreach ((string key, string shard) in JsonFile.Read(index, ReadWeightMap))
        {
            if (!_files.TryGetValue(shard, out ITensorFile? file))
                _files.Add(shard, file = OpenFile(ShardPath(index, shard, extension)));
            if (!file.Contains(key))
                throw new CheckpointException(
                    $"{index} says that tensor {Shown.Short(key)} is in {shard}, but that file does not have it. Download both again.");
            found.Add((key, file));
        }

        return found;
    }

    private void Add(List<(string Key, ITensorFile File)> found)
    {
        TensorNames names = new(_folder, [.. found.Select(tensor => tensor.Key)]);
        foreach ((string key, ITensorFile file) in found)
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
    private string ShardPath(string index, string shard, string extension)
    {
        // Refused on every system: separators, drives of Windows, and the names '.' and '..'.
        if (!shard.EndsWith(extension, StringComparison.Ordinal) || shard.AsSpan().IndexOfAny("/\\:\0") >= 0)
            throw new CheckpointException(
                $"{index} names the shard {Shown.Short(shard)}. "
                + $"A shard must be a plain file name ending in {extension}, in the same folder.");
        string path = Path.Combine(_folder, shard);
        if (FileIdentity.Of(path) is not null) return path;
        if (new FileInfo(path).LinkTarget is { } target)
            throw new CheckpointException(
                $"The shard {path} is a link to {target}, which does not exist. Put the file back, or download it.");
        string other = Ignored is null ? ""
            : $" Or remove {Path.GetFileName(index)}, so that {Ignored}, which lies beside it, is read instead.";
        throw new CheckpointException($"The shard {path} is missing; {Path.GetFileName(index)} lists it. Download it.{other}");
    }

    /// <summary>Whether a folder has a file, or a link whose target is missing, which opening then says.</summary>
    private static bool IsThere(string folder, string name)
    {
        FileInfo file = new(Path.Combine(folder, name));
        return file.Exists || file.LinkTarget is not null;
    }
}
