using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model;

/// <summary>
/// The LDL heads: regression gives each attribute a distribution over bins, gating each attribute's weight; the readout joins them to a
/// score. (Label distribution learning head of LDL-Reward-Gemma-2.)
/// </summary>
internal sealed class LdlHead(
    IDevice device, IReadOnlyList<LinearLayer> regression, IReadOnlyList<LinearLayer> gating, float gateTemperature) : RewardHead
{
    /// <summary>Distinct attributes.</summary>
    public int Attributes { get; } = gating[^1].Weight.OutputFeatures;

    /// <summary>Bins of a distribution.</summary>
    public int Bins { get; } = regression[^1].Weight.OutputFeatures / gating[^1].Weight.OutputFeatures;

    /// <inheritdoc/>
    public override PendingReadout Begin(ITensor hidden, int[] tokenCounts)
    {
        using ITensor regressed = Run(device, regression, hidden, Activation.LeakyRelu), gates = Run(device, gating, hidden, Activation.LeakyRelu);
        using ITensor readout = device.CreateTensor(hidden.Rows, 1 + Bins + Attributes + (Attributes * Bins));
        device.LdlReadout(readout, regressed, gates, gateTemperature);
        return new PendingReadout(device.BeginRead(readout), tokenCounts, Bins, Attributes);
    }
}
