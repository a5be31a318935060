using LdlVk.Runtime.Checkpoints.Adapters;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>
/// The files of a model's folder: config.json, the tensors of its files of weights, and PyTorch files of heads beside them. An adapter may
/// change the tensors. It handles names, shapes and bytes, and knows nothing about model architectures. Of large files, a tensor
/// is read when it is asked for. Reading is thread-safe; opening is not. Tensors are valid until the folder is disposed.
/// </summary>
internal sealed class CheckpointFolder : IDisposable
{
    /// <summary>The file that describes the model.</summary>
    public const string ConfigName = "config.json";

    private readonly List<TorchFile> _torchFiles = [];
    private readonly ShardedTensors _tensors;
    private readonly AdapterTensors? _adapter;
    private readonly Dictionary<string, StoredWeight> _stored = new(StringComparer.Ordinal);

    private CheckpointFolder(string path, ModelFolders folders)
    {
        Path = path;
        TextPath = folders.Text;
        _tensors = ShardedTensors.Open(path);
        Names = _tensors.Names;
        try
        {
            Require(ConfigName, "It describes the model; download it too.");
            Converted = ConvertedFormat.Read(_tensors.Files);
            _tensors.Fp8 = ReadConfig(Fp8Scheme.Read);
            if (_tensors.Fp8 is not null) Names = [.. Names.Where(name => !Fp8Scheme.IsPart(name, _tensors.Contains))];
            if (folders.Adapter is not { } adapter) return;
            if (Converted is not null)
                throw new CheckpointException(
                    $"{path} was converted, and an adapter changes the weights before a conversion. Give the original folder of the base "
                    + $"model with {OptionName.Adapter.Of(adapter)}; that can be converted.");
            _adapter = AdapterTensors.Open(System.IO.Path.GetFullPath(adapter), _tensors);
            Names = [.. Names.Union(_adapter.Tensors.Keys)];
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The folder, as a full path.</summary>
    public string Path { get; }

    /// <summary>The format of a converted folder; null for an original checkpoint.</summary>
    public ConvertedFormat? Converted { get; }

    /// <summary>The folder of the adapter, as a full path; null for none.</summary>
    public string? AdapterPath => _adapter?.Folder;

    /// <summary>The folder whose tokenizer and chat template are used.</summary>
    public string TextPath { get; }

    /// <summary>Files of the adapter that decide a score; empty without one.</summary>
    public IEnumerable<string> AdapterFiles => _adapter?.Paths ?? [];

    /// <summary>The names of all tensors in the files of weights, without <c>model.</c>.</summary>
    public IReadOnlyCollection<string> Names { get; }

    /// <inheritdoc cref="ShardedTensors.Ignored"/>
    public string? IgnoredWeights => _tensors.Ignored;

    /// <summary>Paths of the opened files that hold weights.</summary>
    public IEnumerable<string> WeightFiles => _tensors.Files.Select(file => file.Path).Concat(_torchFiles.Select(file => file.Path));

    /// <summary>Opens the files of a model, with an adapter if there is one.</summary>
    /// <exception cref="CheckpointException">The folder is missing or holds something else, or a file is missing, damaged or
    /// hostile.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static CheckpointFolder Open(string folder, string? adapter = null)
    {
        ModelFolders folders = ModelFolders.Find(folder, adapter);
        folder = folders.Base;
        if (File.Exists(folder))
            throw new CheckpointException(
                $"{folder} is a file. Give the folder of a downloaded Hugging Face model, with {ConfigName} and files of weights.");
        if (!Directory.Exists(folder))
            throw new CheckpointException(
                $"There is no folder {folder}. " + (IsRepositoryName(folder)
                    ? $"If it is the name of a model on a hub, download it first: ldlvk pull {folder} DIR"
                    : "Give the folder of a downloaded Hugging Face model; models are not downloaded for you."));
        return new CheckpointFolder(System.IO.Path.GetFullPath(folder), folders);
    }

    /// <summary>Passes the fields of config.json to <paramref name="read"/>. They are invalid after it returns.</summary>
    /// <exception cref="CheckpointException">The file is not valid JSON, or <paramref name="read"/> refuses a field.</exception>
    public T ReadConfig<T>(Func<ConfigFields, T> read) =>
        JsonFile.Read(System.IO.Path.Combine(Path, ConfigName), root => read(new ConfigFields(root)));

    /// <summary>Whether the files of weights have a tensor of this name, without <c>model.</c>.</summary>
    public bool Contains(string name) => _tensors.Contains(name) || IsOfAdapter(name);

    /// <summary>Whether an adapter changes or replaces the tensor of this name.</summary>
    public bool IsOfAdapter(string name) => _adapter?.Tensors.ContainsKey(name) == true;

    /// <summary>Element type of a tensor before an adapter replaced it.</summary>
    public ElementType TypeInBase(string name) => (_tensors.Contains(name) ? _tensors.Tensor(name) : Tensor(name)).ElementType;

    /// <summary>Whether the folder has a file of this name.</summary>
    public bool HasFile(string name) => File.Exists(System.IO.Path.Combine(Path, name));

    /// <summary>Path of the file of weights that holds a tensor, without <c>model.</c>; null if none does.</summary>
    public string? FileOf(string name) => _tensors.FileOf(name);

    /// <summary>The tensor of this name, without <c>model.</c>.</summary>
    /// <exception cref="CheckpointException">The tensor is missing or has an unsupported element type, such as a matrix of a converted
    /// folder.</exception>
    public CheckpointTensor Tensor(string name) => !_stored.TryGetValue(name, out StoredWeight? stored)
        ? Read(name)
        : throw new CheckpointException(
            $"Tensor {name} of {Path} is there as {ConvertedFormat.Name(stored.Format)} weights only, which cannot be used here. "
            + $"Use the original folder.");

    /// <summary>The tensor of this name, which must have this shape.</summary>
    /// <exception cref="CheckpointException">The tensor is missing, or has another shape or an unsupported type.</exception>
    public CheckpointTensor Tensor(string name, params int[] shape)
    {
        CheckpointTensor tensor = Tensor(name);
        if (tensor.Shape is [0])
            throw new CheckpointException(
                $"Tensor {name} of {tensor.File} is empty (shape [0]): DeepSpeed ZeRO-3 had its weights divided over processes when the "
                + $"model was saved. Join them from its checkpoint with zero_to_fp32.py, or save again with "
                + $"stage3_gather_16bit_weights_on_model_save.");
        if (!tensor.Shape.SequenceEqual(shape))
            throw new CheckpointException(
                $"Tensor {name} of {tensor.File} has shape [{string.Join(", ", tensor.Shape)}], "
                + $"but {ConfigName} asks for [{string.Join(", ", shape)}]. The two are not from the same model.");
        return tensor;
    }

    /// <summary>Verifies a matrix [rows, columns], which <see cref="Weight"/> can then read.</summary>
    /// <returns>Its bytes in the files.</returns>
    /// <exception cref="CheckpointException">The tensor is missing, or has another shape or an unsupported type.</exception>
    public long OpenMatrix(string name, int rows, int columns)
    {
        if (Converted is null) return Tensor(name, rows, columns).Bytes;
        StoredWeight weight = StoredWeight.Open(_tensors, name, rows, columns, Converted.Weights);
        _stored.Add(name, weight);
        return weight.Bytes;
    }

    /// <summary>
    /// Opens a matrix in a format. A matrix of an original checkpoint is scanned once and then converted as it is read; one of a converted
    /// folder is copied unchanged.
    /// </summary>
    /// <param name="name">Its name, without <c>model.</c></param>
    /// <param name="format">The requested format; a converted folder has only its own.</param>
    /// <exception cref="CheckpointException">The matrix is missing, or an element is infinite or not a number.</exception>
    /// <exception cref="UsageException">The folder was converted to another format.</exception>
    public IWeightSource Weight(string name, WeightFormat format)
    {
        CheckWeights(format);
        return _stored.TryGetValue(name, out StoredWeight? stored) ? stored : WeightSource.Create(Tensor(name), format);
    }

    /// <summary>Throws if <see cref="Weight"/> cannot provide this format.</summary>
    /// <exception cref="UsageException">The folder was converted to another format.</exception>
    public void CheckWeights(WeightFormat format)
    {
        if (Converted is not { } converted || converted.Weights == format) return;
        string has = ConvertedFormat.Name(converted.Weights), wanted = ConvertedFormat.Name(format);
        throw new UsageException(
            $"{Path} was converted to {has} weights, and no others can be made of those. Use {OptionName.Weights.Of($"{has} or auto")}, "
                + $"or the original folder with {OptionName.Weights.Of(wanted)}.");
    }

    /// <summary>The tensors of the files of weights whose names begin with a prefix, by the rest of their names.</summary>
    public StateDict Module(string prefix) => new($"{prefix}* in {Path}", Names
        .Where(name => name.StartsWith(prefix, StringComparison.Ordinal) && !IsCounter(name))
        .ToDictionary(name => name[prefix.Length..], Read));

    /// <summary>Whether a tensor is the integer in which PyTorch's BatchNorm counts its training steps.</summary>
    private static bool IsCounter(string name) => name.EndsWith(".num_batches_tracked", StringComparison.Ordinal);

    /// <summary>The tensors of a PyTorch file in the folder, by their keys.</summary>
    /// <param name="name">Name of the file.</param>
    /// <param name="advice">What to do if it is missing: a sentence.</param>
    /// <exception cref="CheckpointException">It is missing, damaged or hostile.</exception>
    public StateDict TorchModule(string name, string advice)
    {
        TorchFile file = TorchFile.Open(Require(name, advice));
        _torchFiles.Add(file);
        return new StateDict(file.Path, file.Tensors);
    }

    /// <summary>Frees what was read into memory and can be read again. Thread-safe.</summary>
    public void Forget()
    {
        _tensors.Forget();
        _adapter?.Forget();
    }

    /// <summary>Throws if a file of weights was changed since it was opened. See <see cref="FileBytes.CheckUnchanged"/>.</summary>
    /// <exception cref="CheckpointException">One was.</exception>
    public void CheckUnchanged()
    {
        foreach (ITensorFile file in _tensors.Files) file.CheckUnchanged();
        foreach (TorchFile file in _torchFiles) file.CheckUnchanged();
        _adapter?.CheckUnchanged();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _tensors.Dispose();
        _adapter?.Dispose();
        foreach (TorchFile file in _torchFiles) file.Dispose();
    }

    private CheckpointTensor Read(string name) =>
        _adapter?.Tensors.TryGetValue(name, out CheckpointTensor? changed) == true ? changed : _tensors.Tensor(name);

    /// <summary>Whether a path looks like OWNER/NAME on a hub.</summary>
    private static bool IsRepositoryName(string path) => path.Split('/') is [var owner, var name]
        && new[] { owner, name }.All(word => word.Length > 0 && word[0] is not ('.' or '~')
            && word.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.'));

    private string Require(string name, string advice)
    {
        if (HasFile(name)) return System.IO.Path.Combine(Path, name);
        string[] found =
            [.. Directory.EnumerateFiles(Path).Select(System.IO.Path.GetFileName).OfType<string>().Order(StringComparer.Ordinal).Take(8)];
        throw new CheckpointException(
            $"{Path} lacks {name}. {advice} Found: {(found.Length == 0 ? "no files" : string.Join(", ", found.Select(Shown.Short)))}.");
    }
}

/// <summary>The tensors of a module, such as a head.</summary>
/// <param name="Path">The location of the tensors, for messages.</param>
/// <param name="Tensors">The tensors by their keys in the module.</param>
internal sealed record StateDict(string Path, IReadOnlyDictionary<string, CheckpointTensor> Tensors)
{
    /// <summary>The tensors whose keys begin with a prefix, by the rest of their keys.</summary>
    public StateDict Below(string prefix) => new($"{prefix}* in {Path}", Tensors
        .Where(tensor => tensor.Key.StartsWith(prefix, StringComparison.Ordinal))
        .ToDictionary(tensor => tensor.Key[prefix.Length..], tensor => tensor.Value));
}
