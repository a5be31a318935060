using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model.Heads;

/// <summary>The numbers that a head's network computed on the device: a row for each row that is read.</summary>
/// <param name="Values">[rows · columns].</param>
/// <param name="Columns">Outputs of the network.</param>
internal sealed record HeadOutput(float[] Values, int Columns)
{
    /// <summary>The numbers of one row.</summary>
    public ReadOnlySpan<float> Row(int index) => Values.AsSpan(index * Columns, Columns);
}

/// <summary>The numbers that a head's networks computed for one text.</summary>
/// <param name="batches">The outputs of the head's networks for each micro-batch so far, the text's own last.</param>
/// <param name="reads">The rows of the text, in the head's order.</param>
internal readonly ref struct TextOutput(IReadOnlyList<IReadOnlyList<HeadOutput>> batches, ReadRow[] reads)
{
    /// <summary>Number of rows that are read.</summary>
    public int Reads => reads.Length;

    /// <summary>The outputs of a network for one of the rows.</summary>
    public ReadOnlySpan<float> Of(int network, int read) =>
        batches[^(reads[read].BatchesBack + 1)][network].Row(reads[read].Index);
}

/// <summary>
/// The outputs of a head's networks for a micro-batch, which the device may still be computing. Disposing it before <see cref="Finish"/>
/// discards them.
/// </summary>
internal sealed class PendingReadout(IReadOnlyList<(IReadback Readback, int Rows, int Columns)> outputs) : IDisposable
{
    /// <summary>Waits for the outputs.</summary>
    /// <exception cref="DeviceException">The device failed.</exception>
    public IReadOnlyList<HeadOutput> Finish()
    {
        var read = new HeadOutput[outputs.Count];
        for (int i = 0; i < read.Length; i++)
        {
            read[i] = new HeadOutput(new float[outputs[i].Rows * outputs[i].Columns], outputs[i].Columns);
            outputs[i].Readback.Finish(read[i].Values);
        }

        return read;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach ((IReadback readback, _, _) in outputs) readback.Dispose();
    }
}
