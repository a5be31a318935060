using System.Text.Json;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Model.Heads;

/// <summary>
/// A head of objectives whose weights are gates, read at another position than the score (ArmoRM: Wang et al. 2024, "Interpretable
/// Preferences via Multi-Objective Reward Modeling and Mixture-of-Experts"; QRM: Dorka 2024, "Quantile Regression for Distributional Reward
/// Models in RLHF"). r = regression of the score's state; QRM's regression has several quantiles an objective, and r is their mean.
/// g = softmax(network of the gate's state / temperature)·scale. Score = Σₖ gₖ·(r·M)ₖ, where M is the transform matrix, or the identity.
/// </summary>
internal sealed class GatedHead : ModelHead
{
    private const string RegressionPrefix = "regression_layer.", GatingPrefix = "gating.", Matrix = "reward_transform_matrix";
    private const string Scale = "logit_scale", Regression = RegressionPrefix + "weight";

    private readonly HeadNetwork _regression, _gating;
    private readonly CheckpointTensor _scale;
    private readonly CheckpointTensor? _matrix;
    private readonly double _temperature, _gateScale;
    private readonly float[]? _transform;

    private GatedHead(
        HeadNetwork regression, HeadNetwork gating, CheckpointTensor scale, CheckpointTensor? matrix, double temperature, int[] pattern,
        IReadOnlyList<string> names)
    {
        AttributeNames = names;
        (_regression, _gating, _scale, _matrix, _temperature, GatePattern) = (regression, gating, scale, matrix, temperature, pattern);
        _gateScale = scale.ReadAll()[0];
        _transform = matrix?.ReadAll();
    }

    /// <summary>The kind of this head.</summary>
    public static HeadKind Kind { get; } = new(
        "gated", $"tensors {GatingPrefix}* and {Regression}", "ArmoRM, QRM", [], IsIn, Read);

    /// <inheritdoc/>
    public override string Name => "gated";

    /// <inheritdoc/>
    public override int Attributes => _gating.Outputs;

    /// <inheritdoc/>
    public override IReadOnlyList<string> AttributeNames { get; }

    /// <summary>Number of quantiles of an objective; 1 for a single number.</summary>
    public int Quantiles => _regression.Outputs / Attributes;

    /// <inheritdoc/>
    public override IReadOnlyList<int> GatePattern { get; }

    /// <inheritdoc/>
    public override string Summary =>
        $"{Attributes} objectives{(Quantiles > 1 ? $" of {Quantiles} quantiles" : "")} with gates read at a second position; softmax, "
        + $"temperature {Shown.Number((float)_temperature)}";

    /// <inheritdoc/>
    public override string ReadSummary =>
        $"{base.ReadSummary}; the gates at the last pattern of tokens {string.Join(" ", GatePattern)}";

    /// <inheritdoc/>
    internal override ReadRule Reads => ReadRule.BeforeFirstPad;

    /// <inheritdoc/>
    internal override IReadOnlyList<HeadNetwork> Networks => [_regression, _gating];

    /// <inheritdoc/>
    internal override IEnumerable<(string Name, CheckpointTensor Tensor)> Tensors =>
        base.Tensors.Append((GatingPrefix + Scale, _scale)).Concat(_matrix is null ? [] : [(Matrix, _matrix)]);

    /// <inheritdoc/>
    public override string Title(Architecture backbone) =>
        Quantiles == 1 ? "a head of gated objectives (ArmoRM)" : "a head of gated quantiles (QRM)";

    /// <inheritdoc/>
    public override void WriteFacts(Utf8JsonWriter json)
    {
        json.WriteNumber("attributes", Attributes);
        json.WriteNumber("quantiles", Quantiles);
        json.WriteNumber("gate_temperature", _temperature);
        json.WriteStartArray("gate_pattern");
        foreach (int id in GatePattern) json.WriteNumberValue(id);
        json.WriteEndArray();
    }

