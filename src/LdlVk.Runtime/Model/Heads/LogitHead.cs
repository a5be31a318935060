using System.Globalization;
using System.Text.Json;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Model.Heads;

/// <summary>
/// The raw logit of one token at the last token, which some reward models give as their score (Llama-3.3-Nemotron-70B-Reward: token 0).
/// Nothing in their files tells them from a language model, so the user chooses this head; a converted folder keeps that one row.
/// </summary>
internal sealed class LogitHead : ModelHead
{
    private const string ChoicePrefix = "logit:", Weight = ".weight", ConvertedPrefix = "logit_head.";

    private readonly HeadNetwork _network;
    private readonly int _token;
    private readonly double _softcap;

    private LogitHead(HeadNetwork network, int token, double softcap) => (_network, _token, _softcap) = (network, token, softcap);

    /// <summary>The kind of this head in a folder that was converted with it.</summary>
    public static HeadKind Kind { get; } = new(
        "logit", $"tensors {ConvertedPrefix}*", "converted with a chosen token", [],
        folder => folder.Converted is not null && Kept(folder) is not null, source => ReadKept(source, Kept(source.Folder)!.Value));

    /// <inheritdoc/>
    public override string Name => "logit";

    /// <inheritdoc/>
    public override string Summary =>
        $"the logit of token {_token}" + (_softcap > 0 ? $", capped softly at {Shown.Number((float)_softcap)}" : "");

    /// <inheritdoc/>
    internal override ReadRule Reads => ReadRule.LastToken;

    /// <inheritdoc/>
    internal override IReadOnlyList<HeadNetwork> Networks => [_network];

    /// <inheritdoc/>
    internal override IEnumerable<(string Name, CheckpointTensor Tensor)> Tensors =>
        _network.Layers[0].Tensors($"{ConvertedPrefix}{_token.ToString(CultureInfo.InvariantCulture)}.");

    /// <inheritdoc/>
    public override string Title(Architecture backbone) => $"the logit of token {_token}";

    /// <inheritdoc/>
    public override void WriteFacts(Utf8JsonWriter json) => json.WriteNumber("token", _token);

    /// <summary>Whether a choice of the user is a token's logit.</summary>
    public static bool IsChoice(string choice) => choice.StartsWith(ChoicePrefix, StringComparison.Ordinal);

    /// <summary>Reads the token's row of the projection to the vocabulary, which is the embedding table if the two are tied.</summary>
    /// <exception cref="UsageException">The choice names no token, or another one than a converted folder has.</exception>
    public static LogitHead Read(HeadSource source)
    {
        (CheckpointFolder folder, BackboneConfig config) = (source.Folder, source.Config);
        if (!int.TryParse(source.Choice![ChoicePrefix.Length..], NumberStyles.None, CultureInfo.InvariantCulture, out int token)
            || token >= config.VocabularySize)
            throw new UsageException(
                $"{OptionName.Head.Of(Shown.Short(source.Choice))} names no token: give {ChoicePrefix}N with an id from 0 to "
                + $"{config.VocabularySize - 1}.");
        if (folder.Converted is not null)
            return Kept(folder) is not { } kept
                ? throw new UsageException($"{folder.Path} was converted with another head, which it keeps. Use the original folder.")
                : kept == token ? ReadKept(source, kept) : throw new UsageException(
                    $"{folder.Path} was converted with the logit of token {kept}. Use the original folder for that of token {token}.");
        string own = config.Architecture.Projection, bias = own[..^Weight.Length] + ".bias";
        bool isTied = IsTied(source) && !folder.IsOfAdapter(own);
        if (isTied && folder.IsOfAdapter(Embedding(config)))
            throw new CheckpointException(
                $"{folder.Path} ties the projection to the embeddings, which the adapter changes: whether the logits change with them "
                + $"depends on how it is merged. {OtherFolder.Merge}");
        string? name = isTied ? Embedding(config) : folder.Contains(own) ? own : null;
        if (name is null)
            throw new CheckpointException(
                $"{folder.Path} has no {own}, and {CheckpointFolder.ConfigName} does not tie it to the embeddings. "
                + $"Choose the head that the model has, or download it again.");
        CheckpointTensor projection = folder.Tensor(name, config.VocabularySize, config.HiddenSize);
        CheckpointTensor? biases = folder.Contains(bias) ? folder.Tensor(bias, config.VocabularySize) : null;
        HeadLayer row = new("", projection.RowAt(token), biases?.RowAt(token));
        return new LogitHead(new HeadNetwork("", [row]), token, Softcap(source));
    }

    /// <inheritdoc/>
    internal override Reward Compose(TextOutput output, int tokens)
    {
        double logit = output.Of(0, 0)[0];
        return new Reward((float)(_softcap > 0 ? _softcap * Math.Tanh(logit / _softcap) : logit), tokens, [], [], []);
    }

    /// <summary>The token whose row a converted folder has; null for none.</summary>
    private static int? Kept(CheckpointFolder folder)
    {
        string? kept = folder.Names.FirstOrDefault(name =>
            name.StartsWith(ConvertedPrefix, StringComparison.Ordinal) && name.EndsWith(Weight, StringComparison.Ordinal));
        if (kept is null || kept.Length <= ConvertedPrefix.Length + Weight.Length) return null;
        ReadOnlySpan<char> number = kept.AsSpan()[ConvertedPrefix.Length..^Weight.Length];
        return int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out int token) ? token : null;
    }

    private static LogitHead ReadKept(HeadSource source, int token)
    {
        string prefix = $"{ConvertedPrefix}{token.ToString(CultureInfo.InvariantCulture)}.";
        HeadLayer layer = HeadLayers.Single(source.Folder.Module(prefix), prefix, source.Config.HiddenSize);
        return layer.Outputs == 1 ? new LogitHead(new HeadNetwork("", [layer]), token, Softcap(source))
            : throw new CheckpointException($"{prefix}weight of {source.Folder.Path} has {layer.Outputs} rows, but 1 is needed.");
    }

    private static string Embedding(BackboneConfig config) =>
        config.Architecture.Stored(config, BackboneTensors.Embedding, [config.VocabularySize, config.HiddenSize]).Name;

    private static bool IsTied(HeadSource source) => source.Folder.ReadConfig(fields =>
        fields.Root.TryGet("tie_word_embeddings", out JsonField tied)
            ? tied.Boolean() : source.Config.Architecture.TiesEmbeddings);

    private static double Softcap(HeadSource source) => source.Folder.ReadConfig(fields =>
        source.Config.Architecture.LogitSoftcap(source.Config.Architecture.TextFields(fields)));
}
