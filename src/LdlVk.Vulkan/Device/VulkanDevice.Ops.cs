using LdlVk.Runtime;
using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Memory;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Device;

/// <summary>
/// The op set: each method checks its operands and records a dispatch of the shader of its name. Products (VulkanDevice.Linear.cs) and
/// Attention come in several dispatches where one would run for seconds, at which drivers take a GPU for hung, or would need too many
/// workgroups.
/// </summary>
internal sealed unsafe partial class VulkanDevice
{
    /// <summary>Bounds the list of blocks that a segment makes; a thousand times the longest text.</summary>
    private const int MaxSegmentQueries = 1 << 24;

    /// <summary>
    /// What an operation of attention counts: its products have fp32 operands and an exponential for each, so that where Linear runs on
    /// matrix units, attention is slower by some factor.
    /// </summary>
    private const double AttentionCost = 8;

    /// <summary>Work of one dispatch, where an op can be split, if it is not to follow the device's speed; tests make it small.</summary>
    internal double? OperationsPerDispatch { get; set; }

    public void RmsNorm(ITensor output, ITensor input, ITensor weight, float epsilon)
    {
        OpChecks.Norm(nameof(RmsNorm), output, input, weight);
        Norm(nameof(RmsNorm), output, input, weight, epsilon, add: false);
    }

    public void NormAdd(ITensor residual, ITensor y, ITensor weight, float epsilon)
    {
        OpChecks.Norm(nameof(NormAdd), residual, y, weight);
        Norm(nameof(NormAdd), residual, y, weight, epsilon, add: true);
    }

    public void Add(ITensor residual, ITensor y)
    {
        OpChecks.Add(residual, y);
        IVulkanTensor sum = Output(residual), x = Own(y);
        Apart(nameof(Add), sum, x);
        int vectors = (int)((long)sum.Rows * sum.Stride / 4);
        PushConstants push = new PushConstants().Add(x.Address).Add(sum.Address).Add(vectors);
        Dispatch("add", [], push, Groups(vectors, 64), 1, Work.Elementwise(nameof(Add), sum.Rows, sum.Columns), reads: [x.Range], writes: [sum.Range]);
    }

    public void Rope(ITensor x, int heads, IIndexList positions, ITensor table)
    {
        OpChecks.Rope(x, heads, positions, table);
        IVulkanTensor rows = Output(x), angles = Own(table);
        VulkanIndices p = Own(positions);
        if (p.Largest >= angles.Rows) throw new ArgumentException($"Rope: the position of row {p.PlaceOfLargest} is {p.Largest}, the table ends at {angles.Rows - 1}.");
        Apart(nameof(Rope), rows, angles);
        PushConstants push = new PushConstants()
            .Add(rows.Address).Add(p.Address).Add(angles.Address)
            .Add(rows.Rows).Add(heads).Add(angles.Columns).Add(rows.Stride).Add(angles.Stride);
        Dispatch("rope", [], push, Groups(heads * angles.Columns / 2, 64), rows.Rows, Work.Elementwise(nameof(Rope), rows.Rows, rows.Columns),
            reads: [p.Memory, angles.Range], writes: [rows.Range]);
    }

    public void Attention(ITensor output, ITensor queries, ITensor keys, ITensor values, ISegmentList segments, in AttentionShape shape)
    {
        OpChecks.Attention(output, queries, keys, values, segments, shape);
        IVulkanTensor q = Own(queries), k = Own(keys), v = Own(values), y = Output(output);
        VulkanSegments s = segments is VulkanSegments own && Mine(own) ? own : throw Foreign("segment list");
        Apart(nameof(Attention), y, q);
        Apart(nameof(Attention), y, k);
        Apart(nameof(Attention), y, v);
        if (shape.HeadDimension > KernelLimits.MaxHeadDimension || shape.Heads > KernelLimits.MaxGroups)
            throw new UsageException($"Attention with {shape.Heads} heads of {shape.HeadDimension} is above the {KernelLimits.MaxGroups} heads of {KernelLimits.MaxHeadDimension} that the Vulkan backend supports. Use --device cpu.");
        if (shape.HalvesOperands && MatrixKernelFor(shape, q, k) is { } kernel) AttentionOnMatrixUnits(kernel, y, q, k, v, s, shape);
        else AttentionInFp32(y, q, k, v, s, shape);
    }

