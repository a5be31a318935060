using System.Text.Json;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model.Heads;

/// <summary>
/// What a reward model has on top of its backbone: its tensors in the checkpoint, checked, and how to compute with them on a device. One
/// class per kind of head; <see cref="HeadKind.All"/> lists the kinds.
/// </summary>
public abstract class ModelHead
{
    private protected ModelHead()
    {
    }

    /// <summary>One word for what the head gives, such as <c>score</c>.</summary>
    public abstract string Name { get; }

    /// <summary>Attributes of which the head gives a weight and a distribution each; 0 for a head that gives the score alone.</summary>
    public virtual int Attributes => 0;

    /// <summary>Number of parameters.</summary>
    public long Parameters => Layers.Sum(layer => layer.Parameters);

    /// <summary>What the head is called, with the published models that have such a head on this backbone.</summary>
    public abstract string Title(Architecture backbone);

    /// <summary>What the head consists of: a clause.</summary>
    public abstract string Summary { get; }

    /// <summary>Bytes of its matrices on a device.</summary>
    public long DeviceBytes(WeightFormat format) => Layers.Sum(layer => WeightLayout.MatrixBytes(format, layer.Outputs, layer.Inputs));

    /// <summary>Writes the numbers that only this kind of head has, as members of the object that is being written.</summary>
    public virtual void WriteFacts(Utf8JsonWriter json)
    {
        // A head that gives the score alone has none.
    }

    /// <summary>All linear layers.</summary>
    internal abstract IEnumerable<HeadLayer> Layers { get; }

    /// <summary>Its tensors under the names that a converted folder gives them.</summary>
    internal abstract IEnumerable<(string Name, CheckpointTensor Tensor)> Tensors { get; }

    /// <summary>Puts the head on a device.</summary>
    /// <param name="device">The device.</param>
    /// <param name="upload">Puts one layer there; whoever calls owns what it makes.</param>
    internal abstract RewardHead BuildOn(IDevice device, Func<HeadLayer, LinearLayer> upload);
}
