using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Memory;

namespace LdlVk.Vulkan.Ops;

/// <summary>
/// <see cref="IDevice.Linear"/>. Portable: linear_tile.comp or linear_stream.comp, in fp32. On matrix units: linear_matrix.comp or
/// linear_matrix_nv.comp, on rows converted to fp16, or with sums in fp16 linear_half_matrix.comp. <see cref="LinearKernels"/> chooses.
/// </summary>
internal sealed class LinearOp(OpContext context, LinearKernels kernels, ProductDispatcher products, RowConverter converter)
{
    /// <summary>linear_half_matrix.comp multiplies weights by the inverse.</summary>
    private const float HalfSumScale = 2048;

    public void Record(ITensor output, ITensor input, IWeight weight, ITensor? bias, Activation activation, SumFormat sums)
    {
        OpChecks.Linear(context.Device, output, input, weight, bias, activation, sums);
        IVulkanTensor y = context.Own.Output(output), x = context.Own.Input(input);
        IVulkanTensor? b = bias is null ? null : context.Own.Input(bias);
        VulkanWeight w = context.Own.Weight(weight);
        if (kernels.UsesMatrixUnitsFor(w.Format)) RecordOnMatrixUnits(nameof(IDevice.Linear), y, x, w, up: null, b, activation, sums);
        else RecordPortable(y, x, w, b, activation);
    }

    private void RecordPortable(IVulkanTensor y, IVulkanTensor x, VulkanWeight w, IVulkanTensor? b, Activation activation)
    {
        LinearKernel kernel = kernels.KernelFor(new LinearProduct(w.Format, Gated: false, w.OutputFeatures, w.InputFeatures, x.Rows));
        foreach (ProductPart part in products.PartsOf(kernel, x.Rows, w))
        {
            PushConstants push = new PushConstants()
                .Add(x.AddressOf(part.Row))
                .Add(w.AddressOf(part.Feature)).Add(w.AddressOf(part.Feature)).Add(w.ScalesAddressOf(part.Feature))
                .Add(b is null ? 0 : b.AddressOf(0, part.Feature)).Add(y.AddressOf(part.Row, part.Feature))
                .Add(part.Rows).Add(part.Features).Add(x.Stride / WeightLayout.GroupSize).Add(y.Stride)
                .Add(w.Scale).Add(b is null ? 0 : 1).Add(activation.NegativeSlope());
            products.Dispatch(nameof(IDevice.Linear), kernel, part, push, y,
                reads: [x.RangeOf(part.Row, part.Rows), w.Memory, b?.Range ?? default]);
        }
    }

    /// <summary>Linear with one weight, or GatedLinear with gate and up: the same kernel runs both.</summary>
    public void RecordOnMatrixUnits(
        string op, IVulkanTensor y, IVulkanTensor x, VulkanWeight w, VulkanWeight? up, IVulkanTensor? bias, Activation activation,
        SumFormat sums, GateActivation gate = default)
    {
        if (x.Rows == 0) return;
        sums = kernels.SumsOf(sums);
        float scale = sums == SumFormat.Fp16 ? HalfSumScale : 1;
        Operand operand = converter.OperandOf(x, OperandKind.Halves(x.Stride, sums));
        LinearKernel kernel = kernels.KernelFor(
            new LinearProduct(w.Format, up is not null, w.OutputFeatures, w.InputFeatures, x.Rows, sums));
        foreach (ProductPart part in products.PartsOf(kernel, x.Rows, w, gated: up is not null))
        {
            Operand rows = operand.From(part.Row);
            PushConstants push = new PushConstants()
                .Add(rows.Elements).Add(rows.Scales)
                .Add(w.AddressOf(part.Feature)).Add(w.ScalesAddressOf(part.Feature))
                .Add(up?.AddressOf(part.Feature) ?? 0).Add(up?.ScalesAddressOf(part.Feature) ?? 0)
                .Add(bias?.AddressOf(0, part.Feature) ?? 0).Add(y.AddressOf(part.Row, part.Feature))
                .Add(part.Rows).Add(part.Features).Add(x.Stride / WeightLayout.GroupSize).Add(y.Stride)
                .Add(w.Scale * scale).Add((up?.Scale ?? 0) * scale)
                .Add(bias is null ? 0 : 1).Add(activation.NegativeSlope()).Add(gate == GateActivation.Silu ? 1 : 0);
            products.Dispatch(op, kernel, part, push, y, reads: [operand.Memory, w.Memory, up?.Memory ?? default, bias?.Range ?? default]);
        }
    }
}
