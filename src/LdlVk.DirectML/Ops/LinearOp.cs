using LdlVk.DirectML.Graphs;
using LdlVk.DirectML.Memory;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML.Ops;

/// <summary>
/// <see cref="IDevice.Linear"/>. All are fp32 products: weights of fewer bits are brought to fp32 a panel of rows at a time, exactly but
/// for the one rounding of integer·scale, and then multiplied block by block. So no activation can overflow, and one feature level serves
/// all formats: ELEMENT_WISE_DEQUANTIZE_LINEAR with broadcast scales for int8, and for int4, whose codes are not evenly spaced, shifts and
/// a little arithmetic.
/// <para>
/// One graph from the integers to the product takes as long as a panel for one block, but 1.7 times as long for 8: it unpacks the weights
/// in scratch memory for each. Weights that DirectML owns have their size again in its persistent memory, and are no faster. A graph of all
/// that follows attention takes 0.93 of the time of its 8 dispatches (norms and GELU are 3 % of it), and needs the panels of a whole layer
/// at a time. (Wine, llvmpipe; a block of hidden size 1152 and FFN size 4608.)
/// </para>
/// </summary>
internal static class LinearOp
{
    /// <summary>
    /// Arithmetic of one dispatch, where a weight is not cut into panels for other reasons: a tenth of a second on 0.1 TFLOP/s.
    /// </summary>
    private const long ProductOperations = 10_000_000_000;

    public static void Run(
        OpContext context, IDirectMLTensor output, IDirectMLTensor input, DirectMLWeight w, IDirectMLTensor? bias = null,
            Activation activation = Activation.None)
    {
        List<RowBlock> blocks = [];
        for (int first = 0; first < output.Rows; first += RowBlocks.Rows) blocks.Add(RowBlocks.Begin(context, output, [input], first));
        int panelRows = PanelRows(w);
        for (int row = 0; row < w.OutputFeatures && blocks.Count > 0; row += panelRows)
        {
            int rows = Math.Min(panelRows, w.OutputFeatures - row);
            CompiledGraph graph = ProductGraph(context, output, input, rows, w.Scale, bias is not null, activation);
            Region panel = w.Format == WeightFormat.Fp32 ? w.ValuesFrom(row) : WeightPanels.Unpack(context, w, row, rows);
            ulong column = (ulong)row * sizeof(float);
            foreach (RowBlock block in blocks)
            {
                if (bias is null) context.Dispatch(graph, [block.Inputs[0], panel], [block.Output.From(column)]);
                else context.Dispatch(graph, [block.Inputs[0], panel, bias.RegionOf(0, 1).From(column)], [block.Output.From(column)]);
            }
        }
        foreach (RowBlock block in blocks) RowBlocks.End(context, block);
    }

    /// <summary>
    /// Rows of W that are multiplied at a time: those whose fp32 values fill a panel, or, as fp32 weights need none, those that a dispatch
    /// may take. A multiple of 32, so that a panel's columns of the output start where tensors may.
    /// </summary>
    private static int PanelRows(DirectMLWeight w)
    {
        long columns = WeightLayout.PaddedRow(w.InputFeatures);
        long most = w.Format == WeightFormat.Fp32 ? ProductOperations / (2 * RowBlocks.Rows * columns)
            : WeightPanels.PanelBytes / (columns * sizeof(float));
        return (int)Math.Clamp(most / 32 * 32, 32, int.MaxValue / 32 * 32);
    }

    private static CompiledGraph ProductGraph(OpContext context, IDirectMLTensor output, IDirectMLTensor input, int rows, float scale,
        bool bias, Activation activation) =>
        context.Graph(GraphCache.Key("Linear", output.Columns, input.Columns, rows, scale, bias, activation), g =>
        {
            uint[] sizes = [1, 1, RowBlocks.Rows, (uint)rows];
            GraphValue a = g.Input(TensorLayout.Matrix(RowBlocks.Rows, input.Columns, input.Stride));
            GraphValue b = g.Input(TensorLayout.Matrix(rows, input.Columns, input.Stride));
            GraphValue? c = bias ? g.Input(TensorLayout.Matrix(1, rows, rows)).As(sizes, [0, 0, 0, 1]) : null;
            TensorLayout result = TensorLayout.Matrix(RowBlocks.Rows, rows, output.Stride);
            g.Output(g.Gemm(a, b, result, transposeB: true, scale, c, activation));
        });
}
