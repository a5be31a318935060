using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Memory;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Device;

/// <summary>The part of a product that one dispatch computes.</summary>
/// <param name="Row">Its first row.</param>
/// <param name="Rows">How many.</param>
/// <param name="Feature">Its first output feature.</param>
/// <param name="Features">How many.</param>
/// <param name="Operations">What it counts.</param>
internal readonly record struct ProductPart(int Row, int Rows, int Feature, int Features, double Operations);

/// <summary>Linear, and how all products of its kind are cut into dispatches.</summary>
internal sealed unsafe partial class VulkanDevice
{
    /// <summary>Row tiles of a band: workgroups that run at the same time share its rows and their weights in the cache.</summary>
    private const int RowTilesPerBand = 8;

    public void Linear(ITensor output, ITensor input, IWeight weight, ITensor? bias = null, Activation activation = Activation.None)
    {
        OpChecks.Linear(output, input, weight, bias);
        IVulkanTensor y = Output(output), x = Own(input);
        IVulkanTensor? b = bias is null ? null : Own(bias);
        VulkanWeight w = Own(weight);
        Apart(nameof(Linear), y, x);
        if (_linear.MatrixUnitsFor(w.Format) is { } units) LinearOnMatrixUnits(units, y, x, w, up: null, b, activation);
        else LinearInFp32(y, x, w, b, activation);
    }

    /// <summary>Linear by the portable kernels.</summary>
    private void LinearInFp32(IVulkanTensor y, IVulkanTensor x, VulkanWeight w, IVulkanTensor? b, Activation activation)
    {
        LinearKernel kernel = _linear.KernelFor(new LinearProduct(w.Format, Gated: false, w.OutputFeatures, w.InputFeatures, x.Rows));
        foreach (ProductPart part in PartsOf(kernel, x.Rows, w))
        {
            PushConstants push = new PushConstants()
                .Add(x.AddressOf(part.Row)).Add(w.AddressOf(part.Feature)).Add(w.AddressOf(part.Feature)).Add(w.ScalesAddressOf(part.Feature))
                .Add(b is null ? 0 : b.AddressOf(0, part.Feature)).Add(y.AddressOf(part.Row, part.Feature))
                .Add(part.Rows).Add(part.Features).Add(x.Stride / WeightLayout.GroupSize).Add(y.Stride)
                .Add(w.Scale).Add(b is null ? 0 : 1).Add(activation.NegativeSlope());
            Dispatch(nameof(Linear), kernel, part, push, y, reads: [x.RangeOf(part.Row, part.Rows), w.Memory, b?.Range ?? default]);
        }
    }

    /// <summary>
    /// The parts of a product of some rows with a weight, or with two of its shape: parts of which none runs for too long
    /// (<see cref="SubmissionBudget"/>) or needs more workgroups than every device allows. How a product is cut never changes a bit of it.
    /// </summary>
    private IEnumerable<ProductPart> PartsOf(LinearKernel kernel, int rows, VulkanWeight w, bool gated = false)
    {
        double operationsPerRow = (gated ? 4.0 : 2.0) * w.OutputFeatures * w.InputFeatures;
        int rowsAtOnce = AtOnce(kernel.Rows, operationsPerRow), featuresAtOnce = KernelLimits.MaxGroups * kernel.Features;
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
    private void Dispatch(string op, LinearKernel kernel, in ProductPart part, scoped in PushConstants push, IVulkanTensor y, ReadOnlySpan<MemoryRange> reads)
    {
        int down = Groups(part.Rows, kernel.Rows), band = kernel.InBands ? Math.Min(down, RowTilesPerBand) : down;
        CommandBuffer commands = _stream.Next(new Work(op, part.Rows, part.Features, part.Operations), reads, writes: [y.RangeOf(part.Row, part.Rows)]);
        _kernels.Dispatch(commands, kernel.Shader, kernel.Constants, push, band, Groups(part.Features, kernel.Features), Groups(down, band), kernel.SubgroupSize);
    }
}
