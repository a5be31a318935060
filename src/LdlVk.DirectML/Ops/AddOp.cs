using LdlVk.DirectML.Graphs;
using LdlVk.DirectML.Memory;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML.Ops;

/// <summary><see cref="IDevice.Add"/>.</summary>
internal static class AddOp
{
    public static void Run(OpContext context, IDirectMLTensor residual, IDirectMLTensor y)
    {
        CompiledGraph graph = context.Graph(GraphCache.Key("Add", residual.Columns), g =>
        {
            TensorLayout rows = TensorLayout.Matrix(RowBlocks.Rows, residual.Columns, residual.Stride);
            g.Output(g.Add(g.Input(rows), g.Input(rows), rows));
        });
        RowBlocks.Run(context, graph, residual, [residual, y]);
    }
}
