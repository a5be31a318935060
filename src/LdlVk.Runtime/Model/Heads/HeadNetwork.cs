using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model.Heads;

/// <summary>Linear layers one after another, with an activation between them.</summary>
/// <param name="Prefix">Prefix of its tensors in a converted folder, such as <c>score.</c></param>
/// <param name="Layers">The layers.</param>
/// <param name="Between">The activation of every layer but the last.</param>
internal sealed record HeadNetwork(string Prefix, IReadOnlyList<HeadLayer> Layers, Activation Between = Activation.None)
{
    /// <summary>Its tensors with their names in a converted folder: those of the original.</summary>
    public IEnumerable<(string Name, CheckpointTensor Tensor)> Tensors => Layers.SelectMany(layer => layer.Tensors(Prefix));

    /// <summary>Number of its outputs.</summary>
    public int Outputs => Layers[^1].Outputs;
}

/// <summary>One linear layer of a head: y = W·x + b, or y = W·(s⊙x + t) + b with a normalization of its input.</summary>
/// <param name="Name">Its name in its head, such as <c>network.0</c>; empty for a head that is one layer.</param>
/// <param name="Weight">W [out, in].</param>
/// <param name="Bias">b [out]; null for none.</param>
internal sealed record HeadLayer(string Name, CheckpointTensor Weight, CheckpointTensor? Bias)
{
    /// <summary>A normalization of the input, which is folded into W and b when they are read; null for none.</summary>
    public BatchNorm? Norm { get; init; }

    /// <summary>Rows of W.</summary>
    public int Outputs => Weight.Shape[0];

    /// <summary>Columns of W.</summary>
    public int Inputs => Weight.Shape[1];

    /// <summary>W as the device needs it.</summary>
    public IFloatMatrix Matrix => Norm is { } norm ? norm.FoldedInto(Weight) : Weight;

    /// <summary>Reads b as the device needs it; null if there is none.</summary>
    public float[]? ReadBias() => Norm is { } norm ? norm.FoldedBias(Weight, Bias) : Bias?.ReadAll();

    /// <summary>
    /// Returns its tensors with their names in a checkpoint, in which the head's names begin with <paramref name="prefix"/>.
    /// </summary>
    public IEnumerable<(string Name, CheckpointTensor Tensor)> Tensors(string prefix)
    {
        string stem = prefix + (Name.Length == 0 ? "" : Name + ".");
        yield return (stem + "weight", Weight);
        if (Bias is not null) yield return (stem + "bias", Bias);
        if (Norm is null) yield break;
        foreach ((string name, CheckpointTensor tensor) in Norm.Tensors) yield return ($"{prefix}{Norm.Name}.{name}", tensor);
    }
}
