using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Json;
using LdlVk.Runtime.Model.Heads;

namespace LdlVk.Runtime.Model;

/// <summary>
/// A reward model on disk: a folder with config.json, the backbone's safetensors files, and a head in the same or in separate files; or a
/// folder made by <c>ldlvk convert</c>, with all tensors in the safetensors files. Opening verifies every name, shape and byte range of the
/// model and reads no weights. Reading is thread-safe. Disposing invalidates its tensors, so dispose it only after all weights are
/// uploaded and no more embedding rows are needed.
/// </summary>
public sealed class Checkpoint : IDisposable
{
    /// <summary>Beginnings of the names of a backbone's tensors.</summary>
    private static readonly string[] OfBackbone = ["layers.", "norm.", "embed_tokens.", "tok_embeddings."];

    private readonly CheckpointFolder _files;

    /// <summary>Where the files have each tensor of the backbone.</summary>
    private readonly Dictionary<string, StoredTensor> _stored = new(StringComparer.Ordinal);

    private Checkpoint(CheckpointFolder files, string? head)
    {
        _files = files;
        (Config, PadTokenId, bool isConverted) = files.ReadConfig(fields =>
        {
            Architecture architecture = Architecture.Named(fields);
            bool converted = fields.IsConverted();
            ConfigFields text = architecture.TextFields(fields);
            return (architecture.Read(text), PadToken(text, architecture), converted);
        });
        if (isConverted && Converted is null)
            throw new CheckpointException(
                $"{CheckpointFolder.ConfigName} of {Folder} is that of a converted folder, "
                + $"but the safetensors files lack what ldlvk convert writes into their metadata. "
                + $"Take {CheckpointFolder.ConfigName} from the original, or convert the original again.");
        CheckNames();
        foreach ((string name, int[] shape) in BackboneTensors.Of(Config))
        {
            _stored.Add(name, Converted is null ? Config.Architecture.Stored(Config, name, shape) : new StoredTensor(name, shape, null));
            if (Converted is not null && BackboneTensors.IsWeight(name, shape))
                BackboneBytes += files.OpenMatrix(name, shape[0], shape[1]);
        }

        foreach (StoredTensor stored in _stored.Values.DistinctBy(stored => stored.Name))
            if (Converted is null || !BackboneTensors.IsWeight(stored.Name, stored.Shape))
                BackboneBytes += files.Tensor(stored.Name, stored.Shape).Bytes;
        ElementType table = Embedding.ElementType;
        // An adapter's update of the table is of another type than the model, and a conversion keeps it in fp32.
        SourceType = Converted?.SourceType ?? files.TypeInBase(StoredName(BackboneTensors.Embedding));
        if (table != SourceType && Converted is not null && table != ElementType.Fp32)
            throw new CheckpointException(
                $"{Folder} says that it was converted from {ConvertedFormat.Name(SourceType)}, "
                + $"but its embedding table is {ConvertedFormat.Name(table)}. Convert the original again.");
        Head = HeadKind.Open(new HeadSource(files, Config, head));
        string[] unused = Converted is not null ? [] : Unused();
        UnusedTensors = head is null ? unused : [];
    }

    /// <summary>The folder, as a full path; that of the base model if there is an adapter.</summary>
    public string Folder => _files.Path;

    /// <inheritdoc cref="CheckpointFolder.AdapterPath"/>
    public string? AdapterFolder => _files.AdapterPath;

    /// <inheritdoc cref="CheckpointFolder.TextPath"/>
    public string TextFolder => _files.TextPath;

    /// <summary>Whether there is a tokenizer in <see cref="TextFolder"/>; without one, only token ids can be scored.</summary>
    public bool HasTokenizer => Checkpoints.Adapters.AdapterFolder.HasTokenizer(TextFolder);

    /// <summary>Names of the files in which originals have their heads, beside the safetensors.</summary>
    public static IReadOnlyList<string> HeadFiles { get; } = [.. HeadKind.All.SelectMany(kind => kind.Files)];

