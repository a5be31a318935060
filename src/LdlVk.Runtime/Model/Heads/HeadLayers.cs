using System.Globalization;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>One linear layer of a head: y = W·x + b.</summary>
/// <param name="Name">Its name in its head, such as <c>network.0</c>.</param>
/// <param name="Weight">W [out, in].</param>
/// <param name="Bias">b [out]; null for none.</param>
public sealed record HeadLayer(string Name, CheckpointTensor Weight, CheckpointTensor? Bias)
{
    /// <summary>Rows of W.</summary>
    public int Outputs => Weight.Shape[0];

    /// <summary>Columns of W.</summary>
    public int Inputs => Weight.Shape[1];

    /// <summary>Elements of W and b.</summary>
    public long Parameters => Weight.Count + (Bias?.Count ?? 0);
}

/// <summary>The state dict of a head.</summary>
/// <param name="Path">Where it is, for messages.</param>
/// <param name="Tensors">Its tensors by their keys.</param>
internal sealed record HeadTensors(string Path, IReadOnlyDictionary<string, CheckpointTensor> Tensors)
{
    /// <summary>
    /// The linear layers of a sequential module, in the order of their index: keys PREFIX.INDEX.weight and PREFIX.INDEX.bias. Indices
    /// between them belong to layers without parameters (LeakyReLU, Dropout).
    /// </summary>
    public List<HeadLayer> LinearLayers(int inputs)
    {
        SortedDictionary<int, string> stems = [];
        foreach (string key in Tensors.Keys)
        {
            int dot = key.LastIndexOf('.');
            string stem = key[..Math.Max(0, dot)];
            if (dot < 0 || key[dot..] is not (".weight" or ".bias") || !int.TryParse(stem[(stem.LastIndexOf('.') + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out int index))
                throw new CheckpointException($"{Path} has a tensor {Shown.Short(key)}; a head of linear layers has only PREFIX.INDEX.weight and PREFIX.INDEX.bias, such as network.0.weight.");
            if (!stems.TryAdd(index, stem) && stems[index] != stem)
                throw new CheckpointException($"{Path} has two layers of index {index}: {Shown.Short(stems[index])} and {Shown.Short(stem)}. It must hold the state dict of one head alone.");
        }
        if (stems.Count == 0) throw new CheckpointException($"{Path} holds no tensors. Download it again.");

        List<HeadLayer> layers = [];
        foreach (string stem in stems.Values)
        {
            CheckpointTensor weight = Require(stem + ".weight"), bias = Require(stem + ".bias");
            if (weight.Shape.Count != 2 || weight.Shape[0] < 1 || weight.Shape[1] != inputs)
                throw new CheckpointException($"{weight.Name} in {Path} has shape [{string.Join(", ", weight.Shape)}], but [any, {inputs}] is needed: {(layers.Count == 0 ? "hidden_size of config.json" : "the outputs of the layer before")}. These files are not from the same model.");
            if (bias.Shape.Count != 1 || bias.Shape[0] != weight.Shape[0])
                throw new CheckpointException($"{bias.Name} in {Path} has shape [{string.Join(", ", bias.Shape)}], but its weight has {weight.Shape[0]} rows.");
            layers.Add(new HeadLayer(stem, weight, bias));
            inputs = weight.Shape[0];
        }
        return layers;
    }

    private CheckpointTensor Require(string key) => Tensors.TryGetValue(key, out CheckpointTensor? tensor)
        ? tensor
        : throw new CheckpointException($"{Path} has no tensor {Shown.Short(key)}. Linear layers need a weight and a bias.");
}
