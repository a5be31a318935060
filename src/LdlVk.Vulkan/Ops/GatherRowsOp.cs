using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Memory;

namespace LdlVk.Vulkan.Ops;

/// <summary><see cref="IDevice.GatherRows"/>: gather_rows.comp.</summary>
internal sealed class GatherRowsOp(OpContext context)
{
    public void Record(ITensor output, ITensor input, IIndexList rows)
    {
        OpChecks.GatherRows(context.Device, output, input, rows);
        IVulkanTensor y = context.Own.Output(output), x = context.Own.Input(input);
        VulkanIndices r = context.Own.Indices(rows);
        int vectors = y.Stride / 4;
        PushConstants push = new PushConstants().Add(x.Address).Add(r.Address).Add(y.Address).Add(y.Rows).Add(vectors);
        context.DispatchLooping("gather_rows", [], push, OpContext.Groups(vectors, 64), y.Rows,
            Work.Elementwise(nameof(IDevice.GatherRows), y.Rows, y.Columns),
            reads: [x.Range, r.Memory], writes: [y.Range]);
    }
}