    /// <summary>The format of a converted folder; null for an original checkpoint.</summary>
    public ConvertedFormat? Converted => _files.Converted;

    /// <inheritdoc cref="CheckpointFolder.IgnoredWeights"/>
    public string? IgnoredWeights => _files.IgnoredWeights;

    /// <summary>
    /// Names of tensors that neither the backbone nor the head reads, without prefixes; empty for a converted folder, and where the user
    /// chose among several heads.
    /// </summary>
    public IReadOnlyList<string> UnusedTensors { get; }

    /// <summary>The hyperparameters of the backbone.</summary>
    public BackboneConfig Config { get; }

    /// <summary>
    /// The id of the padding token, which decides what the head reads of a text that contains it; null if the model has none.
    /// </summary>
    public int? PadTokenId { get; }

    /// <summary>The head, which computes a score from the last hidden state.</summary>
    public ModelHead Head { get; }

    /// <summary>Element type of the embedding table in the original model, which is the type of the published model.</summary>
    public ElementType SourceType { get; }

    /// <summary>Size of the backbone's tensors in the files in bytes, with the embedding table and without heads.</summary>
    public long BackboneBytes { get; }

    /// <inheritdoc cref="CheckpointFolder.AdapterFiles"/>
    internal IEnumerable<string> AdapterFiles => _files.AdapterFiles;

    /// <summary>Paths of the files with weights, including heads.</summary>
    internal IEnumerable<string> WeightFiles => _files.WeightFiles;

    /// <summary>
    /// Returns the identity of the model by the content of its files, in hexadecimal. A copy in another folder has the same; another
    /// model with files of the same names and sizes has not. Large files are sampled.
    /// </summary>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public string Fingerprint() => ModelFingerprint.Of(Folder, WeightFiles, TextFolder, AdapterFiles);

    /// <summary>
    /// Whether a factor of the embeddings is rounded to bf16: as the setting says, or with <see cref="EmbeddingScale.Auto"/> as the
    /// checkpoint does. Also false if the architecture has no such factor.
    /// </summary>
    public bool RoundsEmbeddingScale(EmbeddingScale scale) => Config.Architecture.ScalesEmbeddings
        && (scale == EmbeddingScale.Bf16 || (scale == EmbeddingScale.Auto && SourceType == ElementType.Bf16));

    /// <summary>Opens and verifies a model.</summary>
    /// <param name="folder">Its folder; or that of an adapter whose base model lies where its config says, or beside it.</param>
    /// <param name="adapter">Folder of a PEFT adapter that changes the model; null for none.</param>
    /// <param name="head">
    /// The head: the name of its tensors, such as <c>score</c> or <c>v_head</c>; <c>steps</c> for one that scores steps; <c>logit:N</c> for
    /// the logit of a token; null for the only one that there is.
    /// </param>
    /// <exception cref="CheckpointException">
    /// The folder is missing or holds something else, a file is missing, damaged or hostile, or the model is not supported.
    /// </exception>
    /// <exception cref="UsageException">The model has not the head that was chosen.</exception>
    public static Checkpoint Open(string folder, string? adapter = null, string? head = null)
    {
        CheckpointFolder? files = null;
        try
        {
            files = CheckpointFolder.Open(folder, adapter);
            return new Checkpoint(files, head);
        }
        catch (Exception e)
        {
            files?.Dispose();
            if (e is IOException or UnauthorizedAccessException)
                throw new CheckpointException($"The folder {folder} cannot be read: {e.Message}", e);
            throw;
        }
    }

    /// <summary>
    /// Returns the index of the token whose hidden state the head reads: the last one, unless the text contains the padding token. The
    /// model's own code chooses it; the tokens behind it do not change the score.
    /// </summary>
    /// <param name="ids">The text, with at least one token.</param>
    public int ReadPosition(ReadOnlySpan<int> ids) => Heads.ReadPosition.Of(Head.Reads, ids, PadTokenId);

