using LdlVk.DirectML.Graphs;
using LdlVk.DirectML.Interop;
using LdlVk.DirectML.Memory;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML.Ops;

/// <summary><see cref="IDevice.RmsNorm"/>.</summary>
internal static class RmsNormOp
{
    public static void Run(OpContext context, IDirectMLTensor output, IDirectMLTensor input, IDirectMLTensor weight, float epsilon) =>
        Run(context, output, input, weight, epsilon, add: false);

    /// <summary>RMSNorm of y, and where <paramref name="add"/>, plus what the output holds: <see cref="NormAddOp"/>.</summary>
    public static void Run(OpContext context, IDirectMLTensor output, IDirectMLTensor y, IDirectMLTensor weight, float epsilon, bool add)
    {
        CompiledGraph graph = context.Graph(GraphCache.Key(add ? "NormAdd" : "RmsNorm", y.Columns, epsilon), g =>
        {
            uint columns = (uint)y.Columns;
            uint[] sizes = [1, 1, RowBlocks.Rows, columns];
            TensorLayout rows = TensorLayout.Matrix(RowBlocks.Rows, y.Columns, y.Stride);
            GraphValue x = g.Input(rows);
            GraphValue? residual = add ? g.Input(rows) : null;
            GraphValue w = g.Input(TensorLayout.Matrix(1, y.Columns, y.Stride));
            GraphValue root = g.Unary(OperatorType.Sqrt, g.Reduce(ReduceFunction.SumSquare, x), 1f / columns, epsilon);
            GraphValue normed = g.Multiply(x, g.Unary(OperatorType.Recip, root).As(sizes, [0, 0, 1, 0]));
            GraphValue factors = w.As(sizes, [0, 0, 0, 1]);
            g.Output(residual is { } r ? g.Add(g.Multiply(normed, factors), r, rows) : g.Multiply(normed, factors, rows));
        });
        RowBlocks.Run(context, graph, output, add ? [y, output] : [y], null, weight.RegionOf(0, 1));
    }
}
