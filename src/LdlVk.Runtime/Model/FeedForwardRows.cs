namespace LdlVk.Runtime.Model;

/// <summary>
/// How many rows of gate and up are computed at a time. With 36,864 features they are by far the largest activations, so that few rows save
/// memory. But the product after them, Down, has few features: with few rows too, its workgroups do not fill a card. In 1,024 rows of
/// Gemma-2 27B it has 288 workgroups, whose third wave leaves most of an H100's 132 cores idle.
/// </summary>
internal static class FeedForwardRows
{
    /// <summary>
    /// Rows on a processor. 256 are as fast as more: 1.00 to 1.01 of the speed with all rows, for 512 tokens of the small shape; 128 rows
    /// reach 0.96 with the CPU device.
    /// </summary>
    private const int OnProcessor = 256;

    /// <summary>Rows on a card without memory for more.</summary>
    private const int OnCard = 1024;

    /// <summary>Cores of a card whose driver does not say: as many as large cards have. A smaller one is filled by fewer rows.</summary>
    private const int AssumedCores = 128;

    /// <summary>Tile of a workgroup that a backend would choose on matrix units, to fill the cores.</summary>
    private const int TileRows = 128, TileFeatures = 128;

    /// <summary>Gate or up takes at most this, which every Vulkan driver can allocate at once.</summary>
    private const long MaxTensorBytes = 1L << 30;

    /// <summary>Time at which more rows count as no faster, relative to the best.</summary>
    private const double AboutAsFast = 1.02;

    /// <summary>The least number of rows, for which there is always memory.</summary>
    public static int Fewest(DeviceInfo device) => device.IsProcessor ? OnProcessor : OnCard;

    /// <summary>The least number of rows with which a batch is about as fast as it can be.</summary>
    /// <param name="device">The device.</param>
    /// <param name="config">The model.</param>
    /// <param name="batchRows">Rows of a batch.</param>
    /// <param name="affordable">Rows for which there is memory, if more than <see cref="Fewest"/>.</param>
    public static int For(DeviceInfo device, BackboneConfig config, int batchRows, long affordable)
    {
        int fewest = Fewest(device);
        long most = Math.Min(affordable, MaxTensorBytes / (sizeof(float) * (long)config.IntermediateSize));
        if (device.IsProcessor || fewest >= batchRows || most <= fewest) return fewest;
        List<int> choices = [fewest];
        while (choices[^1] < batchRows && 2L * choices[^1] <= most) choices.Add(2 * choices[^1]);
        int cores = device.Cores > 0 ? device.Cores : AssumedCores;
        double best = choices.Min(Waves);
        return choices.First(rows => Waves(rows) <= AboutAsFast * best);

        double Waves(int rows) => FeedForwardRows.Waves(config.HiddenSize, batchRows, rows, cores);
    }

    /// <summary>Part of the cores' time that Down uses, with so many rows at a time: in the last wave some cores idle.</summary>
    public static double Fill(BackboneConfig config, int batchRows, int rows, int cores) =>
        Workgroups(config.HiddenSize, batchRows) / (Waves(config.HiddenSize, batchRows, rows, cores) * cores);

    /// <summary>Waves of workgroups, one on each core, of Down in a batch.</summary>
    private static double Waves(int features, int batchRows, int rows, int cores)
    {
        double last = batchRows % rows == 0 ? 0 : Math.Ceiling(Workgroups(features, batchRows % rows) / cores);
        return (batchRows / rows * Math.Ceiling(Workgroups(features, rows) / cores)) + last;
    }

    private static double Workgroups(int features, int rows) =>
        Math.Ceiling((double)rows / TileRows) * Math.Ceiling((double)features / TileFeatures);
}
