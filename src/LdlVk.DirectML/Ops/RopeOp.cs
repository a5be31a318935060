using LdlVk.DirectML.Graphs;
using LdlVk.DirectML.Interop;
using LdlVk.DirectML.Memory;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML.Ops;

/// <summary><see cref="IDevice.Rope"/>.</summary>
internal static class RopeOp
{
    public static void Run(OpContext context, IDirectMLTensor x, int heads, DirectMLIndices positions, IDirectMLTensor table)
    {
        uint dimension = (uint)table.Columns, half = dimension / 2, stride = (uint)x.Stride, count = (uint)heads;
        CompiledGraph graph = context.Graph(GraphCache.Key("Rope", heads, dimension, table.Rows), g =>
        {
            GraphValue values = g.Input(TensorLayout.Matrix(RowBlocks.Rows, x.Columns, x.Stride));
            GraphValue numbers = g.Input(new TensorLayout(DataType.UInt32, 1, 1, 1, RowBlocks.Rows));
            GraphValue all = g.Input(TensorLayout.Matrix(table.Rows, table.Columns, table.Stride));
            GraphValue picked = g.Gather(all, numbers, 2, TensorLayout.Matrix(RowBlocks.Rows, table.Columns, table.Columns));
            uint[] halves = [1, RowBlocks.Rows, count, half], everyHead = [0, half, 0, 1];
            GraphValue cos = g.Slice(picked, 0, half).As(halves, everyHead), sin = g.Slice(picked, half, half).As(halves, everyHead);
            GraphValue byHead = values.As([1, RowBlocks.Rows, count, dimension], [0, stride, dimension, 1]);
            GraphValue low = g.Slice(byHead, 0, half), high = g.Slice(byHead, half, half);
            GraphValue turnedLow = g.Add(g.Multiply(low, cos), g.Linear(g.Multiply(high, sin), -1, 0));
            GraphValue turnedHigh = g.Add(g.Multiply(high, cos), g.Multiply(low, sin));
            g.Output(g.Join(byHead.Layout, turnedLow, turnedHigh));
        });
        RowBlocks.Run(context, graph, x, [x], positions, table.RegionOf(0, table.Rows));
    }
}
