using System.Text.RegularExpressions;

namespace LdlVk.Runtime.Checkpoints.Adapters;

/// <summary>
/// The tensors of a model with an adapter: those of the base model, the updated ones of which add the update as they are read, and those
/// that the adapter saved whole, which replace the base's. Every tensor of the adapter is used, or an error. Owns the adapter's files.
/// </summary>
internal sealed partial class AdapterTensors : IDisposable
{
    /// <summary>Modules that programs put around the layers of a model.</summary>
    private static readonly string[] Wrappers =
        ["model", "base_model", "language_model", "transformer", "pretrained_model", "module", "_orig_mod", "_fsdp_wrapped_module"];

    private readonly ShardedTensors _base;
    private readonly AdapterConfig _config;
    private readonly List<ITensorFile> _files = [];
    private readonly List<LowRankUpdate> _updates = [];
    private readonly Dictionary<string, CheckpointTensor> _tensors = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Pair> _pairs = new(StringComparer.Ordinal);

    private AdapterTensors(string folder, ShardedTensors tensors, AdapterConfig config) =>
        (Folder, _base, _config) = (folder, tensors, config);

    /// <summary>The adapter's folder.</summary>
    public string Folder { get; }

    /// <summary>The tensors that differ from the base's, or that it lacks, by their names without <c>model.</c>.</summary>
    public IReadOnlyDictionary<string, CheckpointTensor> Tensors => _tensors;

    /// <summary>The adapter's files that decide a score.</summary>
    public IEnumerable<string> Paths => [Path.Combine(Folder, AdapterConfig.FileName), .. _files.Select(file => file.Path)];

    /// <summary>Opens an adapter over the tensors of its base model. Reads no weights.</summary>
    /// <exception cref="CheckpointException">The adapter is damaged, not supported, or does not fit the base; the first tensor is
    /// named.</exception>
    public static AdapterTensors Open(string folder, ShardedTensors tensors)
    {
        AdapterTensors adapter = new(folder, tensors, AdapterConfig.Read(Path.Combine(folder, AdapterConfig.FileName)));
        try
        {
            adapter.Read();
            return adapter;
        }
        catch
        {
            adapter.Dispose();
            throw;
        }
    }

    /// <summary>Frees what was read and can be read again.</summary>
    public void Forget()
    {
        foreach (LowRankUpdate update in _updates) update.Forget();
        foreach (ITensorFile file in _files) file.Forget();
    }

    /// <inheritdoc cref="FileBytes.CheckUnchanged"/>
    public void CheckUnchanged()
    {
        foreach (ITensorFile file in _files) file.CheckUnchanged();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (ITensorFile file in _files) file.Dispose();
    }

    private void Read()
    {
        string[] weights = [.. AdapterFolder.WeightNames.Where(name => File.Exists(Path.Combine(Folder, name)))];
        if (weights.Length == 0)
            throw new CheckpointException(
                $"The adapter {Folder} has neither {string.Join(" nor ", AdapterFolder.WeightNames)}. Download it completely.");
        ITensorFile file = Open(weights[0]);
        foreach (string key in file.Names.Order(StringComparer.Ordinal)) Add(file, key, isHead: false);
        foreach (string name in AdapterFolder.HeadNames.Where(name => File.Exists(Path.Combine(Folder, name))).Take(1))
        {
            ITensorFile head = Open(name);
            foreach (string key in head.Names.Order(StringComparer.Ordinal)) Add(head, key, isHead: true);
        }

        foreach ((string name, Pair pair) in _pairs.OrderBy(pair => pair.Value.Key, StringComparer.Ordinal)) Update(name, pair);
        CheckComplete();
    }

    private ITensorFile Open(string name)
    {
        ITensorFile file = ShardedTensors.OpenFile(Path.Combine(Folder, name));
        _files.Add(file);
        return file;
    }

    private void Add(ITensorFile file, string key, bool isHead)
    {
        string name = Around().Replace(key, "");
        if (Factor().Match(name) is { Success: true } factor)
        {
            AddFactor(file, key, factor.Groups["module"].Value, factor.Groups["side"].Value, factor.Groups["table"].Success);
            return;
        }

        if (OfAdapter().Match(name) is { Success: true } other)
            throw Error(key, $"is a part of {other.Value.Trim('.')}, which is not supported. {OtherFolder.Merge}");
        // An embedding table that is changed is saved too: its vocabulary may have been trained before.
        bool isTable = Find(name.Replace(".base_layer.", ".", StringComparison.Ordinal)) is { } table && TensorNames.IsTable(table);
        if (name.EndsWith(".base_layer.weight", StringComparison.Ordinal) && !isTable)
            throw Error(key, $"is a weight of the base model, which an adapter does not hold. {OtherFolder.Merge}");
        name = name.Replace(".base_layer.", ".", StringComparison.Ordinal);
        if (name.Contains(".original_module.", StringComparison.Ordinal)) return;
        name = TrainedCopy().Replace(name, ".");
        string? found = Find(name);
        bool isSaved = isHead || found is not null || _config.Saved.Any(saved => IsIn(name, saved));
        if (!isSaved)
            throw Error(
                key, $"is neither a tensor of the base model {_base.Folder} nor of a module in modules_to_save of "
                + $"{AdapterConfig.FileName}: {NotOfBase}");
        CheckpointTensor tensor = file.Tensor(key, found ?? Unwrapped(name));
        if (found is not null && !_base.ShapeOf(found).SequenceEqual(tensor.Shape))
            throw Error(key, $"has shape {Shape(tensor.Shape)}, but that of the base model has {Shape(_base.ShapeOf(found))}: {NotOfBase}");
        if (!_tensors.TryAdd(tensor.Name, tensor)) throw Error(key, $"is there twice. {OtherFolder.Merge}");
    }

