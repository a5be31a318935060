using LdlVk.DirectML.Graphs;
using LdlVk.DirectML.Interop;
using LdlVk.DirectML.Memory;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML.Ops;

/// <summary><see cref="IDevice.HeadNorm"/>.</summary>
internal static class HeadNormOp
{
    public static void Run(OpContext context, IDirectMLTensor x, int heads, IDirectMLTensor weight, float epsilon)
    {
        uint dimension = (uint)weight.Columns, stride = (uint)x.Stride, count = (uint)heads;
        CompiledGraph graph = context.Graph(GraphCache.Key("HeadNorm", heads, dimension, epsilon), g =>
        {
            uint[] sizes = [1, RowBlocks.Rows, count, dimension];
            GraphValue values = g.Input(TensorLayout.Matrix(RowBlocks.Rows, x.Columns, x.Stride)).As(sizes, [0, stride, dimension, 1]);
            GraphValue w = g.Input(TensorLayout.Matrix(1, weight.Columns, weight.Stride));
            GraphValue root = g.Unary(OperatorType.Sqrt, g.Reduce(ReduceFunction.SumSquare, values), 1f / dimension, epsilon);
            GraphValue normed = g.Multiply(values, g.Unary(OperatorType.Recip, root).As(sizes, [0, count, 1, 0]));
            g.Output(g.Multiply(normed, w.As(sizes, [0, 0, 0, 1]), values.Layout));
        });
        RowBlocks.Run(context, graph, x, [x], null, weight.RegionOf(0, 1));
    }
}
