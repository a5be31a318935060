using LdlVk.Runtime.Devices;

namespace LdlVk.Vulkan;

/// <summary>Linear on matrix units: rows become fp16 operands once for all products that read them, then linear_matrix.comp runs.</summary>
internal sealed unsafe partial class VulkanDevice
{
    /// <summary>Row tiles of a band: workgroups that run at the same time share its rows and their weights in the cache.</summary>
    private const int RowTilesPerBand = 8;

    public void GatedLinear(ITensor output, ITensor scratch, ITensor input, IWeight gate, IWeight up)
    {
        OpChecks.GatedLinear(output, scratch, input, gate, up);
        VulkanWeight g = Own(gate), u = Own(up);
        if (g.Format == u.Format && _linear.MatrixUnitsFor(g.Format) is { } units)
        {
            IVulkanTensor y = Output(output), x = Own(input);
            Apart(nameof(GatedLinear), y, x);
            LinearOnMatrixUnits(units, y, x, g, u, bias: null, Activation.None);
        }
        else
        {
            Linear(output, input, gate);
            Linear(scratch, input, up);
            GeluMultiply(output, output, scratch);
        }
    }

    private void LinearOnMatrixUnits(MatrixUnits units, IVulkanTensor y, IVulkanTensor x, VulkanWeight w, VulkanWeight? up, IVulkanTensor? bias, Activation activation)
    {
        if (x.Rows == 0) return;
        (ulong operand, ulong rowScales) = OperandOf(x);
        MatrixTiles tiles = _linear.TilesFor(units, x.Rows);
        uint[] constants = [.. tiles.Constants(units), (uint)w.Format, up is null ? 0u : 1u];
        int tileRows = (int)tiles.Rows, tileFeatures = (int)tiles.Features / (up is null ? 1 : 2);
        double operationsPerRow = (up is null ? 2.0 : 4.0) * w.OutputFeatures * w.InputFeatures;
        int rowsAtOnce = AtOnce(tileRows, operationsPerRow), featuresAtOnce = KernelLimits.MaxGroups * tileFeatures;
        for (int feature = 0; feature < w.OutputFeatures; feature += featuresAtOnce)
        {
            int features = Math.Min(featuresAtOnce, w.OutputFeatures - feature);
            for (int row = 0; row < x.Rows; row += rowsAtOnce)
            {
                int rows = Math.Min(rowsAtOnce, x.Rows - row);
                PushConstants push = new PushConstants()
                    .Add(operand + ((ulong)row * (ulong)x.Stride * 2)).Add(rowScales + ((ulong)row * sizeof(float)))
                    .Add(w.AddressOf(feature)).Add(w.ScalesAddressOf(feature))
                    .Add(up?.AddressOf(feature) ?? 0).Add(up?.ScalesAddressOf(feature) ?? 0)
                    .Add(bias?.AddressOf(0, feature) ?? 0).Add(y.AddressOf(row, feature))
                    .Add(rows).Add(features).Add(x.Stride / WeightLayout.GroupSize).Add(y.Stride)
                    .Add(w.Scale).Add(up?.Scale ?? 0).Add(bias is null ? 0 : 1).Add(activation == Activation.LeakyRelu ? 1 : 0);
                int rowTiles = Groups(rows, tileRows), band = Math.Min(rowTiles, RowTilesPerBand);
                _kernels.Dispatch(_stream.Next(rows * operationsPerRow * features / w.OutputFeatures), "linear_matrix", constants, push,
                    band, Groups(features, tileFeatures), Groups(rowTiles, band), units.SubgroupSize);
            }
        }
    }

    /// <summary>The rows of a tensor as halves with a scale each, kept until the tensor is written again.</summary>
    private (ulong Halves, ulong Scales) OperandOf(IVulkanTensor x)
    {
        VulkanTensor tensor = x.Owner;
        ulong halfRow = (ulong)x.Stride * 2, scales = (ulong)tensor.Rows * halfRow;
        ulong address = tensor.OperandMemory(() => _memory.Allocate(scales + ((ulong)tensor.Rows * sizeof(float)))).Address;
        (ulong Halves, ulong Scales) operand = (address + ((ulong)x.FirstRow * halfRow), address + scales + ((ulong)x.FirstRow * sizeof(float)));
        if (!tensor.HoldsOperand(x.FirstRow, x.Rows))
        {
            PushConstants push = new PushConstants().Add(x.Address).Add(operand.Halves).Add(operand.Scales).Add(x.Rows).Add(x.Stride / 4);
            Dispatch("halve_rows", [], push, x.Rows);
            tensor.OperandRows = (x.FirstRow, x.Rows);
        }

        return operand;
    }
}
