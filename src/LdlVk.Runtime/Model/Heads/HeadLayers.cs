using System.Globalization;
using LdlVk.Runtime.Checkpoints;

namespace LdlVk.Runtime.Model.Heads;

/// <summary>Finds and verifies the linear layers of a head.</summary>
internal static class HeadLayers
{
    /// <summary>
    /// Returns the linear layers of a sequential module in the order of their index, from keys PREFIX.INDEX.weight and PREFIX.INDEX.bias.
    /// Missing indices belong to layers without parameters (LeakyReLU, Dropout).
    /// </summary>
    /// <param name="module">The head's tensors.</param>
    /// <param name="inputs">Number of inputs of the first layer.</param>
    /// <param name="mayNormalize">
    /// Whether a BatchNorm1d may stand before a linear layer, and linear layers may lack a bias; else each has one.
    /// </param>
    /// <exception cref="CheckpointException">A key is malformed, a tensor is missing, or shapes do not match.</exception>
    public static List<HeadLayer> Sequence(StateDict module, int inputs, bool mayNormalize = false)
    {
        List<HeadLayer> layers = [];
        BatchNorm? norm = null;
        foreach (string stem in Stems(module, mayNormalize))
        {
            if (module.Tensors.ContainsKey(stem + ".running_mean"))
            {
                if (norm is not null || layers.Count == 0)
                    throw new CheckpointException(
                        $"{module.Path} has a normalization {Shown.Short(stem)} that does not stand between two linear layers. "
                        + $"This head is not known.");
                norm = Norm(module, stem, inputs);
                continue;
            }

            CheckpointTensor weight = Require(module, stem + ".weight");
            CheckpointTensor? bias = mayNormalize && !module.Tensors.ContainsKey(stem + ".bias") ? null : Require(module, stem + ".bias");
            if (weight.Shape.Count != 2 || weight.Shape[0] < 1 || weight.Shape[1] != inputs)
                throw new CheckpointException(
                    $"{weight.Name} in {module.Path} has shape [{string.Join(", ", weight.Shape)}], but [any, {inputs}] is needed: "
                    + $"{(layers.Count == 0 ? "hidden_size of config.json" : "the outputs of the layer before")}. "
                    + $"These files are not from the same model.");
            if (bias is not null) CheckBias(module, weight, bias);
            layers.Add(new HeadLayer(stem, weight, bias) { Norm = norm });
            norm = null;
            inputs = weight.Shape[0];
        }

        if (norm is not null)
            throw new CheckpointException(
                $"{module.Path} ends with the normalization {Shown.Short(norm.Name)}, behind which the last linear layer is missing. "
                + $"Download it again.");
        CheckWhole(module, layers);
        return layers;
    }

    /// <summary>
    /// Verifies that no layer is missing between those that are there, which shapes need not show: inner layers are often square. Between
    /// two linear layers stand an activation and at most a normalization and a dropout, the same in all places; the last dropout may be
    /// left out (QRM-Gemma-2).
    /// </summary>
    private static void CheckWhole(StateDict module, List<HeadLayer> layers)
    {
        bool isNormalized = layers.Any(layer => layer.Norm is not null);
        int most = isNormalized ? 4 : 3, usual = layers.Count > 1 ? Index(layers[1].Name) - Index(layers[0].Name) : 0;
        // A sequence may begin with a dropout.
        if (Index(layers[0].Name) > 1) throw Incomplete("before", layers[0]);
        for (int i = 1; i < layers.Count; i++)
        {
            int step = Index(layers[i].Name) - Index(layers[i - 1].Name);
            if (step > most || step > usual || (step < usual && i < layers.Count - 1))
                throw Incomplete("between", layers[i - 1], layers[i]);
            if (isNormalized && layers[i].Norm is null)
                throw new CheckpointException(
                    $"{module.Path} has a normalization between some linear layers, but none before {Shown.Short(layers[i].Name)}. "
                    + $"Check that the download is complete.");
        }

        // A normalization takes the place of the bias of the layer before it (QRM); else all layers have one, or none has.
        HeadLayer[] plain = [.. layers.Where((_, i) => i == layers.Count - 1 || layers[i + 1].Norm is null)];
        if (plain.Any(layer => layer.Bias is not null) && Array.Find(plain, layer => layer.Bias is null) is { } bare)
            throw new CheckpointException(
                $"{module.Path} has no tensor {Shown.Short(bare.Name)}.bias, and other layers have one. Check that the download is "
                + $"complete.");

        CheckpointException Incomplete(string where, params HeadLayer[] around) => new(
            $"{module.Path} lacks a linear layer {where} {string.Join(" and ", around.Select(layer => Shown.Short(layer.Name)))}: "
            + $"its indices leave room for one. Check that the download is complete.");
    }

