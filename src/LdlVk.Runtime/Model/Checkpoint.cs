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
    private readonly CheckpointFolder _files;

    private Checkpoint(CheckpointFolder files)
    {
        _files = files;
        (Config, PadTokenId, bool isConverted) = files.ReadConfig(fields =>
        {
            Architecture architecture = Architecture.Named(fields);
            bool converted = fields.IsConverted();
            return (architecture.Read(fields), PadToken(fields, architecture), converted);
        });
        if (isConverted && Converted is null)
            throw new CheckpointException(
                $"{CheckpointFolder.ConfigName} of {Folder} is that of a converted folder, "
                + $"but the safetensors files lack what ldlvk convert writes into their metadata. "
                + $"Take {CheckpointFolder.ConfigName} from the original, or convert the original again.");
        CheckNames();
        foreach ((string name, int[] shape) in BackboneTensors.Of(Config))
            BackboneBytes += BackboneTensors.IsWeight(name, shape)
                ? files.OpenMatrix(name, shape[0], shape[1])
                : files.Tensor(name, shape).Bytes;
        SourceType = Tensor(BackboneTensors.Embedding).ElementType;
        if (Converted is { } format && format.SourceType != SourceType)
            throw new CheckpointException(
                $"{Folder} says that it was converted from {ConvertedFormat.Name(format.SourceType)}, "
                + $"but its embedding table is {ConvertedFormat.Name(SourceType)}. Convert the original again.");
        Head = HeadKind.Open(files, Config);
    }

    /// <summary>The folder, as a full path; that of the base model if there is an adapter.</summary>
    public string Folder => _files.Path;

    /// <inheritdoc cref="CheckpointFolder.AdapterPath"/>
    public string? AdapterFolder => _files.AdapterPath;

    /// <inheritdoc cref="CheckpointFolder.TextPath"/>
    public string TextFolder => _files.TextPath;

    /// <summary>Names of the files in which originals have their heads, beside the safetensors.</summary>
    public static IReadOnlyList<string> HeadFiles { get; } = [.. HeadKind.All.SelectMany(kind => kind.Files)];

    /// <summary>The format of a converted folder; null for an original checkpoint.</summary>
    public ConvertedFormat? Converted => _files.Converted;

    /// <inheritdoc cref="CheckpointFolder.IgnoredWeights"/>
    public string? IgnoredWeights => _files.IgnoredWeights;

    /// <summary>The hyperparameters of the backbone.</summary>
    public BackboneConfig Config { get; }

    /// <summary>
    /// The id of the padding token, which decides what the head reads of a text that contains it; null if the model has none.
    /// </summary>
    public int? PadTokenId { get; }

    /// <summary>The head, which computes a score from the last hidden state.</summary>
    public ModelHead Head { get; }

    /// <summary>Element type of the embedding table, which is the type of the published model.</summary>
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
    /// <exception cref="CheckpointException">
    /// The folder is missing or holds something else, a file is missing, damaged or hostile, or the model is not supported.
    /// </exception>
    public static Checkpoint Open(string folder, string? adapter = null)
    {
        CheckpointFolder? files = null;
        try
        {
            files = CheckpointFolder.Open(folder, adapter);
            return new Checkpoint(files);
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

    /// <inheritdoc cref="CheckpointFolder.Tensor(string)"/>
    internal CheckpointTensor Tensor(string name) => _files.Tensor(name);

    /// <inheritdoc cref="CheckpointFolder.Tensor(string, int[])"/>
    internal CheckpointTensor Tensor(string name, params int[] shape) => _files.Tensor(name, shape);

    /// <inheritdoc cref="CheckpointFolder.Weight"/>
    public IWeightSource Weight(string name, WeightFormat format) => _files.Weight(name, format);

    /// <inheritdoc cref="CheckpointFolder.CheckWeights"/>
    public void CheckWeights(WeightFormat format) => _files.CheckWeights(format);

    /// <inheritdoc cref="CheckpointFolder.FileOf"/>
    internal string? FileOf(string name) => _files.FileOf(name);

    /// <inheritdoc cref="CheckpointFolder.ForgetPages"/>
    public void ForgetPages() => _files.ForgetPages();

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
        HashSet<string> expected = [.. BackboneTensors.Of(Config).Select(t => t.Name)];
        string? missing = expected.FirstOrDefault(name => !_files.Contains(name));
        string? further = _files.Names.Order(StringComparer.Ordinal).FirstOrDefault(
            name => name.StartsWith("layers.", StringComparison.Ordinal) && !expected.Contains(name) && !IsBuffer(name));
        if (further?.StartsWith($"layers.{Config.Layers}.", StringComparison.Ordinal) == true)
            throw new CheckpointException(
                $"{Folder} has tensors of layer {Config.Layers} (counted from 0), "
                + $"but {CheckpointFolder.ConfigName} says num_hidden_layers {Config.Layers}. The two are not from the same model.");
        Architecture[] others = [.. Architecture.All.Where(a => a != Config.Architecture && LooksLike(a))];
        if (others.Length > 0 && (missing ?? further) is not null)
        {
            string found = missing is null
                ? $"has a tensor {Shown.Short(further!)}, which a {Config.Architecture} model has not"
                : $"has no tensor {missing}";
            throw new CheckpointException(
                $"{Folder} {found}: {CheckpointFolder.ConfigName} says model_type \"{Config.Architecture.ModelType}\", "
                + $"but its layers look like {string.Join(" or ", others.Select(o => o.Name))}. "
                + $"The files are not from the same model.");
        }
        if (missing is null && further is not null)
            throw new CheckpointException(
                $"{Folder} has a tensor {Shown.Short(further)}, which a {Config.Architecture} model of {Config.Layers} layers has not. "
                + $"Supported architectures: {string.Join(", ", Architecture.All.Select(a => a.Name))}.");
    }

    /// <summary>Whether the first layer has the norms of an architecture and no others.</summary>
    private bool LooksLike(Architecture architecture) =>
        _files.Names.Where(IsNormOfFirstLayer).Order(StringComparer.Ordinal).SequenceEqual(
            architecture.Norms.All.Select(norm => $"{BackboneTensors.Layer(0)}{norm}.weight").Order(StringComparer.Ordinal));

    private static bool IsNormOfFirstLayer(string name) =>
        name.StartsWith(BackboneTensors.Layer(0), StringComparison.Ordinal) && name.EndsWith("norm.weight", StringComparison.Ordinal);

    /// <summary>Whether a tensor is a computed table that old versions of the reference implementation saved.</summary>
    private static bool IsBuffer(string name) => name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal);
}
