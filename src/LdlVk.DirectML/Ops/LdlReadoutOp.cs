using LdlVk.DirectML.Graphs;
using LdlVk.DirectML.Interop;
using LdlVk.DirectML.Memory;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML.Ops;

/// <summary><see cref="IDevice.LdlReadout"/>.</summary>
internal static class LdlReadoutOp
{
    public static void Run(
        OpContext context, IDirectMLTensor output, IDirectMLTensor regression, IDirectMLTensor gating, int attributes, int bins,
            float gateTemperature)
    {
        CompiledGraph graph = context.Graph(GraphCache.Key("LdlReadout", attributes, bins, gateTemperature), g =>
        {
            uint a = (uint)attributes, b = (uint)bins;
            GraphValue scores = g.Input(TensorLayout.Matrix(RowBlocks.Rows, regression.Columns, regression.Stride));
            GraphValue gate = g.Input(TensorLayout.Matrix(RowBlocks.Rows, gating.Columns, gating.Stride));
            GraphValue levels = g.Input(TensorLayout.Matrix(bins, 1, 1));
            GraphValue rewards = g.Softmax(scores.As([1, RowBlocks.Rows, a, b], [0, (uint)regression.Stride, b, 1]));
            GraphValue weights = gateTemperature > 0 ? g.Softmax(g.Linear(gate, 1 / gateTemperature, 0)) : g.Linear(gate, 1, 0);
            GraphValue distribution = g.Gemm(weights.As([1, RowBlocks.Rows, 1, a], [0, a, a, 1]), rewards,
                new TensorLayout(DataType.Float32, 1, RowBlocks.Rows, 1, b), transposeB: false);
            GraphValue spread = distribution.As([1, 1, RowBlocks.Rows, b], [0, 0, b, 1]);
            GraphValue score = g.Gemm(spread, levels, TensorLayout.Matrix(RowBlocks.Rows, 1, 1), transposeB: false);
            g.Output(g.Join(TensorLayout.Matrix(RowBlocks.Rows, output.Columns, output.Stride), score, spread, weights,
                rewards.As([1, 1, RowBlocks.Rows, a * b], [0, 0, a * b, 1])));
        });
        Region levelsOfBins = context.Constant(
            GraphCache.Key("levels", bins), () => Enumerable.Range(0, bins).Select(i => (float)((double)i / (bins - 1))).ToArray());
        RowBlocks.Run(context, graph, output, [regression, gating], null, levelsOfBins);
    }
}