    private void AttentionInFp32(IVulkanTensor y, IVulkanTensor q, IVulkanTensor k, IVulkanTensor v, VulkanSegments s, AttentionShape shape)
    {
        AttentionKernel kernel = _attention.For(shape.HeadDimension);
        foreach ((ulong address, int blocks, double operations) in BlocksAtOnce(s, s.BlocksOf(kernel.Queries), q.Columns))
        {
            PushConstants push = new PushConstants()
                .Add(q.Address).Add(k.Address).Add(v.Address).Add(y.Address).Add(s.SegmentsAddress).Add(address)
                .Add(q.Stride).Add(k.Stride).Add(shape.Heads / shape.KeyValueHeads)
                .Add(shape.Scale).Add(shape.Softcap).Add(shape.Window);
            // Blocks have rows of their own, so what holds for the first dispatch holds for the others.
            bool first = address == s.SegmentsAddress + (ulong)s.BlocksOf(kernel.Queries).Offset;
            Dispatch(kernel.Shader, kernel.Constants, push, blocks, shape.Heads, new Work(nameof(Attention), y.Rows, y.Columns, operations),
                reads: first ? [q.Range, k.Range, v.Range, s.Memory] : [], writes: first ? [y.Range] : []);
        }
    }

    /// <summary>The query blocks of a call, in parts of which none runs for too long: address, number, operations.</summary>
    private IEnumerable<(ulong Address, int Count, double Operations)> BlocksAtOnce(VulkanSegments s, QueryBlocks blocks, int columns)
    {
        double operationsPerBlock = s.Segments.Sum(x => 4.0 * AttentionCost * x.QueryCount * x.KeyCount) * columns / Math.Max(1, blocks.Count);
        int atOnce = Math.Min(KernelLimits.MaxGroups, AtOnce(1, operationsPerBlock));
        for (int block = 0; block < blocks.Count; block += atOnce)
        {
            int count = Math.Min(atOnce, blocks.Count - block);
            yield return (s.SegmentsAddress + (ulong)blocks.Offset + ((ulong)block * QueryBlocks.EntryBytes), count, count * operationsPerBlock);
        }
    }

    public void GateMultiply(ITensor output, ITensor gate, ITensor up, GateActivation activation)
    {
        OpChecks.GateMultiply(output, gate, up);
        IVulkanTensor y = Output(output), g = Own(gate), u = Own(up);
        SameOrApart(nameof(GateMultiply), y, g);
        SameOrApart(nameof(GateMultiply), y, u);
        int vectors = (int)((long)y.Rows * y.Stride / 4);
        PushConstants push = new PushConstants().Add(g.Address).Add(u.Address).Add(y.Address).Add(vectors).Add(activation == GateActivation.Silu ? 1 : 0);
        Dispatch("gate_multiply", [], push, Groups(vectors, 64), 1, Work.Elementwise(nameof(GateMultiply), y.Rows, y.Columns),
            reads: [g.Range, u.Range], writes: [y.Range]);
    }

    public void GatherRows(ITensor output, ITensor input, IIndexList rows)
    {
        OpChecks.GatherRows(output, input, rows);
        IVulkanTensor y = Output(output), x = Own(input);
        VulkanIndices r = Own(rows);
        if (r.Largest >= x.Rows) throw new ArgumentException($"GatherRows: row number {r.PlaceOfLargest} is {r.Largest}, the input ends at row {x.Rows - 1}.");
        Apart(nameof(GatherRows), y, x);
        int vectors = y.Stride / 4;
        PushConstants push = new PushConstants().Add(x.Address).Add(r.Address).Add(y.Address).Add(y.Rows).Add(vectors);
        Dispatch("gather_rows", [], push, Groups(vectors, 64), y.Rows, Work.Elementwise(nameof(GatherRows), y.Rows, y.Columns),
            reads: [x.Range, r.Memory], writes: [y.Range]);
    }

