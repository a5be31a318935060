using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model;

/// <summary>
/// The rewards of a micro-batch that the device may still be computing. Disposing it before <see cref="Finish"/> discards them.
/// </summary>
internal sealed class PendingReadout : IDisposable
{
    private readonly IReadback _readout;
    private readonly int[] _tokenCounts;
    private readonly int _bins, _attributes;

    public PendingReadout(IReadback readout, int[] tokenCounts, int bins, int attributes) =>
        (_readout, _tokenCounts, _bins, _attributes) = (readout, tokenCounts, bins, attributes);

    /// <summary>Waits for the rewards; result i belongs to text i of the micro-batch.</summary>
    /// <exception cref="DeviceException">The device failed.</exception>
    public Reward[] Finish()
    {
        int columns = 1 + _bins + _attributes + (_attributes * _bins);
        float[] values = new float[_tokenCounts.Length * columns];
        _readout.Finish(values);
        var rewards = new Reward[_tokenCounts.Length];
        for (int i = 0; i < rewards.Length; i++)
        {
            ReadOnlySpan<float> row = values.AsSpan(i * columns, columns);
            rewards[i] = new Reward(
                row[0],
                _tokenCounts[i],
                Distribution: [.. row.Slice(1, _bins)],
                Weights: [.. row.Slice(1 + _bins, _attributes)],
                Rewards: [.. row[(1 + _bins + _attributes)..]]);
        }

        return rewards;
    }

    /// <inheritdoc/>
    public void Dispose() => _readout.Dispose();
}