    /// <summary>A layer's place in its sequence, with which its name ends.</summary>
    private static int Index(string stem) =>
        int.Parse(stem.AsSpan(stem.LastIndexOf('.') + 1), NumberStyles.None, CultureInfo.InvariantCulture);

    /// <summary>Returns the only linear layer of a head, from the keys <c>weight</c> and, optionally, <c>bias</c>.</summary>
    /// <param name="module">The head's tensors.</param>
    /// <param name="prefix">Prefix of the names in the checkpoint, for messages.</param>
    /// <param name="inputs">Number of inputs of the layer.</param>
    /// <exception cref="CheckpointException">There are other tensors, or shapes do not match.</exception>
    public static HeadLayer Single(StateDict module, string prefix, int inputs)
    {
        CheckpointTensor weight = Require(module, "weight");
        module.Tensors.TryGetValue("bias", out CheckpointTensor? bias);
        if (module.Tensors.Keys.FirstOrDefault(key => key is not ("weight" or "bias")) is { } other)
            throw new CheckpointException(
                $"{module.Path} has {prefix}weight, a head of one layer, and {prefix}{Shown.Short(other)} besides. "
                + $"This head is not known.");
        if (weight.Shape.Count != 2 || weight.Shape[0] < 1 || weight.Shape[1] != inputs)
            throw new CheckpointException(
                $"{weight.Name} in {module.Path} has shape [{string.Join(", ", weight.Shape)}], "
                + $"but [1, {inputs}] is needed (hidden_size of config.json). These files are not from the same model.");
        if (bias is not null) CheckBias(module, weight, bias);
        return new HeadLayer("", weight, bias);
    }

    /// <summary>Returns the layers' names in the order of their index.</summary>
    private static IEnumerable<string> Stems(StateDict module, bool mayNormalize)
    {
        SortedDictionary<int, string> stems = [];
        foreach (string key in module.Tensors.Keys)
        {
            int dot = key.LastIndexOf('.');
            string stem = key[..Math.Max(0, dot)];
            if (dot < 0
                || !(key[dot..] is ".weight" or ".bias" || (mayNormalize && key[dot..] is ".running_mean" or ".running_var"))
                || !int.TryParse(stem[(stem.LastIndexOf('.') + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out int index))
                throw new CheckpointException(
                    $"{module.Path} has a tensor {Shown.Short(key)}; "
                    + $"a head of linear layers has only PREFIX.INDEX.weight and PREFIX.INDEX.bias, such as network.0.weight.");
            if (!stems.TryAdd(index, stem) && stems[index] != stem)
                throw new CheckpointException(
                    $"{module.Path} has two layers of index {index}: {Shown.Short(stems[index])} and {Shown.Short(stem)}. "
                    + $"It must hold the state dict of one head alone.");
        }

        return stems.Count > 0 ? stems.Values : throw new CheckpointException($"{module.Path} holds no tensors. Download it again.");
    }

    private static BatchNorm Norm(StateDict module, string stem, int features)
    {
        (string, CheckpointTensor)[] tensors = [.. BatchNorm.Parts.Select(part => (part, Require(module, $"{stem}.{part}")))];
        foreach ((_, CheckpointTensor tensor) in tensors)
            if (tensor.Shape.Count != 1 || tensor.Shape[0] != features)
                throw new CheckpointException(
                    $"{tensor.Name} in {module.Path} has shape [{string.Join(", ", tensor.Shape)}], but [{features}] is needed: "
                    + $"the outputs of the layer before. These files are not from the same model.");
        return new BatchNorm(stem, tensors);
    }

    private static void CheckBias(StateDict module, CheckpointTensor weight, CheckpointTensor bias)
    {
        if (bias.Shape.Count != 1 || bias.Shape[0] != weight.Shape[0])
            throw new CheckpointException(
                $"{bias.Name} in {module.Path} has shape [{string.Join(", ", bias.Shape)}], but its weight has {weight.Shape[0]} rows.");
    }

    private static CheckpointTensor Require(StateDict module, string key) => module.Tensors.TryGetValue(key, out CheckpointTensor? tensor)
        ? tensor
        : throw new CheckpointException($"{module.Path} has no tensor {Shown.Short(key)}. Linear layers need a weight and a bias.");
}
