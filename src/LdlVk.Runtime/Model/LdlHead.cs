using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model;

/// <summary>One linear layer of a head on its device.</summary>
internal sealed record LinearLayer(IWeight Weight, ITensor Bias);

/// <summary>
/// The LDL heads: regression gives each attribute a distribution over bins, gating each attribute's weight; the readout joins them to a
/// score. (Label distribution learning head of LDL-Reward-Gemma-2.)
/// </summary>
internal sealed class LdlHead(
    IDevice device, IReadOnlyList<LinearLayer> regression, IReadOnlyList<LinearLayer> gating, float gateTemperature)
{
    /// <summary>Distinct attributes.</summary>
    public int Attributes { get; } = gating[^1].Weight.OutputFeatures;

    /// <summary>Bins of a distribution.</summary>
    public int Bins { get; } = regression[^1].Weight.OutputFeatures / gating[^1].Weight.OutputFeatures;

    /// <summary>Begins to compute the rewards of last-token hidden states [texts, hidden].</summary>
    public PendingReadout Begin(ITensor hidden, int[] tokenCounts)
    {
        using ITensor regressed = Run(regression, hidden), gates = Run(gating, hidden);
        using ITensor readout = device.CreateTensor(hidden.Rows, 1 + Bins + Attributes + (Attributes * Bins));
        device.LdlReadout(readout, regressed, gates, gateTemperature);
        return new PendingReadout(device.BeginRead(readout), tokenCounts, Bins, Attributes);
    }

    /// <summary>Linear layers with LeakyReLU between them.</summary>
    private ITensor Run(IReadOnlyList<LinearLayer> layers, ITensor input)
    {
        ITensor x = input;
        for (int i = 0; i < layers.Count; i++)
        {
            ITensor? y = null;
            try
            {
                y = device.CreateTensor(x.Rows, layers[i].Weight.OutputFeatures);
                device.Linear(y, x, layers[i].Weight, layers[i].Bias, i < layers.Count - 1 ? Activation.LeakyRelu : Activation.None);
            }
            catch
            {
                y?.Dispose();
                throw;
            }
            finally
            {
                if (x != input) x.Dispose();
            }

            x = y;
        }

        return x;
    }
}
