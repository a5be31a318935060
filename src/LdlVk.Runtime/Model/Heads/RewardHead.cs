using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model;

/// <summary>One linear layer of a head on its device.</summary>
internal sealed record LinearLayer(IWeight Weight, ITensor? Bias);

/// <summary>A head on its device: from hidden states to rewards.</summary>
internal abstract class RewardHead
{
    /// <summary>Begins to compute the rewards of last-token hidden states [texts, hidden].</summary>
    public abstract PendingReadout Begin(ITensor hidden, int[] tokenCounts);

    /// <summary>Linear layers with an activation between them.</summary>
    protected static ITensor Run(IDevice device, IReadOnlyList<LinearLayer> layers, ITensor input, Activation between)
    {
        ITensor x = input;
        for (int i = 0; i < layers.Count; i++)
        {
            ITensor? y = null;
            try
            {
                y = device.CreateTensor(x.Rows, layers[i].Weight.OutputFeatures);
                device.Linear(y, x, layers[i].Weight, layers[i].Bias, i < layers.Count - 1 ? between : Activation.None);
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

/// <summary>
/// A head that gives the score alone: one linear layer, or several with ReLU between them (Skywork-Reward-Gemma-2: Liu et al. 2024,
/// "Skywork-Reward"; INF-ORM-Llama3.1's published modelling code).
/// </summary>
internal sealed class LinearScoreHead(IDevice device, IReadOnlyList<LinearLayer> network) : RewardHead
{
    /// <inheritdoc/>
    public override PendingReadout Begin(ITensor hidden, int[] tokenCounts)
    {
        using ITensor scores = Run(device, network, hidden, Activation.Relu);
        return new PendingReadout(device.BeginRead(scores), tokenCounts, bins: 0, attributes: 0);
    }
}