    public void LdlReadout(ITensor output, ITensor regression, ITensor gating, float gateTemperature)
    {
        (int attributes, int bins) = OpChecks.LdlReadout(output, regression, gating);
        IVulkanTensor y = Output(output), r = Own(regression), g = Own(gating);
        Apart(nameof(LdlReadout), y, r);
        Apart(nameof(LdlReadout), y, g);
        PushConstants push = new PushConstants()
            .Add(r.Address).Add(g.Address).Add(y.Address)
            .Add(y.Rows).Add(attributes).Add(bins).Add(r.Stride).Add(g.Stride).Add(y.Stride).Add(gateTemperature);
        Dispatch("ldl_readout", [], push, y.Rows, 1, Work.Elementwise(nameof(LdlReadout), y.Rows, y.Columns),
            reads: [r.Range, g.Range], writes: [y.Range]);
    }

    private void Norm(string op, ITensor output, ITensor input, ITensor weight, float epsilon, bool add)
    {
        IVulkanTensor y = Output(output), x = Own(input), w = Own(weight);
        SameOrApart(op, y, x);
        Apart(op, y, w);
        PushConstants push = new PushConstants()
            .Add(x.Address).Add(w.Address).Add(y.Address)
            .Add(x.Rows).Add(x.Columns).Add(x.Stride / 4).Add(epsilon);
        Dispatch("rms_norm", [add ? 1u : 0u], push, x.Rows, 1, Work.Elementwise(op, x.Rows, x.Columns),
            reads: [x.Range, w.Range], writes: [y.Range]);
    }

    /// <summary>Kernels other than Linear's and Attention's loop over what lies beyond <see cref="KernelLimits.MaxGroups"/>.</summary>
    private void Dispatch(
        string shader, ReadOnlySpan<uint> constants, scoped in PushConstants push, int x, int y, in Work work,
        ReadOnlySpan<MemoryRange> reads, ReadOnlySpan<MemoryRange> writes)
    {
        if (x == 0 || y == 0) return;
        CommandBuffer commands = _stream.Next(work, reads, writes);
        _kernels.Dispatch(commands, shader, constants, push, Math.Min(x, KernelLimits.MaxGroups), Math.Min(y, KernelLimits.MaxGroups));
    }

    /// <summary>How many items one dispatch takes: whole groups of them, within the work of one submission and the limit on workgroups.</summary>
    private int AtOnce(int perGroup, double operationsPerItem) =>
        perGroup * (int)Math.Clamp((OperationsPerDispatch ?? _stream.Budget) / Math.Max(1, operationsPerItem) / perGroup, 1, KernelLimits.MaxGroups);

    private static int Groups(int count, int size) => (int)(((long)count + size - 1) / size);

    private IVulkanTensor Own(ITensor tensor) => tensor is IVulkanTensor own && Mine(own.Owner) ? own : throw Foreign("tensor");

    /// <summary>As <see cref="Own(ITensor)"/>, for what is about to be written.</summary>
    private IVulkanTensor Output(ITensor tensor)
    {
        IVulkanTensor own = Own(tensor);
        own.Owner.OperandRows = default;
        return own;
    }

    private VulkanWeight Own(IWeight weight) => weight is VulkanWeight own && Mine(own) ? own : throw Foreign("weight");

    private VulkanIndices Own(IIndexList indices) => indices is VulkanIndices own && Mine(own) ? own : throw Foreign("index list");

    private bool Mine(VulkanMemory memory)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return memory.Device == this;
    }

    private static ArgumentException Foreign(string what) => new($"The {what} belongs to another device.");

    /// <summary>Refuses an output that shares memory with an input, where the op's contract does not allow it.</summary>
    private static void Apart(string op, IVulkanTensor output, IVulkanTensor input)
    {
        if (output.Overlaps(input)) throw new ArgumentException($"{op}: output and input share memory.");
    }

    /// <summary>Refuses an output that overlaps an input without being it.</summary>
    private static void SameOrApart(string op, IVulkanTensor output, IVulkanTensor input)
    {
        if (output.Overlaps(input) && output.FirstRow != input.FirstRow) throw new ArgumentException($"{op}: output and input overlap without being the same.");
    }
}
