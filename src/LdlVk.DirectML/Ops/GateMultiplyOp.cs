using LdlVk.DirectML.Graphs;
using LdlVk.DirectML.Interop;
using LdlVk.DirectML.Memory;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML.Ops;

/// <summary><see cref="IDevice.GateMultiply"/>.</summary>
internal static class GateMultiplyOp
{
    public static void Run(OpContext context, IDirectMLTensor output, IDirectMLTensor gate, IDirectMLTensor up, GateActivation activation)
    {
        CompiledGraph graph = context.Graph(GraphCache.Key("GateMultiply", output.Columns, activation), g =>
        {
            TensorLayout rows = TensorLayout.Matrix(RowBlocks.Rows, output.Columns, output.Stride);
            GraphValue x = g.Input(rows), factor = g.Input(rows);
            // silu(x) = x/2·(1 + tanh(x/2)). tanh is ±1 to the last bit from 9 on; beyond, powers of x must not overflow.
            GraphValue near = g.Unary(OperatorType.Clip, x, min: -20, max: 20);
            const double Slope = 0.79788456080286535588;
            GraphValue u = activation == GateActivation.Silu
                ? g.Linear(near, 0.5f, 0)
                : g.Multiply(near, g.Linear(g.Multiply(near, near), (float)(Slope * 0.044715), (float)Slope));
            GraphValue tanh = g.Unary(OperatorType.Tanh, u);
            g.Output(g.Multiply(g.Multiply(x, g.Linear(tanh, 0.5f, 0.5f)), factor, rows));
        });
        RowBlocks.Run(context, graph, output, [gate, up]);
    }
}
