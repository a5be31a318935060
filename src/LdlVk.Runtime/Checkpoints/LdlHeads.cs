using System.Globalization;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>One linear layer of a head: y = W·x + b.</summary>
/// <param name="Name">Its name in its head, such as <c>network.0</c>.</param>
/// <param name="Weight">W [out, in].</param>
/// <param name="Bias">b [out].</param>
public sealed record HeadLayer(string Name, CheckpointTensor Weight, CheckpointTensor Bias)
{
    /// <summary>Rows of W.</summary>
    public int Outputs => Weight.Shape[0];

    /// <summary>Columns of W.</summary>
    public int Inputs => Weight.Shape[1];
}

/// <summary>The state dict of a head.</summary>
/// <param name="Path">Where it is, for messages.</param>
/// <param name="Tensors">Its tensors by their keys.</param>
internal sealed record HeadTensors(string Path, IReadOnlyDictionary<string, CheckpointTensor> Tensors);

/// <summary>
/// The two heads of an LDL reward model: multilayer perceptrons with LeakyReLU between their layers. The regression head gives a
/// distribution over <see cref="Bins"/> for each attribute, the gating head each attribute's weight.
/// </summary>
/// <param name="Regression">hidden → … → Attributes·Bins.</param>
/// <param name="Gating">hidden → … → Attributes.</param>
/// <param name="Objectives">Outputs of the regression head, Attributes·Bins.</param>
/// <param name="Attributes">Outputs of the gating head.</param>
/// <param name="Bins">Objectives / Attributes, at least 2.</param>
/// <param name="GateTemperature">The gates are softmax(gating/temperature); 0 for raw gates.</param>
public sealed record LdlHeads(
    IReadOnlyList<HeadLayer> Regression, IReadOnlyList<HeadLayer> Gating, int Objectives, int Attributes, int Bins, float GateTemperature)
{
    /// <summary>Puts the heads together from their state dicts and checks every size against its neighbours.</summary>
    /// <exception cref="CheckpointException">Sizes do not fit together, or with the hidden size or the config.</exception>
    internal static LdlHeads Create(HeadTensors regression, HeadTensors gating, int hiddenSize, LdlSettings settings)
    {
        IReadOnlyList<HeadLayer> regressionLayers = LinearLayers(regression, hiddenSize), gatingLayers = LinearLayers(gating, hiddenSize);
        int objectives = regressionLayers[^1].Outputs, attributes = gatingLayers[^1].Outputs;
        if (objectives != settings.Objectives)
            throw new CheckpointException($"{regression.Path} has {objectives} outputs, but config.json says num_objectives {settings.Objectives} (220 where it says nothing). These files are not from the same model.");
        if (objectives % attributes != 0 || objectives / attributes < 2)
            throw new CheckpointException($"The {objectives} outputs of {regression.Path} do not divide into two or more bins for each of the {attributes} outputs of {gating.Path}. These files are not from the same model.");
        return new LdlHeads(regressionLayers, gatingLayers, objectives, attributes, objectives / attributes, settings.GateTemperature);
    }

    /// <summary>
    /// The linear layers of a sequential module, in the order of their index: keys PREFIX.INDEX.weight and PREFIX.INDEX.bias. Indices
    /// between them belong to layers without parameters (LeakyReLU, Dropout).
    /// </summary>
    private static List<HeadLayer> LinearLayers(HeadTensors file, int inputs)
    {
        SortedDictionary<int, string> stems = [];
        foreach (string key in file.Tensors.Keys)
        {
            int dot = key.LastIndexOf('.');
            string stem = key[..Math.Max(0, dot)];
            if (dot < 0 || key[dot..] is not (".weight" or ".bias") || !int.TryParse(stem[(stem.LastIndexOf('.') + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out int index))
                throw new CheckpointException($"{file.Path} has a tensor {Shown.Short(key)}; a head of linear layers has only PREFIX.INDEX.weight and PREFIX.INDEX.bias, such as network.0.weight.");
            if (!stems.TryAdd(index, stem) && stems[index] != stem)
                throw new CheckpointException($"{file.Path} has two layers of index {index}: {Shown.Short(stems[index])} and {Shown.Short(stem)}. It must hold the state dict of one head alone.");
        }
        if (stems.Count == 0) throw new CheckpointException($"{file.Path} holds no tensors. Download it again.");

        List<HeadLayer> layers = [];
        foreach (string stem in stems.Values)
        {
            CheckpointTensor weight = Require(file, stem + ".weight"), bias = Require(file, stem + ".bias");
            if (weight.Shape.Count != 2 || weight.Shape[0] < 1 || weight.Shape[1] != inputs)
                throw new CheckpointException($"{weight.Name} in {file.Path} has shape [{string.Join(", ", weight.Shape)}], but [any, {inputs}] is needed: {(layers.Count == 0 ? "hidden_size of config.json" : "the outputs of the layer before")}. These files are not from the same model.");
            if (bias.Shape.Count != 1 || bias.Shape[0] != weight.Shape[0])
                throw new CheckpointException($"{bias.Name} in {file.Path} has shape [{string.Join(", ", bias.Shape)}], but its weight has {weight.Shape[0]} rows.");
            layers.Add(new HeadLayer(stem, weight, bias));
            inputs = weight.Shape[0];
        }
        return layers;
    }

    private static CheckpointTensor Require(HeadTensors file, string key) => file.Tensors.TryGetValue(key, out CheckpointTensor? tensor)
        ? tensor
        : throw new CheckpointException($"{file.Path} has no tensor {Shown.Short(key)}. Linear layers need a weight and a bias.");
}
