namespace LdlVk.Runtime.Checkpoints;

/// <summary>What a reward model has on top of its backbone.</summary>
public abstract record ModelHead
{
    private protected ModelHead()
    {
    }

    /// <summary>All linear layers of it.</summary>
    public abstract IEnumerable<HeadLayer> Layers { get; }
}

/// <summary>
/// A head that gives the score alone: one linear layer (Skywork-Reward-Gemma-2), or several with ReLU between them (INF-ORM-Llama3.1,
/// the value heads of GRM).
/// </summary>
/// <param name="Network">hidden → … → 1.</param>
/// <param name="Prefix">What the names of its tensors begin with in the safetensors: one of <see cref="Prefixes"/>.</param>
public sealed record ScoreHead(IReadOnlyList<HeadLayer> Network, string Prefix) : ModelHead
{
    /// <summary>What the names of such a head's tensors may begin with: of sequence classifiers, and of GRM's value heads.</summary>
    public static IReadOnlyList<string> Prefixes { get; } = ["score.", "v_head.summary."];

    /// <inheritdoc/>
    public override IEnumerable<HeadLayer> Layers => Network;

    /// <summary>Puts the head together from the tensors behind a prefix.</summary>
    /// <exception cref="CheckpointException">Sizes do not fit together, or with the hidden size.</exception>
    internal static ScoreHead Create(HeadTensors tensors, string prefix, int hiddenSize)
    {
        IReadOnlyList<HeadLayer> layers = tensors.Tensors.TryGetValue("weight", out CheckpointTensor? single)
            ? [Single(tensors, single, prefix, hiddenSize)] : tensors.LinearLayers(hiddenSize);
        return layers[^1].Outputs == 1
            ? new ScoreHead(layers, prefix)
            : throw new CheckpointException($"{layers[^1].Weight.Name} in {tensors.Path} has {layers[^1].Outputs} outputs; a reward model's score is 1 number.");
    }

    /// <summary>A linear layer that is all of the head, without a number in its name.</summary>
    private static HeadLayer Single(HeadTensors tensors, CheckpointTensor weight, string prefix, int hiddenSize)
    {
        tensors.Tensors.TryGetValue("bias", out CheckpointTensor? bias);
        if (tensors.Tensors.Keys.FirstOrDefault(key => key is not ("weight" or "bias")) is { } other)
            throw new CheckpointException($"{tensors.Path} has {prefix}weight, a head of one layer, and {prefix}{Shown.Short(other)} besides. This head is not known.");
        if (weight.Shape.Count != 2 || weight.Shape[0] < 1 || weight.Shape[1] != hiddenSize)
            throw new CheckpointException($"{weight.Name} in {tensors.Path} has shape [{string.Join(", ", weight.Shape)}], but [1, {hiddenSize}] is needed (hidden_size of config.json). These files are not from the same model.");
        if (bias is not null && (bias.Shape.Count != 1 || bias.Shape[0] != weight.Shape[0]))
            throw new CheckpointException($"{bias.Name} in {tensors.Path} has shape [{string.Join(", ", bias.Shape)}], but its weight has {weight.Shape[0]} rows.");
        return new HeadLayer("", weight, bias);
    }
}