    private void AddFactor(ITensorFile file, string key, string module, string side, bool ofTable)
    {
        string name = Find(module + ".weight") ?? throw Error(
            key, $"changes {Shown.Short(module)}.weight, which the base model {_base.Folder} has not: {NotOfBase}");
        if (side is "A" or "B" && TensorNames.IsTable(name) != ofTable)
            throw Error(key, $"is not how PEFT changes {Shown.Short(name)}: of an embedding table it is lora_embedding_{side}.");
        if (!_config.Targets.Contains(module))
            throw Error(
                key, $"changes a module that target_modules of {AdapterConfig.FileName} leaves out. The two are not of one adapter.");
        if (side == "magnitude_vector" && !_config.HasMagnitudes)
            throw Error(key, $"belongs to DoRA, and use_dora of {AdapterConfig.FileName} is not set. The two are not of one adapter.");
        Pair pair = _pairs.GetValueOrDefault(name) ?? new Pair(module, key);
        CheckpointTensor tensor = file.Tensor(key);
        if ((side switch { "A" => pair.A, "B" => pair.B, _ => pair.Magnitude }) is not null)
            throw Error(key, "is there twice: the file has two adapters. Save one alone.");
        _pairs[name] = side switch
        {
            "A" => pair with { A = tensor },
            "B" => pair with { B = tensor },
            _ => pair with { Magnitude = tensor },
        };
    }

    private void Update(string name, Pair pair)
    {
        bool isTable = TensorNames.IsTable(name);
        string prefix = isTable ? "lora_embedding_" : "lora_";
        if (pair.A is not { } a || pair.B is not { } b)
            throw Error(pair.Key, $"has no {prefix}{(pair.A is null ? "A" : "B")} beside it. Download the adapter again.");
        if (_config.HasMagnitudes && pair.Magnitude is null)
            throw Error(pair.Key, $"has no lora_magnitude_vector beside it, which use_dora needs. Download the adapter again.");
        IReadOnlyList<int> shape = _base.ShapeOf(name);
        int rank = _config.RankOf(pair.Module);
        if (shape.Count != 2)
            throw Error(pair.Key, $"changes {Shown.Short(name)} of shape {Shape(shape)}, which is no matrix: {NotOfBase}");
        // W is [out, in] of a linear layer, and its update is B·A; of an embedding table [vocabulary, hidden], and its update is (B·A)ᵀ.
        Check(a, [rank, isTable ? shape[0] : shape[1]], prefix + "A");
        Check(b, [isTable ? shape[1] : shape[0], rank], prefix + "B");
        if (isTable) (a, b) = (b.Transposed(), a.Transposed());
        CheckpointTensor original = _tensors.GetValueOrDefault(name) ?? _base.Tensor(name);
        if (pair.Magnitude is { } magnitude) Check(magnitude, [isTable ? shape[1] : shape[0]], "lora_magnitude_vector");
        Magnitudes? magnitudes = pair.Magnitude is null ? null : new Magnitudes(pair.Magnitude, original, ofColumns: isTable);
        LowRankUpdate update = new(a, b, _config.ScaleOf(pair.Module), magnitudes);
        _updates.Add(update);
        _tensors[name] = original.With(update);

        void Check(CheckpointTensor factor, int[] expected, string side)
        {
            if (!factor.Shape.SequenceEqual(expected))
                throw new CheckpointException(
                    $"{side} of {Shown.Short(pair.Module)} in {factor.File} has shape {Shape(factor.Shape)}, but rank {rank} of "
                    + $"{AdapterConfig.FileName} and {Shown.Short(name)} {Shape(shape)} of the base model {_base.Folder} need "
                    + $"{Shape(expected)}: {NotOfBase}");
        }
    }

