using System.Text.Json;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model.Heads;

/// <summary>
/// The head of a reward model: its verified tensors in the checkpoint, the positions that it reads, its networks on a device, and how the
/// networks' outputs become a reward. One class per kind of head; <see cref="HeadKind.All"/> lists the kinds.
/// </summary>
public abstract class ModelHead
{
    private protected ModelHead()
    {
    }

    /// <summary>One word for the head's output, such as <c>score</c>.</summary>
    public abstract string Name { get; }

    /// <summary>Number of attributes with a weight and a score; 0 for a head that computes only the score.</summary>
    public virtual int Attributes => 0;

    /// <summary>Names of the attributes, with numbers where none are known; empty for a head that does not name them.</summary>
    public virtual IReadOnlyList<string> AttributeNames => [];

    /// <summary>Number of parameters.</summary>
    public long Parameters => Tensors.Sum(tensor => tensor.Tensor.Count);

    /// <summary>Returns the head's name, with the published models that have such a head on this backbone.</summary>
    public abstract string Title(Architecture backbone);

    /// <summary>A phrase that describes the head.</summary>
    public abstract string Summary { get; }

    /// <summary>A phrase that says which positions of a text the head reads.</summary>
    public virtual string ReadSummary => Reads.Phrase();

    /// <summary>How the model's code marks steps; none for a head that scores whole texts.</summary>
    public virtual StepMarks StepMarks => StepMarks.None;

    /// <summary>Whether the head can be read at every token of a text, so that each has a score.</summary>
    public virtual bool ScoresTokens => false;

    /// <summary>The token pattern at which a gate is read; empty for a head without one.</summary>
    public virtual IReadOnlyList<int> GatePattern => [];

    /// <summary>How the scores of steps become one score, by default.</summary>
    public virtual StepAggregation DefaultAggregation => StepAggregation.Last;

    /// <summary>Returns the size of its matrices on a device in bytes.</summary>
    public long DeviceBytes(WeightFormat format) => Layers.Sum(layer => WeightLayout.MatrixBytes(format, layer.Outputs, layer.Inputs));

    /// <summary>Writes the properties that are specific to this kind of head, as members of the current object.</summary>
    public virtual void WriteFacts(Utf8JsonWriter json)
    {
        // A head that computes only the score has none.
    }

    /// <summary>The rule that chooses the token whose hidden state gives the score.</summary>
    internal abstract ReadRule Reads { get; }

    /// <summary>Its networks, in the order of their outputs.</summary>
    internal abstract IReadOnlyList<HeadNetwork> Networks { get; }

    /// <summary>All linear layers.</summary>
    internal IEnumerable<HeadLayer> Layers => Networks.SelectMany(network => network.Layers);

    /// <summary>Its tensors with their names in a converted folder.</summary>
    internal virtual IEnumerable<(string Name, CheckpointTensor Tensor)> Tensors => Networks.SelectMany(network => network.Tensors);

    /// <summary>Uploads the head to a device.</summary>
    /// <param name="device">The device.</param>
    /// <param name="upload">Uploads one layer; the caller owns the created objects.</param>
    internal virtual RewardHead BuildOn(IDevice device, Func<HeadLayer, LinearLayer> upload) => new NetworkHeadOnDevice(
        device, this, [.. Networks.Select(network => ((IReadOnlyList<LinearLayer>)[.. network.Layers.Select(upload)], network.Between))]);

    /// <summary>Returns the text with the token at its end at which the model reads it, if it has one and the text lacks it.</summary>
    internal virtual int[] Complete(int[] ids) => ids;

    /// <summary>
    /// Returns the positions that the head reads, in the order in which <see cref="Compose"/> expects their outputs.
    /// </summary>
    /// <param name="ids">The text, with at least one token.</param>
    /// <param name="pad">The padding token; null if the model has none.</param>
    /// <param name="steps">The last token of each step; null for a text without marked steps.</param>
    /// <exception cref="InputException">The text has steps that the head cannot score, lacks them, or lacks the gate's pattern.</exception>
    internal virtual int[] PositionsIn(ReadOnlySpan<int> ids, int? pad, IReadOnlyList<int>? steps) => steps is null
        ? [ReadPosition.Of(Reads, ids, pad)]
        : throw new InputException(
            $"the text has steps, and this model scores whole texts. Leave them out, or choose {OptionName.Head.Of("steps")} if its head "
            + $"was trained on steps.");

    /// <summary>Makes a reward of the outputs of the networks; in double precision and one order, so that all devices agree.</summary>
    /// <param name="output">The outputs for the rows of <see cref="PositionsIn"/>.</param>
    /// <param name="tokens">Tokens of the text.</param>
    internal abstract Reward Compose(TextOutput output, int tokens);
}
