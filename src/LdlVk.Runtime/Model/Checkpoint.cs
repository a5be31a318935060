using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>
/// A reward model on disk: a folder with config.json, the backbone's safetensors, and a head: that of an LDL model in two files
/// <c>regression_layer.pt</c> and <c>gating_layer.pt</c>, others in the safetensors; or a folder that <c>ldlvk convert</c> made, where all are
/// in the safetensors. Opening verifies every name, shape and byte range of the model and reads no weights; the files are mapped into
/// memory, so reading a tensor costs page cache and no heap. Reading is thread-safe. Dispose it when all weights are uploaded and no more
/// embedding rows are needed: its tensors die with it.
/// </summary>
public sealed class Checkpoint : IDisposable
{
    internal const string ConfigName = "config.json", RegressionName = "regression_layer.pt", GatingName = "gating_layer.pt";

    /// <summary>What the names of the heads' tensors begin with in a converted folder.</summary>
    internal const string RegressionPrefix = "regression_layer.", GatingPrefix = "gating_layer.";

    private readonly List<IDisposable> _owned = [];
    private readonly ShardedTensors _tensors;
    private readonly Dictionary<string, StoredWeight> _stored = new(StringComparer.Ordinal);

    private Checkpoint(string folder)
    {
        Folder = folder;
        _tensors = ShardedTensors.Open(folder);
        _owned.Add(_tensors);
        try
        {
            ConfigFile config = ConfigFile.Read(Require(ConfigName, "It says what the model looks like; download it too."));
            Config = config.Backbone;
            Converted = ConvertedFormat.Read(_tensors.Files);
            if (config.IsConverted && Converted is null)
                throw new CheckpointException($"{ConfigName} of {Folder} is that of a converted folder, but the safetensors files lack what ldlvk convert writes into their metadata. Take {ConfigName} from the original, or convert the original again.");
            CheckNames();
            foreach ((string name, int[] shape) in BackboneTensors.Of(Config)) BackboneBytes += OpenTensor(name, shape);
            SourceType = Tensor(BackboneTensors.Embedding).ElementType;
            if (Converted is { } converted && converted.SourceType != SourceType)
                throw new CheckpointException($"{Folder} says that it was converted from {ConvertedFormat.Name(converted.SourceType)}, but its embedding table is {ConvertedFormat.Name(SourceType)}. Convert the original again.");
            Head = OpenHead(config.Heads);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The folder, as a full path.</summary>
    public string Folder { get; }

    /// <summary>What <c>ldlvk convert</c> made of it; null for an original.</summary>
    public ConvertedFormat? Converted { get; }

    /// <summary>The numbers of the backbone.</summary>
    public BackboneConfig Config { get; }

    /// <summary>What turns the last hidden state into a score.</summary>
    public ModelHead Head { get; }

    /// <summary>Element type of the embedding table, which stands for the type the model was published in.</summary>
    public ElementType SourceType { get; }

    /// <summary>Bytes of the backbone's tensors in their files, embedding table included, heads not.</summary>
    public long BackboneBytes { get; }

    /// <summary>Paths of the files that hold the weights, heads included.</summary>
    internal IEnumerable<string> WeightFiles => _tensors.Files.Select(file => file.Path)
        .Concat(((string[])[RegressionName, GatingName]).Select(name => Path.Combine(Folder, name)).Where(path => Converted is null && File.Exists(path)));

    /// <summary>Opens and verifies the model in <paramref name="folder"/>.</summary>
    /// <exception cref="CheckpointException">
    /// The folder is missing or holds something else, a file is missing, damaged or hostile, or the model is not supported.
    /// </exception>
    public static Checkpoint Open(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (File.Exists(folder))
            throw new CheckpointException($"{folder} is a file. Give the folder of a downloaded Hugging Face model, with {ConfigName} and safetensors files.");
        if (!Directory.Exists(folder))
            throw new CheckpointException($"There is no folder {folder}. Give the folder of a downloaded Hugging Face model; models are not downloaded for you.");
        try
        {
            return new Checkpoint(Path.GetFullPath(folder));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException($"The folder {folder} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>The backbone's tensor of this name (without <c>model.</c>).</summary>
    /// <exception cref="CheckpointException">There is none, or its elements are of a type that is not read; a converted folder's matrices are not.</exception>
    public CheckpointTensor Tensor(string name) => !_stored.TryGetValue(name, out StoredWeight? stored)
        ? _tensors.Tensor(name)
        : throw new CheckpointException($"Tensor {name} of {Folder} is there as {ConvertedFormat.Name(stored.Format)} weights alone, which cannot serve here. Use the original folder.");

    /// <summary>
    /// A matrix of a layer in a format: an original's is looked through and then converted as it is read, a converted folder's is copied as
    /// it is.
    /// </summary>
    /// <param name="name">Its name, without <c>model.</c></param>
    /// <param name="format">The wanted format; a converted folder has its own alone.</param>
    /// <exception cref="CheckpointException">There is none, or an element is infinite or not a number.</exception>
    /// <exception cref="UsageException">The folder was converted to another format.</exception>
    public IWeightSource Weight(string name, WeightFormat format)
    {
        CheckWeights(format);
        return _stored.TryGetValue(name, out StoredWeight? stored) ? stored : WeightSource.Create(Tensor(name), format);
    }

    /// <summary>Throws unless <see cref="Weight"/> can give weights of this format.</summary>
    /// <exception cref="UsageException">The folder was converted to another format.</exception>
    public void CheckWeights(WeightFormat format)
    {
        if (Converted is not { } converted || converted.Weights == format) return;
        string has = ConvertedFormat.Name(converted.Weights), wanted = ConvertedFormat.Name(format);
        throw new UsageException($"{Folder} was converted to {has} weights, and no others can be made of those. Use --weights {has} or auto, or the original folder with --weights {wanted}.");
    }

    /// <summary>The backbone's tensor of this name, which must have this shape.</summary>
    /// <exception cref="CheckpointException">There is none, or it has another shape or a type that is not read.</exception>
    public CheckpointTensor Tensor(string name, params int[] shape)
    {
        CheckpointTensor tensor = Tensor(name);
        if (!tensor.Shape.SequenceEqual(shape))
            throw new CheckpointException($"Tensor {name} of {tensor.File} has shape [{string.Join(", ", tensor.Shape)}], but {ConfigName} asks for [{string.Join(", ", shape)}]. The two are not from the same model.");
        return tensor;
    }

    /// <summary>Path of the safetensors file that holds a tensor, without <c>model.</c>; null if none does.</summary>
    internal string? FileOf(string name) => _tensors.FileOf(name);

    /// <summary>Lets go of the pages of the backbone's files read so far, which count as this process's memory until then. Thread-safe.</summary>
    /// <exception cref="CheckpointException">The system refused to map a file again.</exception>
    public void ForgetPages() => _tensors.ForgetPages();

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (IDisposable owned in _owned) owned.Dispose();
    }

    /// <summary>Verifies a tensor of the backbone.</summary>
    /// <returns>Its bytes in the files.</returns>
    private long OpenTensor(string name, int[] shape)
    {
        if (Converted is null || !BackboneTensors.IsWeight(name, shape)) return Tensor(name, shape).Bytes;
        StoredWeight weight = StoredWeight.Open(_tensors, name, shape[0], shape[1], Converted.Weights);
        _stored.Add(name, weight);
        return weight.Bytes;
    }

    /// <summary>
    /// A config with too few layers, or of another architecture, would give wrong scores without any other sign: every tensor of the
    /// backbone has to be one that the model has.
    /// </summary>
    private void CheckNames()
    {
        if (Converted is not null) return;
        HashSet<string> expected = [.. BackboneTensors.Of(Config).Select(t => t.Name)];
        string? missing = expected.FirstOrDefault(name => !_tensors.Contains(name));
        string? further = _tensors.Names.Order(StringComparer.Ordinal).FirstOrDefault(name => name.StartsWith("layers.", StringComparison.Ordinal) && !expected.Contains(name) && !IsBuffer(name));
        if (further?.StartsWith($"layers.{Config.Layers}.", StringComparison.Ordinal) == true)
            throw new CheckpointException($"{Folder} has tensors of layer {Config.Layers} (counted from 0), but {ConfigName} says num_hidden_layers {Config.Layers}. The two are not from the same model.");
        Architecture[] others = [.. Architecture.All.Where(a => a != Config.Architecture && LooksLike(a))];
        if (others.Length > 0 && (missing ?? further) is not null)
            throw new CheckpointException($"{Folder} {(missing is null ? $"has a tensor {Shown.Short(further!)}, which a {Config.Architecture} model has not" : $"has no tensor {missing}")}: {ConfigName} says model_type \"{Config.Architecture.ModelType}\", but its layers look like {string.Join(" or ", others.Select(o => o.Name))}. The files are not from the same model.");
        if (missing is null && further is not null)
            throw new CheckpointException($"{Folder} has a tensor {Shown.Short(further)}, which a {Config.Architecture} model of {Config.Layers} layers has not. Supported architectures: {string.Join(", ", Architecture.All.Select(a => a.Name))}.");
    }

    /// <summary>Whether the first layer has the norms of an architecture and no others.</summary>
    private bool LooksLike(Architecture architecture) =>
        _tensors.Names.Where(name => name.StartsWith(BackboneTensors.Layer(0), StringComparison.Ordinal) && name.EndsWith("norm.weight", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal).SequenceEqual(architecture.Norms.All.Select(norm => $"{BackboneTensors.Layer(0)}{norm}.weight").Order(StringComparer.Ordinal));

    /// <summary>Tables that old versions of the reference implementation saved, and that are computed.</summary>
    private static bool IsBuffer(string name) => name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal);

    private ModelHead OpenHead(LdlSettings settings)
    {
        foreach (string prefix in ScoreHead.Prefixes)
            if (Stored(prefix) is { Tensors.Count: > 0 } score) return ScoreHead.Create(score, prefix, Config.HiddenSize);
        if (Converted is not null) return LdlHeads.Create(Stored(RegressionPrefix), Stored(GatingPrefix), Config.HiddenSize, settings);
        if (!((string[])[RegressionName, GatingName]).Any(name => File.Exists(Path.Combine(Folder, name))))
            throw new CheckpointException($"{Folder} has no reward head: neither {RegressionName} and {GatingName} (LDL-Reward-Gemma-2), nor tensors score.* (Skywork-Reward-Gemma-2, INF-ORM-Llama3.1) or v_head.summary.* (GRM). It looks like a plain {Config.Architecture} model, which cannot score. Give the folder of a reward model.");
        return LdlHeads.Create(OpenHead(RegressionName), OpenHead(GatingName), Config.HiddenSize, settings);

        HeadTensors Stored(string prefix) => new($"{prefix}* in {Folder}", _tensors.Names
            .Where(name => name.StartsWith(prefix, StringComparison.Ordinal)).ToDictionary(name => name[prefix.Length..], _tensors.Tensor));
    }

    private HeadTensors OpenHead(string name)
    {
        TorchFile file = TorchFile.Open(Require(name, "The model's two heads are separate files beside the safetensors; download it too."));
        _owned.Add(file);
        return new HeadTensors(file.Path, file.Tensors);
    }

    private string Require(string name, string advice)
    {
        string path = Path.Combine(Folder, name);
        if (File.Exists(path)) return path;
        string[] found = [.. Directory.EnumerateFiles(Folder).Select(Path.GetFileName).OfType<string>().Order(StringComparer.Ordinal).Take(8)];
        throw new CheckpointException($"{Folder} lacks {name}. {advice} Found: {(found.Length == 0 ? "no files" : string.Join(", ", found.Select(Shown.Short)))}.");
    }
}
