using System.Text.Json;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Model.Heads;

/// <summary>
/// The head of a process reward model: a probability for each step of a text. Two outputs are the logits of a bad and a good step, whose
/// softmax counts (Qwen2.5-Math-PRM: Zhang et al. 2025, "The Lessons of Developing Process Reward Models"); one output is the logit of a
/// good step (Skywork-o1-Open-PRM's published code).
/// </summary>
internal sealed class StepHead : ModelHead
{
    private readonly HeadNetwork _network;

    private StepHead(HeadNetwork network, StepMarks marks) => (_network, StepMarks) = (network, marks);

    /// <inheritdoc/>
    public override string Name => "steps";

    /// <inheritdoc/>
    public override string Summary =>
        $"a score of each step by {_network.Layers.Count} linear layer{(_network.Layers.Count == 1 ? "" : "s")}: "
        + (_network.Outputs == 2 ? "softmax of 2 logits" : "sigmoid of a logit");

    /// <inheritdoc/>
    public override string ReadSummary => "the last token of each step";

    /// <inheritdoc/>
    public override StepMarks StepMarks { get; }

    /// <summary>
    /// Qwen's authors rank responses by the product of their steps' scores. Skywork's published no rule; the last step has seen all others.
    /// </summary>
    public override StepAggregation DefaultAggregation =>
        StepMarks == StepMarks.Token ? StepAggregation.Prod : StepAggregation.Last;

    /// <inheritdoc/>
    internal override ReadRule Reads => ReadRule.LastToken;

    /// <inheritdoc/>
    internal override IReadOnlyList<HeadNetwork> Networks => [_network];

    /// <summary>Whether a head of linear layers scores steps: by its outputs, by config.json, or by the user's choice.</summary>
    /// <exception cref="CheckpointException">The class in config.json says so, and the head's tensors are those of a score.</exception>
    public static bool Claims(HeadSource source, LinearKind kind, HeadNetwork network)
    {
        if (source.Choice is { } choice) return choice == HeadKind.Steps;
        if (network.Outputs == 2 && network.Layers.Count > 1) return true;
        if (!source.Folder.ReadConfig(IsProcess)) return false;
        // Skywork's head has the tensors of a value head: only the name of the class tells them apart.
        if (network.Outputs == 2 || kind == LinearKind.ValueSummary) return true;
        if (network.Outputs > 2) return false;
        throw new CheckpointException(
            $"{source.Folder.Path}: the class in {CheckpointFolder.ConfigName} scores steps or tokens, and {kind.Prefix}* has 1 output, as "
            + $"a score of whole texts has. Choose {OptionName.Head.Of(HeadKind.Steps)} or {OptionName.Head.Of(kind.Name)}.");
    }

    /// <summary>Makes the head of its layers.</summary>
    /// <exception cref="CheckpointException">It has more than two outputs, or its scores would be normalized.</exception>
    public static StepHead Of(HeadSource source, LinearKind kind, HeadNetwork network)
    {
        if (network.Outputs > 2)
            throw new CheckpointException(
                $"{network.Layers[^1].Weight.Name} in {source.Folder.Path} has {network.Outputs} outputs; a step's score is made of 1 "
                + "or 2.");
        if (ScoreScaling.Read(source.Folder, isOpenRlhf: true, isSafeRlhf: true) is { } scaling)
            throw new CheckpointException(
                $"{source.Folder.Path}: {CheckpointFolder.ConfigName} has {scaling.Field}, which normalizes scores of whole texts. Choose "
                + $"{OptionName.Head.Of(kind.Name)}, or set it to false.");
        return new StepHead(network, kind == LinearKind.Classifier && network is { Outputs: 2, Layers.Count: > 1 } ? StepMarks.Token
            : kind == LinearKind.ValueSummary ? StepMarks.LineBreaks : StepMarks.Positions);
    }

    /// <inheritdoc/>
    public override string Title(Architecture backbone) => StepMarks switch
    {
        StepMarks.Token => "a head for steps (Qwen2.5-Math-PRM)",
        StepMarks.LineBreaks => "a head for steps (Skywork-o1-Open-PRM)",
        _ => "a head for steps",
    };

    /// <inheritdoc/>
    internal override int[] PositionsIn(ReadOnlySpan<int> ids, int? pad, IReadOnlyList<int>? steps)
    {
        if (steps is null)
            throw new InputException(
                $"the text has no steps, and this model scores steps. Give a prompt and steps as a list of strings, or a response that "
                + $"{OptionName.StepSeparator} divides, or input_ids with step_positions.");
        if (steps.Count == 0) throw new InputException("the list of steps is empty.");
        int before = -1;
        foreach (int step in steps)
        {
            if (step < 0 || step >= ids.Length)
                throw new InputException($"step position {step} is outside the text of {ids.Length} tokens.");
            if (step <= before)
                throw new InputException($"step position {step} comes after {before}; they must ascend, and no step is empty.");
            before = step;
        }

        return [.. steps];
    }

    /// <inheritdoc/>
    internal override Reward Compose(TextOutput output, int tokens)
    {
        float[] steps = new float[output.Reads];
        for (int i = 0; i < steps.Length; i++)
        {
            ReadOnlySpan<float> logits = output.Of(0, i);
            // The softmax of two logits is the sigmoid of their difference.
            double logit = logits.Length == 1 ? logits[0] : (double)logits[1] - logits[0];
            steps[i] = (float)(1 / (1 + Math.Exp(-logit)));
        }

        return new Reward((float)Reward.Aggregate(steps, DefaultAggregation), tokens, [], [], []) { Steps = [.. steps] };
    }

    private static bool IsProcess(ConfigFields fields) =>
        fields.Root.TryGet("architectures", out JsonField names) && names.Value.ValueKind == JsonValueKind.Array
        && names.Items().Any(name => name.ValueKind == JsonValueKind.String
            && (name.GetString()!.Contains("ProcessReward", StringComparison.Ordinal)
                || name.GetString()!.Contains("Prm", StringComparison.Ordinal)
                || name.GetString()!.Contains("ForTokenClassification", StringComparison.Ordinal)));
}
