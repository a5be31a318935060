using LdlVk.Runtime;
using LdlVk.Runtime.Devices;

namespace LdlVk.Vulkan;

/// <summary>The op set: each method checks its shapes and records one dispatch of the shader of its name.</summary>
internal sealed unsafe partial class VulkanDevice
{
    /// <summary>Query rows that one workgroup of attention.comp handles.</summary>
    private const int AttentionQueryBlock = 16;

    /// <summary>What every device allows in each dimension of a dispatch. Kernels loop over what lies beyond.</summary>
    private const int MaxGroups = 65535;

    public void Linear(ITensor output, ITensor input, IWeight weight, ITensor? bias = null, Activation activation = Activation.None)
    {
        OpChecks.Linear(output, input, weight, bias);
        IVulkanTensor y = Own(output), x = Own(input);
        VulkanWeight w = Own(weight);
        PushConstants push = new PushConstants()
            .Add(x.Address).Add(w.Allocation.Address).Add(w.Allocation.Address).Add(w.ScalesAddress).Add(bias is null ? 0 : Own(bias).Address).Add(y.Address)
            .Add(x.Rows).Add(w.OutputFeatures).Add(x.Stride / WeightLayout.GroupSize).Add(y.Stride)
            .Add(w.Scale).Add(bias is null ? 0 : 1).Add(activation == Activation.LeakyRelu ? 1 : 0);
        LinearKernel kernel = _linear.For(w.Format, x.Rows);
        Dispatch(kernel.Shader, kernel.Constants, push,
            Groups(w.OutputFeatures, kernel.FeaturesPerGroup), Groups(x.Rows, kernel.RowsPerGroup),
            2.0 * x.Rows * w.OutputFeatures * w.InputFeatures);
    }

    public void RmsNorm(ITensor output, ITensor input, ITensor weight, float epsilon)
    {
        OpChecks.Norm(nameof(RmsNorm), output, input, weight);
        Norm(output, input, weight, epsilon, add: false);
    }

    public void NormAdd(ITensor residual, ITensor y, ITensor weight, float epsilon)
    {
        OpChecks.Norm(nameof(NormAdd), residual, y, weight);
        Norm(residual, y, weight, epsilon, add: true);
    }

    public void Rope(ITensor x, int heads, IIndexList positions, ITensor table)
    {
        OpChecks.Rope(x, heads, positions, table);
        IVulkanTensor rows = Own(x), angles = Own(table);
        PushConstants push = new PushConstants()
            .Add(rows.Address).Add(Own(positions).Address).Add(angles.Address)
            .Add(rows.Rows).Add(heads).Add(angles.Columns).Add(rows.Stride).Add(angles.Stride);
        Dispatch("rope", [], push, Groups(heads * angles.Columns / 2, 64), rows.Rows);
    }

    public void Attention(ITensor output, ITensor queries, ITensor keys, ITensor values, ISegmentList segments, in AttentionShape shape)
    {
        OpChecks.Attention(output, queries, keys, values, segments, shape);
        IVulkanTensor q = Own(queries), k = Own(keys);
        VulkanSegments s = segments as VulkanSegments ?? throw Foreign(segments);
        if (shape.HeadDimension > 256) throw new UsageException($"A head dimension of {shape.HeadDimension} is above the 256 that the Vulkan backend supports. Use --device cpu.");
        PushConstants push = new PushConstants()
            .Add(q.Address).Add(k.Address).Add(Own(values).Address).Add(Own(output).Address).Add(s.SegmentsAddress).Add(s.BlocksAddress)
            .Add(q.Stride).Add(k.Stride).Add(shape.Heads / shape.KeyValueHeads)
            .Add(shape.Scale).Add(shape.Softcap).Add(shape.Window);
        // Tiles that fill, but do not pass, the 32 KiB of shared memory that every device has.
        uint keysPerTile = shape.HeadDimension <= 128 ? 32u : 8u;
        double operations = s.Segments.Sum(x => 4.0 * x.QueryCount * x.KeyCount) * q.Columns;
        Dispatch("attention", [(uint)shape.HeadDimension, keysPerTile], push, s.Blocks, shape.Heads, operations);
    }

    public void GeluMultiply(ITensor output, ITensor gate, ITensor up)
    {
        OpChecks.GeluMultiply(output, gate, up);
        IVulkanTensor y = Own(output);
        int vectors = y.Rows * y.Stride / 4;
        PushConstants push = new PushConstants().Add(Own(gate).Address).Add(Own(up).Address).Add(y.Address).Add(vectors);
        Dispatch("gelu_multiply", [], push, Groups(vectors, 64));
    }

    public void GatherRows(ITensor output, ITensor input, IIndexList rows)
    {
        OpChecks.GatherRows(output, input, rows);
        IVulkanTensor y = Own(output);
        int vectors = y.Stride / 4;
        PushConstants push = new PushConstants().Add(Own(input).Address).Add(Own(rows).Address).Add(y.Address).Add(y.Rows).Add(vectors);
        Dispatch("gather_rows", [], push, Groups(vectors, 64), y.Rows);
    }

    public void LdlReadout(ITensor output, ITensor regression, ITensor gating, float gateTemperature)
    {
        (int attributes, int bins) = OpChecks.LdlReadout(output, regression, gating);
        IVulkanTensor y = Own(output), r = Own(regression), g = Own(gating);
        PushConstants push = new PushConstants()
            .Add(r.Address).Add(g.Address).Add(y.Address)
            .Add(y.Rows).Add(attributes).Add(bins).Add(r.Stride).Add(g.Stride).Add(y.Stride).Add(gateTemperature);
        Dispatch("ldl_readout", [], push, y.Rows);
    }

    private void Norm(ITensor output, ITensor input, ITensor weight, float epsilon, bool add)
    {
        IVulkanTensor x = Own(input);
        PushConstants push = new PushConstants()
            .Add(x.Address).Add(Own(weight).Address).Add(Own(output).Address)
            .Add(x.Rows).Add(x.Columns).Add(x.Stride / 4).Add(epsilon);
        Dispatch("rms_norm", [add ? 1u : 0u], push, x.Rows);
    }

    private void Dispatch(string shader, ReadOnlySpan<uint> constants, scoped in PushConstants push, int x, int y = 1, double operations = 0) =>
        _kernels.Dispatch(_stream.Next(operations), shader, constants, push, Math.Min(x, MaxGroups), Math.Min(y, MaxGroups));

    private static int Groups(int count, int size) => (count + size - 1) / size;

    private static IVulkanTensor Own(ITensor tensor) => tensor as IVulkanTensor ?? throw Foreign(tensor);

    private static VulkanWeight Own(IWeight weight) => weight as VulkanWeight ?? throw Foreign(weight);

    private static VulkanIndices Own(IIndexList indices) => indices as VulkanIndices ?? throw Foreign(indices);

    private static ArgumentException Foreign(object operand) => new($"An operand belongs to another device ({operand.GetType().Name}).");
}
