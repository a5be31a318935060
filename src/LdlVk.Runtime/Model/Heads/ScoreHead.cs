using System.Text.Json;
using LdlVk.Runtime.Checkpoints;

namespace LdlVk.Runtime.Model.Heads;

/// <summary>
/// A head that computes only the score: one linear layer, or several with ReLU between them. <see cref="LinearKind"/> has the names under
/// which models keep it.
/// </summary>
internal sealed class ScoreHead : ModelHead
{
    private readonly LinearKind _kind;
    private readonly ScoreScaling? _scaling;
    private readonly HeadNetwork _network;

    /// <summary>Makes the head of its verified layers.</summary>
    /// <param name="kind">How the model names it.</param>
    /// <param name="network">hidden → … → 1.</param>
    /// <param name="scaling">What happens to the score; null for nothing.</param>
    /// <param name="reads">The rule that chooses the token.</param>
    public ScoreHead(LinearKind kind, HeadNetwork network, ScoreScaling? scaling, ReadRule reads) =>
        (_kind, _network, _scaling, Reads) = (kind, network, scaling, reads);

    /// <summary>The token behind every text at which the head is read; null for none.</summary>
    public int? RewardToken { get; init; }

    /// <summary>hidden → … → 1.</summary>
    public IReadOnlyList<HeadLayer> Network => _network.Layers;

    /// <inheritdoc/>
    public override string Name => "score";

    /// <inheritdoc/>
    public override string Summary =>
        $"the score alone, by {Network.Count} linear layer{(Network.Count == 1 ? "" : "s")}"
        + (_scaling is null ? "" : FormattableString.Invariant(
            $"; normalized: (raw − {_scaling.Mean:G9})/{_scaling.Deviation:G9} ({_scaling.Field})"));

    /// <inheritdoc/>
    public override string ReadSummary => RewardToken is null ? base.ReadSummary : $"the reward token {RewardToken}, added to each text";

    /// <inheritdoc/>
    public override bool ScoresTokens => RewardToken is null;

    /// <inheritdoc/>
    internal override ReadRule Reads { get; }

    /// <inheritdoc/>
    internal override IReadOnlyList<HeadNetwork> Networks => [_network];

    /// <inheritdoc/>
    internal override IEnumerable<(string Name, CheckpointTensor Tensor)> Tensors => base.Tensors.Concat(_scaling?.Tensors ?? []);

    /// <inheritdoc/>
    public override string Title(Architecture backbone) => _kind.Title(Network.Count, backbone);

    /// <inheritdoc/>
    public override void WriteFacts(Utf8JsonWriter json)
    {
        if (_scaling is null) return;
        json.WriteNumber("score_mean", _scaling.Mean);
        json.WriteNumber("score_deviation", _scaling.Deviation);
    }

    /// <inheritdoc/>
    internal override int[] Complete(int[] ids) =>
        RewardToken is not { } token || (ids.Length > 0 && ids[^1] == token) ? ids : [.. ids, token];

    /// <inheritdoc/>
    internal override Reward Compose(TextOutput output, int tokens)
    {
        float[] scores = new float[output.Reads];
        for (int i = 0; i < scores.Length; i++)
        {
            float raw = output.Of(0, i)[0];
            scores[i] = _scaling is null ? raw : (float)_scaling.Of(raw);
        }

        return new Reward(scores[^1], tokens, [], [], []) { TokenScores = scores.Length == 1 ? [] : [.. scores] };
    }
}