    /// <summary>The embedding table [vocabulary, hidden].</summary>
    internal CheckpointTensor Embedding => Tensor(BackboneTensors.Embedding);

    /// <summary>Returns a text with the token at its end at which the model reads it, if it has one and the text lacks it.</summary>
    public int[] Complete(int[] ids) => Head.Complete(ids);

    /// <summary>
    /// Returns the positions that the head reads in the head's order: the score's, which is the last, with the gate's before it if the
    /// model has gates; or those of the steps.
    /// </summary>
    /// <param name="ids">The text, with at least one token.</param>
    /// <param name="steps">The last token of each step; null for a text without marked steps.</param>
    /// <exception cref="InputException">The text lacks what the head reads, or has steps that it cannot score.</exception>
    public int[] ReadPositions(ReadOnlySpan<int> ids, IReadOnlyList<int>? steps = null) => Head.PositionsIn(ids, PadTokenId, steps);

    /// <summary>Whether the files have a tensor of this name, without <c>model.</c>.</summary>
    public bool Contains(string tensor) => _files.Contains(tensor);

    /// <inheritdoc cref="CheckpointFolder.Tensor(string)"/>
    internal CheckpointTensor Tensor(string name) => _files.Tensor(StoredName(name));

    /// <inheritdoc cref="CheckpointFolder.Tensor(string, int[])"/>
    internal CheckpointTensor Tensor(string name, params int[] shape) => _files.Tensor(StoredName(name), shape);

    /// <summary>Returns a norm or a bias of the backbone, by its name in <see cref="BackboneTensors"/>.</summary>
    internal float[] Vector(string name)
    {
        IFloatMatrix vector = Elements(name);
        float[] values = new float[(long)vector.Rows * vector.Columns];
        vector.Read(0, values);
        return values;
    }

    /// <summary>Opens a matrix of the backbone in a format, by its name in <see cref="BackboneTensors"/>.</summary>
    /// <inheritdoc cref="CheckpointFolder.Weight" path="/remarks|/exception"/>
    public IWeightSource Weight(string name, WeightFormat format)
    {
        if (_stored[name].Rows is null) return _files.Weight(_stored[name].Name, format);
        CheckWeights(format);
        return WeightSource.Create(Elements(name), format);
    }

    private string StoredName(string name) => _stored.TryGetValue(name, out StoredTensor? stored) ? stored.Name : name;

    private IFloatMatrix Elements(string name) => _stored[name].Of(name, _files.Tensor(_stored[name].Name));

    /// <inheritdoc cref="CheckpointFolder.CheckWeights"/>
    public void CheckWeights(WeightFormat format) => _files.CheckWeights(format);

    /// <summary>Returns the path of the file that holds a tensor, by its name in <see cref="BackboneTensors"/> or in the file.</summary>
    internal string? FileOf(string name) => _files.FileOf(StoredName(name));

    /// <inheritdoc cref="CheckpointFolder.Forget"/>
    public void Forget() => _files.Forget();

    /// <summary>
    /// Throws if a file of weights was changed since it was opened, so that what is still read of it would belong to another model.
    /// </summary>
    /// <exception cref="CheckpointException">One was.</exception>
    public void CheckUnchanged() => _files.CheckUnchanged();

    /// <inheritdoc/>
    public void Dispose() => _files.Dispose();

    /// <summary>Reads pad_token_id. Null says that there is none; an absent field has the architecture's default.</summary>
    private static int? PadToken(ConfigFields fields, Architecture architecture)
    {
        if (fields.IsNull("pad_token_id")) return null;
        return fields.Root.TryGet("pad_token_id", out JsonField pad)
            ? pad.Integer(int.MinValue, int.MaxValue) : architecture.DefaultPadToken;
    }

