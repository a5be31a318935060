using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;

namespace LdlVk.Runtime.Execution;

/// <summary>The matrix products of a model's layers, for <see cref="ITunableDevice"/>. The heads' are too small to matter.</summary>
public static class LayerProducts
{
    /// <summary>
    /// The different products of a layer in a stage of a plan, for each number of rows of a batch. The feed-forward network may take fewer
    /// rows at a time.
    /// </summary>
    public static IEnumerable<LinearProduct> Of(
        BackboneConfig config, ExecutionPlan plan, StagePlan stage, IEnumerable<int> rows, ComputeMode compute = ComputeMode.Auto)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(stage);
        int most = Math.Max(stage.Layers.FeedForwardRows, FeedForwardRows.Fewest(stage.Device));
        return Of(config, plan.Weights, rows, compute)
            .Select(p => p.Gated || p.InputFeatures == config.IntermediateSize ? p with { Rows = Math.Min(p.Rows, most) } : p).Distinct();
    }

    /// <summary>The different products of a layer, for each number of rows.</summary>
    public static IEnumerable<LinearProduct> Of(
        BackboneConfig config, WeightFormat format, IEnumerable<int> rows, ComputeMode compute = ComputeMode.Auto)
    {
        ArgumentNullException.ThrowIfNull(config);
        int hidden = config.HiddenSize, queries = config.Heads * config.HeadDimension, keys = config.KeyValueHeads * config.HeadDimension;
        (bool Gated, int Outputs, int Inputs)[] weights =
            [(false, queries, hidden), (false, keys, hidden), (false, hidden, queries), (true, config.IntermediateSize, hidden),
                (false, hidden, config.IntermediateSize)];
        return from count in rows
               from weight in weights.Distinct()
               select new LinearProduct(format, weight.Gated, weight.Outputs, weight.Inputs, count, compute.Sums());
    }
}