    /// <inheritdoc/>
    internal override int[] PositionsIn(ReadOnlySpan<int> ids, int? pad, IReadOnlyList<int>? steps)
    {
        int[] score = base.PositionsIn(ids, pad, steps);
        int gate = ids.LastIndexOf([.. GatePattern]);
        return gate >= 0 ? [gate, score[0]] : throw new InputException(
            $"the text lacks the tokens {string.Join(" ", GatePattern)} at which the model's gates are read.");
    }

    /// <inheritdoc/>
    internal override Reward Compose(TextOutput output, int tokens)
    {
        double[] gates = Gates(output.Of(1, 0));
        ReadOnlySpan<float> regressed = output.Of(0, 1);
        double[] rewards = new double[gates.Length];
        for (int a = 0; a < rewards.Length; a++)
        {
            double sum = 0;
            foreach (float quantile in regressed.Slice(a * Quantiles, Quantiles)) sum += quantile;
            rewards[a] = sum / Quantiles;
        }

        double[] adjusted = Transformed(rewards);
        double score = 0;
        for (int a = 0; a < gates.Length; a++) score += gates[a] * adjusted[a];
        return new Reward((float)score, tokens, [], [.. gates.Select(gate => (float)gate)], [])
        {
            AttributeScores = [.. rewards.Select(reward => (float)reward)],
            AdjustedScores = _transform is null ? [] : [.. adjusted.Select(reward => (float)reward)],
            Quantiles = Quantiles == 1 ? [] : [.. regressed],
        };
    }

    /// <summary>softmax(logits/temperature)·scale.</summary>
    private double[] Gates(ReadOnlySpan<float> logits)
    {
        double largest = double.NegativeInfinity, sum = 0;
        foreach (float logit in logits) largest = Math.Max(largest, logit);
        double[] gates = new double[logits.Length];
        for (int a = 0; a < gates.Length; a++) sum += gates[a] = Math.Exp((logits[a] - largest) / _temperature);
        for (int a = 0; a < gates.Length; a++) gates[a] = gates[a] / sum * _gateScale;
        return gates;
    }

    /// <summary>r·M, r being a row.</summary>
    private double[] Transformed(double[] rewards)
    {
        if (_transform is not { } matrix) return rewards;
        double[] transformed = new double[rewards.Length];
        for (int j = 0; j < rewards.Length; j++)
            for (int k = 0; k < rewards.Length; k++) transformed[k] += rewards[j] * matrix[(j * rewards.Length) + k];
        return transformed;
    }

    private static bool IsIn(CheckpointFolder folder) =>
        folder.Contains(Regression) || folder.Contains(Matrix)
        || folder.Names.Any(name => name.StartsWith(GatingPrefix, StringComparison.Ordinal));

