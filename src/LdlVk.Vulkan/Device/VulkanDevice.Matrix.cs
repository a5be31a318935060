using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Memory;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Device;

/// <summary>Linear on matrix units: rows become fp16 operands once for all products that read them, then linear_matrix.comp or linear_matrix_nv.comp runs.</summary>
internal sealed unsafe partial class VulkanDevice
{
    public void GatedLinear(ITensor output, ITensor scratch, ITensor input, IWeight gate, IWeight up, GateActivation activation)
    {
        OpChecks.GatedLinear(output, scratch, input, gate, up);
        VulkanWeight g = Own(gate), u = Own(up);
        if (g.Format == u.Format && _linear.MatrixUnitsFor(g.Format) is { } units)
        {
            IVulkanTensor y = Output(output), x = Own(input);
            Apart(nameof(GatedLinear), y, x);
            LinearOnMatrixUnits(units, y, x, g, u, bias: null, Activation.None, activation);
        }
        else
        {
            Linear(output, input, gate);
            Linear(scratch, input, up);
            GateMultiply(output, output, scratch, activation);
        }
    }

    private void LinearOnMatrixUnits(
        MatrixUnits units, IVulkanTensor y, IVulkanTensor x, VulkanWeight w, VulkanWeight? up, IVulkanTensor? bias, Activation activation, GateActivation gate = default)
    {
        if (x.Rows == 0) return;
        Operand operand = OperandOf(x, OperandKind.Halves(x.Stride));
        LinearKernel kernel = _linear.KernelFor(units, new LinearProduct(w.Format, up is not null, w.OutputFeatures, w.InputFeatures, x.Rows));
        foreach (ProductPart part in PartsOf(kernel, x.Rows, w, gated: up is not null))
        {
            Operand rows = operand.From(part.Row);
            PushConstants push = new PushConstants()
                .Add(rows.Elements).Add(rows.Scales)
                .Add(w.AddressOf(part.Feature)).Add(w.ScalesAddressOf(part.Feature))
                .Add(up?.AddressOf(part.Feature) ?? 0).Add(up?.ScalesAddressOf(part.Feature) ?? 0)
                .Add(bias?.AddressOf(0, part.Feature) ?? 0).Add(y.AddressOf(part.Row, part.Feature))
                .Add(part.Rows).Add(part.Features).Add(x.Stride / WeightLayout.GroupSize).Add(y.Stride)
                .Add(w.Scale).Add(up?.Scale ?? 0).Add(bias is null ? 0 : 1).Add(activation.NegativeSlope()).Add(gate == GateActivation.Silu ? 1 : 0);
            Dispatch(up is null ? nameof(Linear) : nameof(GatedLinear), kernel, part, push, y,
                reads: [operand.Memory, w.Memory, up?.Memory ?? default, bias?.Range ?? default]);
        }
    }

    /// <summary>Sums that an invocation of attention keeps, instead of as many as the device's registers allow, for tests.</summary>
    internal uint? MostSums { get; set; }

    /// <summary>The kernel of an attention on matrix units; null where its shape does not suit them.</summary>
    private AttentionKernel? MatrixKernelFor(in AttentionShape shape, IVulkanTensor q, IVulkanTensor k) =>
        // Whole vectors in a head, and no padding between the heads of a row and the next.
        _linear.HasMatrixUnits && shape.HeadDimension % 4 == 0 && q.Stride == q.Columns && k.Stride == k.Columns
            ? AttentionKernels.On(MostSums is { } most ? _facts.MatrixUnits! with { MostSums = most } : _facts.MatrixUnits!, shape.HeadDimension, _facts.SharedBytes) : null;

    private void AttentionOnMatrixUnits(AttentionKernel kernel, IVulkanTensor y, IVulkanTensor q, IVulkanTensor k, IVulkanTensor v, VulkanSegments s, AttentionShape shape)
    {
        OperandKind heads = OperandKind.Halves(shape.HeadDimension);
        Operand queries = OperandOf(q, heads), keyRows = OperandOf(k, heads), values = OperandOf(v, heads);
        foreach ((ulong address, int blocks, double operations) in BlocksAtOnce(s, s.BlocksOf(kernel.Queries), q.Columns))
        {
            PushConstants push = new PushConstants()
                .Add(queries.Elements).Add(keyRows.Elements).Add(values.Elements).Add(queries.Scales).Add(keyRows.Scales).Add(values.Scales)
                .Add(y.Address).Add(s.SegmentsAddress).Add(address)
                .Add(shape.Heads).Add(shape.KeyValueHeads).Add(y.Stride)
                .Add(shape.Scale).Add(shape.Softcap).Add(shape.Window);
            CommandBuffer commands = _stream.Next(new Work(nameof(Attention), y.Rows, y.Columns, operations),
                reads: [queries.Memory, keyRows.Memory, values.Memory, s.Memory], writes: [y.Range]);
            _kernels.Dispatch(commands, kernel.Shader, kernel.Constants, push, blocks, shape.Heads, 1, kernel.SubgroupSize);
        }
    }
}
