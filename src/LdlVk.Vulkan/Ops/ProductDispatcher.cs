using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Memory;

namespace LdlVk.Vulkan.Ops;

/// <summary>The part of a product that one dispatch computes.</summary>
/// <param name="Row">Its first row.</param>
/// <param name="Rows">Number of rows.</param>
/// <param name="Feature">Its first output feature.</param>
/// <param name="Features">Number of output features.</param>
/// <param name="Operations">Arithmetic operations.</param>
internal readonly record struct ProductPart(int Row, int Rows, int Feature, int Features, double Operations);

/// <summary>Cuts products (Linear, GatedLinear, Int8Linear) into dispatches. How a product is cut never changes a bit of it.</summary>
internal sealed class ProductDispatcher(OpContext context)
{
    /// <summary>Row tiles of a band: workgroups that run at the same time share its rows and their weights in the cache.</summary>
    private const int RowTilesPerBand = 8;

    /// <summary>
    /// The parts of a product of some rows with a weight, or with two of its shape. None runs for too long (<see cref="SubmissionBudget"/>)
    /// or needs more workgroups than every device allows.
    /// </summary>
    public IEnumerable<ProductPart> PartsOf(LinearKernel kernel, int rows, VulkanWeight w, bool gated = false)
    {
        double operationsPerRow = (gated ? 4.0 : 2.0) * w.OutputFeatures * w.InputFeatures;
        int rowsAtOnce = context.ItemsPerDispatch(kernel.Rows, operationsPerRow), featuresAtOnce = KernelLimits.MaxGroups * kernel.Features;
        for (int feature = 0; feature < w.OutputFeatures; feature += featuresAtOnce)
        {
            int features = Math.Min(featuresAtOnce, w.OutputFeatures - feature);
            for (int row = 0; row < rows; row += rowsAtOnce)
            {
                int count = Math.Min(rowsAtOnce, rows - row);
                yield return new ProductPart(row, count, feature, features, count * operationsPerRow * features / w.OutputFeatures);
            }
        }
    }

    /// <summary>Records the dispatch of a part, which writes its rows of <paramref name="y"/>.</summary>
    public void Dispatch(
        string op, LinearKernel kernel, in ProductPart part, scoped in PushConstants push, IVulkanTensor y, ReadOnlySpan<MemoryRange> reads)
    {
        int down = OpContext.Groups(part.Rows, kernel.Rows), band = kernel.InBands ? Math.Min(down, RowTilesPerBand) : down;
        context.Dispatch(kernel.Shader, kernel.Constants, push,
            (band, OpContext.Groups(part.Features, kernel.Features), OpContext.Groups(down, band)), kernel.SubgroupSize,
            new Work(op, part.Rows, part.Features, part.Operations), reads, writes: [y.RangeOf(part.Row, part.Rows)]);
    }
}
