using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model.Heads;

/// <summary>One linear layer of a head on its device.</summary>
internal sealed record LinearLayer(IWeight Weight, ITensor? Bias);

/// <summary>A head on its device, which computes the outputs of its networks from hidden states.</summary>
/// <param name="device">The device.</param>
/// <param name="head">The head, which makes rewards of the outputs.</param>
internal abstract class RewardHead(IDevice device, ModelHead head)
{
    /// <summary>The head, which makes rewards of the outputs.</summary>
    public ModelHead Head => head;

    /// <summary>The device.</summary>
    protected IDevice Device => device;

    /// <summary>Starts computing the outputs for the hidden states [rows, hidden] that the head reads.</summary>
    public PendingReadout Begin(ITensor hidden)
    {
        List<(IReadback, int, int)> outputs = [];
        try
        {
            foreach (ITensor output in Run(hidden))
                using (output) outputs.Add((device.BeginRead(output), output.Rows, output.Columns));
            return new PendingReadout(outputs);
        }
        catch
        {
            new PendingReadout(outputs).Dispose();
            throw;
        }
    }

    /// <summary>Computes the outputs one after another; the caller disposes each.</summary>
    protected abstract IEnumerable<ITensor> Run(ITensor hidden);

    /// <summary>Runs linear layers with an activation between them.</summary>
    protected ITensor Run(IReadOnlyList<LinearLayer> layers, ITensor input, Activation between)
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

/// <summary>A head of independent networks on its device.</summary>
internal sealed class NetworkHeadOnDevice(
    IDevice device, ModelHead head, IReadOnlyList<(IReadOnlyList<LinearLayer> Layers, Activation Between)> networks)
    : RewardHead(device, head)
{
    /// <inheritdoc/>
    protected override IEnumerable<ITensor> Run(ITensor hidden) => networks.Select(network => Run(network.Layers, hidden, network.Between));
}
