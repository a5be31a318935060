using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model.Heads;

/// <summary>
/// The head of URM (Lou et al. 2024, "Uncertainty-aware Reward Model"): a linear layer gives a pair (mean, spread) for each attribute, and
/// a network with SELU between its layers a weight. The score is Σ weight · mean.
/// </summary>
internal sealed class UrmHead : ModelHead
{
    private const string ScorePrefix = "score.", WeightsPrefix = "weights.fc.";

    private readonly HeadNetwork _score, _weights;

    private UrmHead(HeadNetwork score, HeadNetwork weights, IReadOnlyList<string> names) =>
        (_score, _weights, AttributeNames) = (score, weights, names);

    /// <summary>The kind of this head.</summary>
    public static HeadKind Kind { get; } = new("urm", $"tensors {ScorePrefix}* and {WeightsPrefix}*", "URM-LLaMa-3.1", [], IsIn, Read);

    /// <inheritdoc/>
    public override string Name => "urm";

    /// <inheritdoc/>
    public override int Attributes => _weights.Outputs;

    /// <inheritdoc/>
    public override IReadOnlyList<string> AttributeNames { get; }

    /// <inheritdoc/>
    public override string Summary => $"{Attributes} attributes with a mean and a weight each";

    /// <inheritdoc/>
    internal override ReadRule Reads => ReadRule.BeforeFirstPad;

    /// <inheritdoc/>
    internal override IReadOnlyList<HeadNetwork> Networks => [_score, _weights];

    /// <summary>Whether a folder has its networks of weights.</summary>
    public static bool IsIn(CheckpointFolder folder) =>
        folder.Names.Any(name => name.StartsWith(WeightsPrefix, StringComparison.Ordinal));

    /// <inheritdoc/>
    public override string Title(Architecture backbone) => "a head of attributes with weights (URM)";

    /// <inheritdoc/>
    public override void WriteFacts(System.Text.Json.Utf8JsonWriter json) => json.WriteNumber("attributes", Attributes);

    /// <inheritdoc/>
    internal override Reward Compose(TextOutput output, int tokens)
    {
        ReadOnlySpan<float> pairs = output.Of(0, 0), weights = output.Of(1, 0);
        float[] means = new float[weights.Length];
        double score = 0;
        for (int a = 0; a < means.Length; a++)
        {
            means[a] = pairs[2 * a];
            score += (double)weights[a] * means[a];
        }

        return new Reward((float)score, tokens, [], [.. weights], []) { AttributeScores = [.. means] };
    }

    private static UrmHead Read(HeadSource source)
    {
        int hidden = source.Config.HiddenSize;
        HeadNetwork score = new(ScorePrefix, [HeadLayers.Single(source.Folder.Module(ScorePrefix), ScorePrefix, hidden)]);
        HeadNetwork weights = new(WeightsPrefix, HeadLayers.Sequence(source.Folder.Module(WeightsPrefix), hidden), Activation.Selu);
        return score.Outputs == 2 * weights.Outputs
            ? new UrmHead(score, weights, KnownAttributes.Of(source.Folder, weights.Outputs, "attribute"))
            : throw new CheckpointException(
                $"score.weight of {source.Folder.Path} has {score.Outputs} rows, but a mean and a spread for each of the {weights.Outputs} "
                + $"outputs of {WeightsPrefix}* are needed. These files are not from the same model.");
    }
}
