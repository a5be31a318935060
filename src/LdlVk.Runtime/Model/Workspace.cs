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

    /// <summary>Allocates for the largest of some micro-batches. A traced pass records gate and up of all rows at once.</summary>
    /// <param name="batches">The micro-batches.</param>
    /// <param name="stage">The device and the model; its <see cref="StageWeights.FeedForwardRows"/> limits gate and up.</param>
    /// <param name="isTraced">Whether the pass is traced.</param>
    public static Workspace For(IReadOnlyList<MicroBatch> batches, StageWeights stage, bool isTraced)
    {
        int maxRows = batches.Max(b => b.Rows);
        int feedForward = Math.Max(stage.FeedForwardRows, Model.FeedForwardRows.Fewest(stage.Device.Info));
        return new Workspace(
            stage.Device, stage.Config, maxRows, batches.Max(b => b.KeyRows), isTraced ? maxRows : Math.Min(feedForward, maxRows));
    }
}