    /// <summary>
    /// Verifies that the model uses every tensor of the backbone. Otherwise a config with too few layers, or of another architecture, would
    /// give wrong scores without any error.
    /// </summary>
    private void CheckNames()
    {
        if (Converted is not null) return;
        HashSet<string> expected = [.. StoredNames(Config)];
        string? missing = expected.FirstOrDefault(name => !_files.Contains(name));
        string? further = _files.Names.Order(StringComparer.Ordinal).FirstOrDefault(
            name => OfBackbone.Any(part => name.StartsWith(part, StringComparison.Ordinal)) && !expected.Contains(name) && !IsBuffer(name));
        if (missing is null && further is null) return;
        if (further?.StartsWith($"layers.{Config.Layers}.", StringComparison.Ordinal) == true)
            throw new CheckpointException(
                $"{Folder} has tensors of layer {Config.Layers} (counted from 0), "
                + $"but {CheckpointFolder.ConfigName} says num_hidden_layers {Config.Layers}. The two are not from the same model.");
        string[] alike = [.. Architecture.All.Where(LooksLike).Select(a => a.Name)];
        string found = missing is null
            ? $"has a tensor {Shown.Short(further!)}, which {Config.Architecture} with {Config.Layers} layers has not"
            : $"has no tensor {missing}";
        string says = $"{CheckpointFolder.ConfigName} says model_type \"{Config.Architecture.ModelType}\"";
        if (alike.Length > 0 && !alike.Contains(Config.Architecture.Name))
            throw new CheckpointException(
                $"{Folder} {found}: {says}, but its layers look like {string.Join(" or ", alike)}. The files are not from the same model.");
        if (missing is null)
            throw new CheckpointException(
                $"{Folder} {found}. Supported architectures: {string.Join(", ", Architecture.All.Select(a => a.Name))}.");
    }

    /// <summary>
    /// The tensors that are left over. Transformers reports them too. That of an adapter which was not merged is an error: without it the
    /// scores are those of its base.
    /// </summary>
    private string[] Unused()
    {
        HashSet<string> used = [.. StoredNames(Config), .. Head.Tensors.Select(tensor => tensor.Name), Config.Architecture.Projection];
        string[] unused = [.. _files.Names.Order(StringComparer.Ordinal).Where(name =>
            !used.Contains(name) && !IsBuffer(name) && !name.EndsWith(".num_batches_tracked", StringComparison.Ordinal))];
        return Array.Find(unused, name => name.Contains(".lora_", StringComparison.Ordinal)) is { } update
            ? throw new CheckpointException(
                $"{Folder} has a tensor {Shown.Short(update)}, an update that was not merged into the model. Merge it in PEFT with "
                + $"merge_and_unload(), or give the adapter's own folder.")
            : unused;
    }

    private static IEnumerable<string> StoredNames(BackboneConfig config) => BackboneTensors.Of(config)
        .Select(tensor => config.Architecture.Stored(config, tensor.Name, tensor.Shape).Name).Distinct();

    /// <summary>Whether the first layer has the tensors of an architecture and no others.</summary>
    private bool LooksLike(Architecture architecture)
    {
        HashSet<string> first = [.. _files.Names.Where(name => IsOfFirstLayer(name) && !IsBuffer(name))];
        BackboneConfig[] configs = [.. architecture.AttentionBiases.Select(
            bias => Config with { Architecture = architecture, AttentionBias = bias, HasFeedForwardBiases = false, Layers = 1 })];
        if (architecture.MayBiasFeedForward)
            configs = [.. configs, .. configs.Select(config => config with { HasFeedForwardBiases = true })];
        return configs.Any(config => first.SetEquals(StoredNames(config).Where(IsOfFirstLayer)));
    }

    private static bool IsOfFirstLayer(string name) => name.StartsWith(BackboneTensors.Layer(0), StringComparison.Ordinal);

    /// <summary>Whether a tensor is a computed table that old versions of the reference implementation saved.</summary>
    private static bool IsBuffer(string name) => name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal);
}
