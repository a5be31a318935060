namespace LdlVk.Runtime.Checkpoints;

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
    : ModelHead
{
    /// <inheritdoc/>
    public override IEnumerable<HeadLayer> Layers => Regression.Concat(Gating);

    /// <summary>Puts the heads together from their state dicts and checks every size against its neighbours.</summary>
    /// <exception cref="CheckpointException">Sizes do not fit together, or with the hidden size or the config.</exception>
    internal static LdlHeads Create(HeadTensors regression, HeadTensors gating, int hiddenSize, LdlSettings settings)
    {
        IReadOnlyList<HeadLayer> regressionLayers = regression.LinearLayers(hiddenSize), gatingLayers = gating.LinearLayers(hiddenSize);
        int objectives = regressionLayers[^1].Outputs, attributes = gatingLayers[^1].Outputs;
        if (objectives != settings.Objectives)
            throw new CheckpointException($"{regression.Path} has {objectives} outputs, but config.json says num_objectives {settings.Objectives} (220 where it says nothing). These files are not from the same model.");
        if (objectives % attributes != 0 || objectives / attributes < 2)
            throw new CheckpointException($"The {objectives} outputs of {regression.Path} do not divide into two or more bins for each of the {attributes} outputs of {gating.Path}. These files are not from the same model.");
        return new LdlHeads(regressionLayers, gatingLayers, objectives, attributes, objectives / attributes, settings.GateTemperature);
    }
}
