using System.Text.Json;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model.Heads;

/// <summary>
/// The head of a reward model: its verified tensors in the checkpoint, and its computation on a device. One class per kind of head;
/// <see cref="HeadKind.All"/> lists the kinds.
/// </summary>
public abstract class ModelHead
{
    private protected ModelHead()
    {
    }

    /// <summary>One word for the head's output, such as <c>score</c>.</summary>
    public abstract string Name { get; }

    /// <summary>Number of attributes with a weight and a distribution; 0 for a head that computes only the score.</summary>
    public virtual int Attributes => 0;

    /// <summary>Number of parameters.</summary>
    public long Parameters => Layers.Sum(layer => layer.Parameters);

    /// <summary>Returns the head's name, with the published models that have such a head on this backbone.</summary>
    public abstract string Title(Architecture backbone);

    /// <summary>A phrase that describes the head.</summary>
    public abstract string Summary { get; }

    /// <summary>Returns the size of its matrices on a device in bytes.</summary>
    public long DeviceBytes(WeightFormat format) => Layers.Sum(layer => WeightLayout.MatrixBytes(format, layer.Outputs, layer.Inputs));

    /// <summary>Writes the properties that are specific to this kind of head, as members of the current object.</summary>
    public virtual void WriteFacts(Utf8JsonWriter json)
    {
        // A head that computes only the score has none.
    }

    /// <summary>The rule that chooses the token whose hidden state the head reads.</summary>
    internal abstract ReadRule Reads { get; }

    /// <summary>All linear layers.</summary>
    internal abstract IEnumerable<HeadLayer> Layers { get; }

    /// <summary>Its tensors with their names in a converted folder.</summary>
    internal abstract IEnumerable<(string Name, CheckpointTensor Tensor)> Tensors { get; }

    /// <summary>Uploads the head to a device.</summary>
    /// <param name="device">The device.</param>
    /// <param name="upload">Uploads one layer; the caller owns the created objects.</param>
    internal abstract RewardHead BuildOn(IDevice device, Func<HeadLayer, LinearLayer> upload);
}
