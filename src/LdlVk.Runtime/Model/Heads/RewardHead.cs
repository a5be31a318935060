using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model.Heads;

/// <summary>One linear layer of a head on its device.</summary>
internal sealed record LinearLayer(IWeight Weight, ITensor? Bias);

/// <summary>A head on its device, which computes rewards from hidden states.</summary>
internal abstract class RewardHead
{
    /// <summary>Starts computing the rewards of last-token hidden states [texts, hidden].</summary>
    public abstract PendingReadout Begin(ITensor hidden, int[] tokenCounts);

    /// <summary>Runs linear layers with an activation between them.</summary>
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
