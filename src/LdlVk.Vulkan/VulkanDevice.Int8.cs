using LdlVk.Runtime.Devices;

namespace LdlVk.Vulkan;

/// <summary>Linear in 8-bit integers: rows become bytes once for all products that read them, then linear_int8.comp or its twin runs.</summary>
internal sealed unsafe partial class VulkanDevice
{
    /// <summary>Whether products of four bytes are one instruction; tests turn it off. The bits are the same.</summary>
    internal bool UsesIntegerDot { get => _usesIntegerDot ?? _facts.HasIntegerDot; set => _usesIntegerDot = value && _facts.HasIntegerDot; }

    private bool? _usesIntegerDot;

    public void Int8Linear(ITensor output, ITensor input, IWeight weight)
    {
        OpChecks.Int8Linear(output, input, weight);
        IVulkanTensor y = Output(output), x = Own(input);
        VulkanWeight w = Own(weight);
        Apart(nameof(Int8Linear), y, x);
        if (x.Rows == 0) return;
        (ulong bytes, ulong scales, MemoryRange memory) = BytesOf(x);
        const int TileFeatures = 64;
        int groups = x.Stride / WeightLayout.GroupSize, perInvocation = x.Rows <= 16 ? 1 : x.Rows <= 32 ? 2 : 4, tileRows = 16 * perInvocation;
        double operationsPerRow = 2.0 * w.OutputFeatures * w.InputFeatures;
        int rowsAtOnce = AtOnce(tileRows, operationsPerRow), featuresAtOnce = KernelLimits.MaxGroups * TileFeatures;
        for (int feature = 0; feature < w.OutputFeatures; feature += featuresAtOnce)
        {
            int features = Math.Min(featuresAtOnce, w.OutputFeatures - feature);
            for (int row = 0; row < x.Rows; row += rowsAtOnce)
            {
                int rows = Math.Min(rowsAtOnce, x.Rows - row);
                PushConstants push = new PushConstants()
                    .Add(bytes + ((ulong)row * (ulong)x.Stride)).Add(scales + ((ulong)row * (ulong)groups * sizeof(float)))
                    .Add(w.AddressOf(feature)).Add(w.ScalesAddressOf(feature)).Add(y.AddressOf(row, feature))
                    .Add(rows).Add(features).Add(groups).Add(y.Stride).Add(w.Scale);
                var work = new Work(nameof(Int8Linear), rows, features, rows * operationsPerRow * features / w.OutputFeatures);
                Dispatch(UsesIntegerDot ? "linear_int8_dot" : "linear_int8", [(uint)w.Format, (uint)perInvocation], push,
                    Groups(rows, tileRows), Groups(features, TileFeatures), work, reads: [memory, w.Memory], writes: [y.RangeOf(row, rows)]);
            }
        }
    }

    /// <summary>The rows of a tensor as bytes with a scale a group, kept until the tensor is written again.</summary>
    private (ulong Bytes, ulong Scales, MemoryRange Memory) BytesOf(IVulkanTensor x)
    {
        VulkanTensor tensor = x.Owner;
        int groups = x.Stride / WeightLayout.GroupSize;
        Allocation memory = OperandMemoryOf(tensor);
        ulong scales = memory.Address + ((ulong)tensor.Rows * (ulong)x.Stride);
        (ulong Bytes, ulong Scales, MemoryRange Memory) operand = (memory.Address + ((ulong)x.FirstRow * (ulong)x.Stride),
            scales + ((ulong)x.FirstRow * (ulong)groups * sizeof(float)), new MemoryRange(memory.Address, memory.Size));
        if (!tensor.HoldsOperand(x.FirstRow, x.Rows, VulkanTensor.BytesInGroups))
        {
            int all = x.Rows * groups;
            PushConstants push = new PushConstants().Add(x.Address).Add(operand.Bytes).Add(operand.Scales).Add(all);
            Dispatch("quantise_rows", [], push, Groups(all, 64), 1, Work.Elementwise("QuantiseRows", x.Rows, x.Columns), reads: [x.Range], writes: [operand.Memory]);
            tensor.OperandRows = (x.FirstRow, x.Rows, VulkanTensor.BytesInGroups);
        }

        return operand;
    }
}
