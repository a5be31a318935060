using System.Text.Json;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Model.Heads;

/// <summary>
/// The head of LDL-Reward-Gemma-2 (label distribution learning): two multilayer perceptrons with LeakyReLU between their layers. The
/// regression network computes a distribution over <see cref="Bins"/> bins for each attribute, and the gating network a weight for each
/// attribute. The readout (<see cref="IDevice.LdlReadout"/>) combines them to a score.
/// </summary>
internal sealed class LdlHead : ModelHead
{
    private const string RegressionName = "regression_layer", GatingName = "gating_layer", FileType = ".pt";
    private const string RegressionFile = RegressionName + FileType, GatingFile = GatingName + FileType;

    private LdlHead(IReadOnlyList<HeadLayer> regression, IReadOnlyList<HeadLayer> gating, float gateTemperature)
    {
        (Regression, Gating, GateTemperature) = (regression, gating, gateTemperature);
    }

    /// <summary>The kind of this head.</summary>
    public static HeadKind Kind { get; } = new(
        "ldl", $"{RegressionFile} and {GatingFile}", "LDL-Reward-Gemma-2", [RegressionFile, GatingFile], IsIn, Read);

    /// <summary>hidden → … → Attributes·Bins.</summary>
    public IReadOnlyList<HeadLayer> Regression { get; }

    /// <summary>hidden → … → Attributes.</summary>
    public IReadOnlyList<HeadLayer> Gating { get; }

    /// <summary>The gates are softmax(gating/temperature); 0 for raw gates.</summary>
    public float GateTemperature { get; }

    /// <summary>Number of outputs of the regression network, Attributes·Bins.</summary>
    public int Objectives => Regression[^1].Outputs;

    /// <summary>Number of outputs of the gating network.</summary>
    public override int Attributes => Gating[^1].Outputs;

    /// <summary>Number of bins of a distribution, at least 2.</summary>
    public int Bins => Objectives / Attributes;

    /// <inheritdoc/>
    public override string Name => "ldl";

    /// <inheritdoc/>
    public override string Summary =>
        $"{Attributes} attributes of {Bins} bins; gates "
        + $"{(GateTemperature == 0 ? "raw" : $"softmax, temperature {Shown.Number(GateTemperature)}")}";

    /// <inheritdoc/>
    internal override ReadRule Reads => ReadRule.BeforeFirstPad;

    /// <inheritdoc/>
    internal override IReadOnlyList<HeadNetwork> Networks =>
    [
        new(RegressionName + ".", Regression, Activation.LeakyRelu),
        new(GatingName + ".", Gating, Activation.LeakyRelu),
    ];

    /// <inheritdoc/>
    public override string Title(Architecture backbone) => backbone == Architecture.Gemma2 ? "LDL heads (LDL-Reward-Gemma-2)" : "LDL heads";

    /// <inheritdoc/>
    public override void WriteFacts(Utf8JsonWriter json)
    {
        json.WriteNumber("attributes", Attributes);
        json.WriteNumber("bins", Bins);
        json.WriteNumber("gate_temperature", GateTemperature);
    }

    /// <inheritdoc/>
    internal override RewardHead BuildOn(IDevice device, Func<HeadLayer, LinearLayer> upload) =>
        new OnDevice(device, this, [.. Regression.Select(upload)], [.. Gating.Select(upload)]);

    /// <inheritdoc/>
    internal override Reward Compose(TextOutput output, int tokens)
    {
        ReadOnlySpan<float> row = output.Of(0, 0);
        return new Reward(
            row[0],
            tokens,
            Distribution: [.. row.Slice(1, Bins)],
            Weights: [.. row.Slice(1 + Bins, Attributes)],
            Rewards: [.. row[(1 + Bins + Attributes)..]]);
    }

    /// <summary>Original checkpoints have the networks in separate files; converted folders have them in the safetensors files.</summary>
    private static bool IsIn(CheckpointFolder folder) => new[] { RegressionName, GatingName }.Any(network => folder.Converted is null
        ? folder.HasFile(network + FileType)
        : folder.Names.Any(name => name.StartsWith(network + ".", StringComparison.Ordinal) && name != RegressionName + ".weight"));

    /// <summary>Builds the networks from their state dicts and verifies that the sizes of consecutive layers match.</summary>
    private static LdlHead Read(HeadSource source)
    {
        (CheckpointFolder folder, int hiddenSize) = (source.Folder, source.Config.HiddenSize);
        // The defaults are those of the model's published code: GatingNN(temperature=config.get("temperature", 1.0),
        // softmax=config.get("softmax", False))
        (int objectives, float temperature) = folder.ReadConfig(fields => (
            fields.Integer("num_objectives", 2, 1 << 20, 220),
            fields.Root.TryGet("softmax", out JsonField softmax) && softmax.Boolean()
                ? (float)fields.Number("temperature", 1e-6, 1e6, 1)
                : 0));
        StateDict regression = Network(folder, RegressionName), gating = Network(folder, GatingName);
        LdlHead head = new(HeadLayers.Sequence(regression, hiddenSize), HeadLayers.Sequence(gating, hiddenSize), temperature);
        if (head.Objectives != objectives)
            throw new CheckpointException(
                $"{regression.Path} has {head.Objectives} outputs, "
                + $"but config.json says num_objectives {objectives} (220 where it says nothing). "
                + $"These files are not from the same model.");
        if (head.Objectives % head.Attributes != 0 || head.Bins < 2)
            throw new CheckpointException(
                $"The {head.Objectives} outputs of {regression.Path} do not divide into two or more bins for each of the "
                + $"{head.Attributes} outputs of {gating.Path}. These files are not from the same model.");
        return head;
    }

    private static StateDict Network(CheckpointFolder folder, string name) => folder.Converted is null
        ? folder.TorchModule(name + FileType, "The model's two heads are separate files beside the safetensors; download it too.")
        : folder.Module(name + ".");

    private sealed class OnDevice(
        IDevice device, LdlHead head, IReadOnlyList<LinearLayer> regression, IReadOnlyList<LinearLayer> gating) : RewardHead(device, head)
    {
        /// <inheritdoc/>
        protected override IEnumerable<ITensor> Run(ITensor hidden)
        {
            using ITensor regressed = Run(regression, hidden, Activation.LeakyRelu);
            using ITensor gates = Run(gating, hidden, Activation.LeakyRelu);
            int bins = head.Bins, attributes = head.Attributes;
            ITensor readout = Device.CreateTensor(hidden.Rows, 1 + bins + attributes + (attributes * bins));
            try
            {
                Device.LdlReadout(readout, regressed, gates, head.GateTemperature);
            }
            catch
            {
                readout.Dispose();
                throw;
            }

            yield return readout;
        }
    }
}
