using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Memory;

namespace LdlVk.Vulkan.Ops;

/// <summary><see cref="IDevice.Rope"/>: rope.comp.</summary>
internal sealed class RopeOp(OpContext context)
{
    public void Record(ITensor x, int heads, IIndexList positions, ITensor table)
    {
        OpChecks.Rope(context.Device, x, heads, positions, table);
        IVulkanTensor rows = context.Own.Output(x), angles = context.Own.Input(table);
        VulkanIndices p = context.Own.Indices(positions);
        if (p.Largest >= angles.Rows)
        {
            throw new ArgumentException(
                $"Rope: the position of row {p.PlaceOfLargest} is {p.Largest}, the table ends at {angles.Rows - 1}.");
        }

        PushConstants push = new PushConstants()
            .Add(rows.Address).Add(p.Address).Add(angles.Address)
            .Add(rows.Rows).Add(heads).Add(angles.Columns).Add(rows.Stride).Add(angles.Stride);
        context.DispatchLooping("rope", [], push, OpContext.Groups(heads * angles.Columns / 2, 64), rows.Rows,
            Work.Elementwise(nameof(IDevice.Rope), rows.Rows, rows.Columns),
            reads: [p.Memory, angles.Range], writes: [rows.Range]);
    }
}