    /// <summary>Verifies that nothing of the adapter is missing; the base's own values would be used in silence.</summary>
    private void CheckComplete()
    {
        (string first, Pair? pair) = _pairs.FirstOrDefault();
        string around = pair is null ? TensorNames.Usual : (pair.Module + ".weight")[..^first.Length];
        foreach (string name in _base.Names.Order(StringComparer.Ordinal))
        {
            if (name.EndsWith(".bias", StringComparison.Ordinal)) CheckBias(name, around);
            if (!name.EndsWith(".weight", StringComparison.Ordinal) || _base.ShapeOf(name).Count != 2) continue;
            string module = name[..^".weight".Length];
            bool isLinear = !TensorNames.IsTable(name) || !_config.Targets.IsAllLinear;
            if (!_tensors.ContainsKey(name) && isLinear && _config.Targets.Contains(around + module))
                throw new CheckpointException(
                    $"The adapter {Folder} has no update of {Shown.Short(name)}, which target_modules of {AdapterConfig.FileName} names. "
                    + "Download the adapter again, and check that it is of this base model.");
            if (!_tensors.ContainsKey(name) && _config.Saved.Any(saved => IsIn(name, saved)))
                throw new CheckpointException(
                    $"The adapter {Folder} has no {Shown.Short(name)}, which modules_to_save of {AdapterConfig.FileName} names. "
                    + "Download the adapter again.");
        }

        if (_tensors.Count == 0) throw new CheckpointException($"The adapter {Folder} changes nothing. Download it again.");
    }

    private void CheckBias(string name, string around)
    {
        string module = name[..^".bias".Length];
        bool isTrained = _config.Biases == TrainedBiases.All
            || (_config.Biases == TrainedBiases.OfTargets && _config.Targets.Contains(around + module));
        if (isTrained && !_tensors.ContainsKey(name))
            throw new CheckpointException(
                $"The adapter {Folder} has no {Shown.Short(name)}, which was trained too, as bias of {AdapterConfig.FileName} says. "
                + "Download the adapter again.");
    }

    private string NotOfBase => "the adapter is not of this base model"
        + (_config.Base is { Length: > 0 } name ? $"; it is of {Shown.Short(name)}." : ".");

    /// <summary>The name of a tensor in the base model, without the modules around it; null if it has none.</summary>
    private string? Find(string name)
    {
        for (string rest = name; ;)
        {
            if (_base.Contains(rest)) return rest;
            int dot = rest.IndexOf('.', StringComparison.Ordinal);
            if (dot < 0 || !Wrappers.Contains(rest[..dot])) return null;
            rest = rest[(dot + 1)..];
        }
    }

    private static string Unwrapped(string name) =>
        name.StartsWith(TensorNames.Usual, StringComparison.Ordinal) ? name[TensorNames.Usual.Length..] : name;

    private static bool IsIn(string name, string module) =>
        name.LastIndexOf('.') is > 0 and var dot && (name[..dot] == module || name[..dot].EndsWith("." + module, StringComparison.Ordinal)
            || name[..dot].Contains(module + ".", StringComparison.Ordinal));

    private static string Shape(IReadOnlyList<int> shape) => $"[{string.Join(", ", shape)}]";

    private CheckpointException Error(string key, string what) => new($"Tensor {Shown.Short(key)} of the adapter {Folder} {what}");

    /// <summary>What PEFT and training programs put around a whole model, or around one layer of it.</summary>
    [GeneratedRegex(
        @"^(?:(?:module|_orig_mod|_fsdp_wrapped_module)\.)*(?:base_model\.model\.)?"
        + @"|(?<=\.)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.",
        RegexOptions.CultureInvariant)]
    private static partial Regex Around();

    /// <summary>The names of an update's parts, with the adapter's name or without it.</summary>
    [GeneratedRegex(
        @"^(?<module>.+)\.lora_(?:(?<side>[AB])\.(?:[^.]+\.)?weight|(?<table>embedding_)(?<side>[AB])(?:\.[^.]+)?"
        + @"|(?<side>magnitude_vector)(?:\.[^.]+){0,2})$",
        RegexOptions.CultureInvariant)]
    private static partial Regex Factor();

    /// <summary>Tensors of other adapters of PEFT, and of LoRA with a bias.</summary>
    [GeneratedRegex(
        @"(?:^|\.)(?:(?:lora|oft|boft|vera|hada|lokr|adaption|fourierft|bone|miss|ia3)_[A-Za-z0-9_]+|prompt_embeddings|prompt_encoder"
        + @"|token_adapter|trainable_tokens_delta|ln_tuning_layers|ranknum)(?:\.|$)",
        RegexOptions.CultureInvariant)]
    private static partial Regex OfAdapter();

    [GeneratedRegex(@"\.modules_to_save\.(?:(?!weight$|bias$)[^.]+\.)?", RegexOptions.CultureInvariant)]
    private static partial Regex TrainedCopy();

    /// <summary>The factors of an update.</summary>
    /// <param name="Module">Name of the module that it changes, with the modules around it.</param>
    /// <param name="Key">Name of the first factor in the file.</param>
    private sealed record Pair(string Module, string Key)
    {
        /// <summary>lora_A; null if it was not found.</summary>
        public CheckpointTensor? A { get; init; }

        /// <summary>lora_B; null if it was not found.</summary>
        public CheckpointTensor? B { get; init; }

        /// <summary>The magnitudes of DoRA; null if they were not found.</summary>
        public CheckpointTensor? Magnitude { get; init; }
    }
}
