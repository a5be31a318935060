using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model;

/// <summary>
/// The rotary angles θ^(−2i/d)·p as cosines and sines, computed in double (Su et al. 2021, "RoFormer"), on one device. The table grows
/// with the longest text: max_position_embeddings may be a hundred times what is scored, and its table larger than the weights. Not
/// thread-safe.
/// </summary>
/// <param name="device">The device.</param>
/// <param name="config">The model.</param>
internal sealed class RopeTable(IDevice device, BackboneConfig config) : IDisposable
{
    /// <summary>Positions of the first table; a text that is longer gets one of at least twice the size.</summary>
    private const int FirstPositions = 8192;

    /// <summary>Earlier tables stay, because ops that are queued on the device may read them.</summary>
    private readonly List<ITensor> _tables = [];

    /// <summary>Returns the number of positions with which the table of a model begins.</summary>
    public static int Positions(BackboneConfig config) => Math.Min(config.MaxPositions, FirstPositions);

    /// <summary>Returns the table [positions or more, head dimension] that <see cref="IDevice.Rope"/> takes.</summary>
    /// <exception cref="DeviceException">The device lacks memory for it.</exception>
    public ITensor Of(int positions)
    {
        if (_tables is [.., var last] && last.Rows >= positions) return last;
        int rows = Positions(config);
        while (rows < positions) rows = (int)Math.Min(2L * rows, Math.Max(config.MaxPositions, positions));
        float[] values = Compute(rows, config.HeadDimension, config.RopeTheta, config.RopeScaling);
        ITensor table = device.CreateTensor(rows, config.HeadDimension);
        _tables.Add(table);
        device.Write(table, 0, values);
        return table;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (ITensor table in _tables) table.Dispose();
    }

    private static float[] Compute(int positions, int headDimension, double theta, RopeScaling? scaling)
    {
        int half = headDimension / 2;
        double[] frequencies =
            [.. Enumerable.Range(0, half).Select(i => Math.Pow(theta, -2.0 * i / headDimension)).Select(f => scaling?.Apply(f) ?? f)];
        float[] table = new float[positions * headDimension];
        for (int p = 0; p < positions; p++)
        {
            for (int i = 0; i < half; i++)
            {
                double angle = p * frequencies[i];
                table[(p * headDimension) + i] = (float)Math.Cos(angle);
                table[(p * headDimension) + half + i] = (float)Math.Sin(angle);
            }
        }

        return table;
    }
}