    private static GatedHead Read(HeadSource source)
    {
        CheckpointFolder folder = source.Folder;
        int hidden = source.Config.HiddenSize;
        string[] needed = [Regression, GatingPrefix + "layers.0.weight", GatingPrefix + Scale];
        if (needed.FirstOrDefault(name => !folder.Contains(name)) is { } missing)
            throw new CheckpointException(
                $"{folder.Path} has no tensor {missing}, which {Kind} needs beside the others. {Regression}, {GatingPrefix}* and {Matrix} "
                + $"belong to such a head. Check that the download is complete.");
        HeadNetwork regression = new(RegressionPrefix, [HeadLayers.Single(folder.Module(RegressionPrefix), RegressionPrefix, hidden)]);
        StateDict gates = folder.Module(GatingPrefix);
        StateDict layers = gates with { Tensors = gates.Tensors.Where(t => t.Key != Scale).ToDictionary() };
        HeadNetwork gating = new(GatingPrefix, HeadLayers.Sequence(layers, hidden, mayNormalize: true), Activation.Relu);
        CheckpointTensor scale = folder.Tensor(GatingPrefix + Scale);
        CheckpointTensor? matrix = folder.Contains(Matrix) ? folder.Tensor(Matrix, gating.Outputs, gating.Outputs) : null;
        if (scale.Count != 1)
            throw new CheckpointException($"{scale.Name} of {folder.Path} has {scale.Count} elements, but 1 is needed. Download it again.");
        // The defaults are those of the models' published code: 10 with a transform matrix, 1 without (QRM-Gemma-2).
        return folder.ReadConfig(fields =>
        {
            int objectives = fields.Integer("num_objectives", 1, 1 << 20, gating.Outputs);
            int quantiles = fields.Integer("num_quantiles", 1, 1 << 20, regression.Outputs / Math.Max(1, objectives));
            if (objectives != gating.Outputs || regression.Outputs != (long)objectives * quantiles)
                throw new CheckpointException(
                    $"{Regression} of {folder.Path} has {regression.Outputs} rows and {GatingPrefix}* {gating.Outputs} outputs, but "
                    + $"{CheckpointFolder.ConfigName} asks for {objectives} objectives of {quantiles} quantiles. "
                    + $"The two are not from the same model.");
            CheckLayers(fields, gating);
            if (matrix is null && source.Config.Architecture.ModelType == "llama"
                && KnownAttributes.HasClass(fields.Root, KnownAttributes.Gating))
                throw new CheckpointException(
                    $"{folder.Path} has no tensor {Matrix}, which a model of class {KnownAttributes.Gating} (ArmoRM, QRM-Llama) needs. "
                    + $"Check that the download is complete.");
            return new GatedHead(
                regression, gating, scale, matrix, fields.Number("gating_temperature", 1e-6, 1e6, matrix is null ? 1 : 10),
                Pattern(fields, source.Config), KnownAttributes.Of(folder, objectives, "objective"));
        });
    }

    /// <summary>
    /// ArmoRM's and QRM's code makes as many hidden layers of as many outputs as config.json says, and one more for the objectives.
    /// </summary>
    private static void CheckLayers(ConfigFields fields, HeadNetwork gating)
    {
        HeadLayer[] inner = [.. gating.Layers.SkipLast(1)];
        if (fields.Root.TryGet("gating_n_hidden", out JsonField count) && count.Integer(0, 1 << 10) != inner.Length)
            throw count.Error(
                $"is {count.Kind}, but {GatingPrefix}* has {inner.Length} hidden layers. The two are not from the same model.");
        if (fields.Root.TryGet("gating_hidden_dim", out JsonField size)
            && Array.Find(inner, layer => layer.Outputs != size.Integer(1, 1 << 20)) is { } other)
            throw size.Error($"is {size.Kind}, but {other.Weight.Name} has {other.Outputs} outputs. The two are not from the same model.");
    }

    /// <summary>The tokens that open the assistant's turn: <c>gating_token_pattern</c>, or the published models'.</summary>
    private static int[] Pattern(ConfigFields fields, BackboneConfig config)
    {
        const string Field = "gating_token_pattern";
        int[] pattern = !fields.Root.TryGet(Field, out JsonField field)
            ? config.Architecture.ModelType switch
            {
                "llama" => [128009, 128006, 78191, 128007, 271], // <|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n
                "gemma2" => [107, 108, 106, 2516, 108], // <end_of_turn>\n<start_of_turn>model\n
                _ => throw fields.Field(Field).Error(
                    $"is missing: the tokens at which the gates of a {config.Architecture} model are read. Add them as a list of ids."),
            }
            : [.. field.Items().Select((item, i) => field.Item(i, item).Integer(0, int.MaxValue))];
        if (pattern.Length is 0 or > 1024) throw field.Error($"has {pattern.Length} tokens, not 1 to 1024.");
        int above = Array.FindIndex(pattern, id => id >= config.VocabularySize);
        return above < 0 ? pattern : throw new CheckpointException(
            $"The gate's pattern has token {pattern[above]}, but the vocabulary has {config.VocabularySize} tokens. Give the model's own "
            + $"pattern as {Field} in {CheckpointFolder.ConfigName}.");
    }
}
