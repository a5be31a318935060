using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model;

/// <summary>
/// The rotary angles θ^(−2i/d)·p as cosines and sines, computed in double (Su et al. 2021, "RoFormer"), on one device: a table for each
/// rotary embedding of a model. The tables grow with the longest text: max_position_embeddings may be a hundred times what is scored, and
/// its table larger than the weights. Not thread-safe.
/// </summary>
/// <param name="device">The device.</param>
/// <param name="config">The model.</param>
internal sealed class RopeTable(IDevice device, BackboneConfig config) : IDisposable
{
    /// <summary>Positions of the first table; a text that is longer gets one of at least twice the size.</summary>
    private const int FirstPositions = 8192;

    /// <summary>The newest table of each rotary embedding.</summary>
    private readonly Dictionary<RotaryEmbedding, ITensor> _newest = [];

    /// <summary>Earlier tables stay, because ops that are queued on the device may read them.</summary>
    private readonly List<ITensor> _tables = [];

    /// <summary>Returns the number of positions with which the tables of a model begin.</summary>
    public static int Positions(BackboneConfig config) => Math.Min(config.MaxPositions, FirstPositions);

    /// <summary>Returns the number of tables of a model.</summary>
    public static int Count(BackboneConfig config) => config.SlidingRope is { } sliding && sliding != config.Rope ? 2 : 1;

    /// <summary>Makes the tables with which the model begins.</summary>
    /// <exception cref="DeviceException">The device lacks memory for them.</exception>
    public void Begin()
    {
        Of(config.Rope, Positions(config));
        if (config.SlidingRope is { } sliding) Of(sliding, Positions(config));
    }

    /// <summary>Returns the table [positions or more, head dimension] of a layer, which <see cref="IDevice.Rope"/> takes.</summary>
    /// <exception cref="DeviceException">The device lacks memory for it.</exception>
    public ITensor Of(int layer, int positions) => Of(config.RopeOf(layer), positions);

    private ITensor Of(RotaryEmbedding rope, int positions)
    {
        if (_newest.TryGetValue(rope, out ITensor? newest) && newest.Rows >= positions) return newest;
        int rows = Positions(config);
        while (rows < positions) rows = (int)Math.Min(2L * rows, Math.Max(config.MaxPositions, positions));
        float[] values = Compute(rows, config.HeadDimension, rope);
        ITensor table = device.CreateTensor(rows, config.HeadDimension);
        _tables.Add(table);
        device.Write(table, 0, values);
        return _newest[rope] = table;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (ITensor table in _tables) table.Dispose();
    }

    private static float[] Compute(int positions, int headDimension, RotaryEmbedding rope)
    {
        int half = headDimension / 2;
        // Elements that are not rotated keep their place: cosine 1 and sine 0.
        double[] frequencies = rope.Frequencies(headDimension);
        double magnitude = rope.Scaling?.Magnitude ?? 1;
        float[] table = new float[positions * headDimension];
        for (int p = 0; p < positions; p++)
        {
            Span<float> row = table.AsSpan(p * headDimension, headDimension);
            row[frequencies.Length..half].Fill(1);
            for (int i = 0; i < frequencies.Length; i++)
            {
                double angle = p * frequencies[i];
                row[i] = (float)(Math.Cos(angle) * magnitude);
                row[half + i] = (float)(Math.Sin(angle) * magnitude);
            }
        }

        return table;
    }
}
