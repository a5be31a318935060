using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Memory;

namespace LdlVk.Vulkan.Ops;

/// <summary>
/// <see cref="IDevice.Attention"/>. Portable: attention.comp or attention_stream.comp, in fp32. On matrix units: attention_matrix.comp, on
/// rows converted to fp16. <see cref="AttentionKernels"/> chooses. Workgroups are spread over blocks of queries and heads.
/// </summary>
internal sealed class AttentionOp(OpContext context, AttentionKernels kernels, RowConverter converter)
{
    /// <summary>
    /// What an arithmetic operation of attention counts: its products have fp32 operands and an exponential for each, so that where Linear
    /// runs on matrix units, attention is slower by some factor.
    /// </summary>
    private const double OperationCost = 8;

    public void Record(ITensor output, ITensor queries, ITensor keys, ITensor values, ISegmentList segments, in AttentionShape shape)
    {
        OpChecks.Attention(context.Device, output, queries, keys, values, segments, shape);
        IVulkanTensor q = context.Own.Input(queries), k = context.Own.Input(keys), v = context.Own.Input(values);
        IVulkanTensor y = context.Own.Output(output);
        VulkanSegments s = context.Own.Segments(segments);
        if (shape.HeadDimension > KernelLimits.MaxHeadDimension || shape.Heads > KernelLimits.MaxGroups)
        {
            throw new UsageException(
                $"Attention with {shape.Heads} heads of {shape.HeadDimension} is above the {KernelLimits.MaxGroups} heads of "
                + $"{KernelLimits.MaxHeadDimension} that the Vulkan backend supports. Use {OptionName.Device.Of("cpu")}.");
        }

        // Matrix units take heads of whole vectors, and rows without padding between one's last head and the next one's first.
        bool suits = shape.HalvesOperands && shape.HeadDimension % 4 == 0 && q.Stride == q.Columns && k.Stride == k.Columns;
        if (suits && kernels.MatrixKernel(shape.HeadDimension) is { } kernel) RecordOnMatrixUnits(kernel, y, q, k, v, s, shape);
        else RecordPortable(y, q, k, v, s, shape);
    }

    private void RecordPortable(IVulkanTensor y, IVulkanTensor q, IVulkanTensor k, IVulkanTensor v, VulkanSegments s, AttentionShape shape)
    {
        AttentionKernel kernel = kernels.PortableKernel(shape.HeadDimension);
        foreach ((ulong address, int blocks, double operations) in PartsOf(s, s.BlocksOf(kernel.Queries), q.Columns))
        {
            PushConstants push = new PushConstants()
                .Add(q.Address).Add(k.Address).Add(v.Address).Add(y.Address).Add(s.SegmentsAddress).Add(address)
                .Add(q.Stride).Add(k.Stride).Add(shape.Heads / shape.KeyValueHeads)
                .Add(shape.Scale).Add(shape.Softcap).Add(shape.Window);
            // Parts write different rows, so the barrier before the first dispatch serves the others too.
            bool first = address == s.SegmentsAddress + (ulong)s.BlocksOf(kernel.Queries).Offset;
            context.Dispatch(kernel.Shader, kernel.Constants, push, (blocks, shape.Heads, 1), kernel.SubgroupSize,
                new Work(nameof(IDevice.Attention), y.Rows, y.Columns, operations),
                reads: first ? [q.Range, k.Range, v.Range, s.Memory] : [], writes: first ? [y.Range] : []);
        }
    }

    private void RecordOnMatrixUnits(
        AttentionKernel kernel, IVulkanTensor y, IVulkanTensor q, IVulkanTensor k, IVulkanTensor v, VulkanSegments s, AttentionShape shape)
    {
        OperandKind heads = OperandKind.Halves(shape.HeadDimension);
        Operand queries = converter.OperandOf(q, heads), keys = converter.OperandOf(k, heads), values = converter.OperandOf(v, heads);
        foreach ((ulong address, int blocks, double operations) in PartsOf(s, s.BlocksOf(kernel.Queries), q.Columns))
        {
            PushConstants push = new PushConstants()
                .Add(queries.Elements).Add(keys.Elements).Add(values.Elements).Add(queries.Scales).Add(keys.Scales).Add(values.Scales)
                .Add(y.Address).Add(s.SegmentsAddress).Add(address)
                .Add(shape.Heads).Add(shape.KeyValueHeads).Add(y.Stride)
                .Add(shape.Scale).Add(shape.Softcap).Add(shape.Window);
            context.Dispatch(kernel.Shader, kernel.Constants, push, (blocks, shape.Heads, 1), kernel.SubgroupSize,
                new Work(nameof(IDevice.Attention), y.Rows, y.Columns, operations),
                reads: [queries.Memory, keys.Memory, values.Memory, s.Memory], writes: [y.Range]);
        }
    }

    /// <summary>The query blocks of a call, in parts of which none runs for too long: address, number, operations.</summary>
    private IEnumerable<(ulong Address, int Count, double Operations)> PartsOf(VulkanSegments s, QueryBlocks blocks, int columns)
    {
        double operations = s.Segments.Sum(x => 4.0 * OperationCost * x.QueryCount * x.KeyCount) * columns;
        double operationsPerBlock = operations / Math.Max(1, blocks.Count);
        int atOnce = Math.Min(KernelLimits.MaxGroups, context.ItemsPerDispatch(1, operationsPerBlock));
        for (int block = 0; block < blocks.Count; block += atOnce)
        {
            int count = Math.Min(atOnce, blocks.Count - block);
            ulong address = s.SegmentsAddress + (ulong)blocks.Offset + ((ulong)block * QueryBlocks.EntryBytes);
            yield return (address, count, count * operationsPerBlock);
        }
    }
}
