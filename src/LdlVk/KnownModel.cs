using LdlVk.Runtime.Model;

namespace LdlVk;

/// <summary>A published fact, and where it is from.</summary>
/// <param name="Value">The fact.</param>
/// <param name="Source">The publication that has it.</param>
public sealed record PublishedFact(string Value, string Source);

/// <summary>The numbers of a backbone by which a checkpoint is recognized.</summary>
/// <param name="Layers">Number of layers.</param>
/// <param name="Hidden">Size of the hidden states.</param>
/// <param name="Heads">Heads of attention.</param>
/// <param name="KeyValueHeads">Heads of keys and values.</param>
/// <param name="Source">The publication that has the numbers.</param>
public sealed record BackboneShape(int Layers, int Hidden, int Heads, int KeyValueHeads, string Source);

/// <summary>Arithmetic of a run whose score was published.</summary>
public enum PublishedPrecision
{
    /// <summary>bfloat16, with 8 significant bits; also a run that does not say.</summary>
    Bf16,
    /// <summary>IEEE half, with 11 significant bits.</summary>
    Fp16,
}

/// <summary>A conversation whose score was published with a model.</summary>
/// <param name="Conversation">The conversation.</param>
/// <param name="Score">The published score.</param>
/// <param name="Precision">Arithmetic of the published run.</param>
/// <param name="Source">The publication.</param>
public sealed record PublishedScore(Conversation Conversation, double Score, PublishedPrecision Precision, string Source);

/// <summary>A published reward model. Facts that no source supports are null.</summary>
/// <param name="Repository">Its name on the hub.</param>
/// <param name="ModelType"><c>model_type</c> of its config.json.</param>
/// <param name="HeadTensor">A tensor by which its head is recognized; empty for LDL, whose head is in files of its own.</param>
/// <param name="Shape">Its backbone; null if no source was found, and then it is not recognized.</param>
public sealed record KnownModel(string Repository, string ModelType, string HeadTensor, BackboneShape? Shape)
{
    /// <summary>The head and its formula.</summary>
    public PublishedFact? Head { get; init; }

    /// <summary>The token whose hidden state is read.</summary>
    public PublishedFact? Reads { get; init; }

    /// <summary>The chat template.</summary>
    public PublishedFact? Template { get; init; }

    /// <summary>The license.</summary>
    public PublishedFact? License { get; init; }

    /// <summary>Conversations with published scores; may be empty.</summary>
    public IReadOnlyList<PublishedScore> Examples { get; init; } = [];

    /// <summary>
    /// Whether a checkpoint has the backbone and the head of this model. Models of equal shape differ in their weights alone, so several
    /// known models may fit.
    /// </summary>
    public bool Fits(Checkpoint checkpoint)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        BackboneConfig c = checkpoint.Config;
        return Shape is { } shape && c.Architecture.ModelType == ModelType && c.Layers == shape.Layers && c.HiddenSize == shape.Hidden
            && c.Heads == shape.Heads && c.KeyValueHeads == shape.KeyValueHeads
            && (HeadTensor.Length == 0 ? checkpoint.Head.Name == "ldl" : checkpoint.Contains(HeadTensor));
    }
}
