using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model;

/// <summary>
/// The scratch tensors of a layer. All layers and micro-batches of a pass reuse them; each uses as many of the first rows as it has.
/// </summary>
internal sealed class Workspace : Bundle
{
    private Workspace(IDevice device, BackboneConfig config, int queryRows, int keyRows, int feedForwardRows)
    {
        Normed = Own(() => device.CreateTensor(queryRows, config.HiddenSize));
        Query = Own(() => device.CreateTensor(queryRows, config.Heads * config.HeadDimension));
        Key = Own(() => device.CreateTensor(keyRows, config.KeyValueHeads * config.HeadDimension));
        Value = Own(() => device.CreateTensor(keyRows, config.KeyValueHeads * config.HeadDimension));
        Heads = Own(() => device.CreateTensor(queryRows, config.Heads * config.HeadDimension));
        Gate = Own(() => device.CreateTensor(feedForwardRows, config.IntermediateSize));
        Up = Own(() => device.CreateTensor(feedForwardRows, config.IntermediateSize));
    }

    public ITensor Normed { get; }
    public ITensor Query { get; }
    public ITensor Key { get; }
    public ITensor Value { get; }
    public ITensor Heads { get; }
    public ITensor Gate { get; }
    public ITensor Up { get; }

    /// <summary>
    /// Number of rows of gate and up that are computed at a time. With 36864 features, they are by far the largest activations. A GPU needs
    /// many rows to be busy. On a CPU, 256 rows are as fast as more: 1.00 to 1.01 of the speed with all rows, for 512 tokens of the small
    /// shape; 128 rows reach 0.96 with the CPU device.
    /// </summary>
    public static int FeedForwardRows(DeviceInfo device) => device.IsProcessor ? 256 : 1024;

    /// <summary>Allocates for the largest of some micro-batches. A traced pass records gate and up of all rows at once.</summary>
    public static Workspace For(IReadOnlyList<MicroBatch> batches, IDevice device, BackboneConfig config, bool isTraced)
    {
        int maxRows = batches.Max(b => b.Rows);
        return new Workspace(
            device, config, maxRows, batches.Max(b => b.KeyRows), isTraced ? maxRows : Math.Min(FeedForwardRows(device.Info), maxRows));
    }
}
