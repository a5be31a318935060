using LdlVk.DirectML.Interop;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML;

/// <content>
/// Matrix products. All are fp32 products: weights of fewer bits are brought to fp32 a panel of rows at a time, exactly but for the one
/// rounding of integer·scale, and then multiplied block by block. So no activation can overflow, and one feature level serves all formats:
/// ELEMENT_WISE_DEQUANTIZE_LINEAR with broadcast scales for int8, and for int4, whose codes are not evenly spaced, shifts and a little
/// arithmetic.
/// <para>
/// One graph from the integers to the product takes as long as a panel for one block, but 1.7 times as long for 8: it unpacks the weights in
/// scratch memory for each. Weights that DirectML owns have their size again in its persistent memory, and are no faster. A graph of all
/// that follows attention takes 0.93 of the time of its 8 dispatches (norms and GELU are 3 % of it), and needs the panels of a whole layer
/// at a time. (Wine, llvmpipe; a block of hidden size 1152 and FFN size 4608.)
/// </para>
/// </content>
internal sealed partial class DirectMLDevice
{
    /// <summary>Bytes of a panel in fp32.</summary>
    private const long PanelBytes = 32 << 20;

    /// <summary>Arithmetic of one dispatch, where a weight is not cut into panels for other reasons: a tenth of a second on 0.1 TFLOP/s.</summary>
    private const long ProductOperations = 10_000_000_000;

    /// <inheritdoc/>
    public void Linear(ITensor output, ITensor input, IWeight weight, ITensor? bias = null, Activation activation = Activation.None)
    {
        OpChecks.Linear(output, input, weight, bias);
        Apart("Linear", output, input);
        (IDirectMLTensor target, IDirectMLTensor x, DirectMLWeight w, IDirectMLTensor? added) = (Own(output), Own(input), Own(weight), bias is null ? null : Own(bias));
        List<RowBlock> blocks = [];
        for (int first = 0; first < target.Rows; first += BlockRows) blocks.Add(Begin(target, [x], first));
        int panelRows = PanelRows(w);
        for (int row = 0; row < w.OutputFeatures && blocks.Count > 0; row += panelRows)
        {
            int rows = Math.Min(panelRows, w.OutputFeatures - row);
            CompiledGraph graph = ProductGraph(target, x, rows, w.Scale, added is not null, activation);
            Region panel = w.Format == WeightFormat.Fp32 ? w.ValuesFrom(row) : Dequantised(w, row, rows);
            ulong column = (ulong)row * sizeof(float);
            foreach (RowBlock block in blocks)
            {
                if (added is null) _stream.Dispatch(graph, [block.Inputs[0], panel], [block.Output.From(column)]);
                else _stream.Dispatch(graph, [block.Inputs[0], panel, added.RegionOf(0, 1).From(column)], [block.Output.From(column)]);
            }
        }
        foreach (RowBlock block in blocks) End(block);
    }

    /// <summary>
    /// Rows of W that are multiplied at a time: those whose fp32 values fill a panel, or, as fp32 weights need none, those that a dispatch may
    /// take. A multiple of 32, so that a panel's columns of the output start where tensors may.
    /// </summary>
    private static int PanelRows(DirectMLWeight w)
    {
        long columns = WeightLayout.PaddedRow(w.InputFeatures);
        long most = w.Format == WeightFormat.Fp32 ? ProductOperations / (2 * BlockRows * columns) : PanelBytes / (columns * sizeof(float));
        return (int)Math.Clamp(most / 32 * 32, 32, int.MaxValue / 32 * 32);
    }

    private CompiledGraph ProductGraph(IDirectMLTensor output, IDirectMLTensor input, int rows, float scale, bool bias, Activation activation) =>
        Graph(Key("Linear", output.Columns, input.Columns, rows, scale, bias, activation), g =>
        {
            uint[] sizes = [1, 1, BlockRows, (uint)rows];
            GraphValue a = g.Input(TensorLayout.Matrix(BlockRows, input.Columns, input.Stride));
            GraphValue b = g.Input(TensorLayout.Matrix(rows, input.Columns, input.Stride));
            GraphValue? c = bias ? g.Input(TensorLayout.Matrix(1, rows, rows)).As(sizes, [0, 0, 0, 1]) : null;
            TensorLayout result = TensorLayout.Matrix(BlockRows, rows, output.Stride);
            g.Output(g.Gemm(a, b, result, transposeB: true, scale, c, activation == Activation.None ? null : activation.NegativeSlope()));
        });

    /// <summary>Some rows of a weight in fp32, padding included; unless <paramref name="scaled"/>, the integers that its codes stand for.</summary>
    private Region Dequantised(DirectMLWeight w, int firstRow, int rows, bool scaled = true)
    {
        uint n = (uint)rows, k = (uint)WeightLayout.PaddedRow(w.InputFeatures), groups = k / WeightLayout.GroupSize;
        CompiledGraph graph = Graph(Key("Dequantise", w.Format, rows, k, scaled), g =>
        {
            switch (w.Format)
            {
                case WeightFormat.Fp16:
                    g.Output(g.Cast(g.Input(new TensorLayout(DataType.Float16, 1, 1, n, k)), DataType.Float32));
                    break;
                case WeightFormat.Int8 when !scaled:
                    g.Output(g.Cast(g.Input(new TensorLayout(DataType.Int8, 1, 1, n, k)), DataType.Float32));
                    break;
                case WeightFormat.Int8:
                    uint[] inGroups = [1, n, groups, WeightLayout.GroupSize];
                    GraphValue integers = g.Input(new TensorLayout(DataType.Int8, inGroups));
                    GraphValue scale = g.Cast(g.Input(new TensorLayout(DataType.Float16, 1, 1, n, groups)), DataType.Float32);
                    g.Output(g.Dequantize(integers, scale.As(inGroups, [0, groups, 1, 0]), new TensorLayout(DataType.Float32, inGroups)));
                    break;
                default:
                    DequantiseInt4(g, n * groups, scaled);
                    break;
            }
        });
        Region panel = Temporary(Scratch.Panel, (ulong)n * k * sizeof(float));
        switch (w.Format)
        {
            case WeightFormat.Fp16:
            case WeightFormat.Int8 when !scaled:
                _stream.Dispatch(graph, [w.ValuesFrom(firstRow)], [panel]);
                break;
            case WeightFormat.Int8:
                _stream.Dispatch(graph, [w.ValuesFrom(firstRow), w.ScalesFrom(firstRow)], [panel]);
                break;
            default:
                Region shifts = Constant("shifts", () => new uint[] { 0, 4, 8, 12, 16, 20, 24, 28 }), nibble = Constant("nibble", () => new uint[] { 15 });
                _stream.Dispatch(graph, scaled ? [w.ValuesFrom(firstRow), shifts, nibble, w.ScalesFrom(firstRow)] : [w.ValuesFrom(firstRow), shifts, nibble], [panel]);
                break;
        }
        return panel;
    }

    /// <summary>
    /// scale·q·(8 + |q|) with q = code − 8. Nibble 4h + j of a word is its element 2j + h (<see cref="WeightLayout"/>), so that the elements'
    /// order is the strides of the output.
    /// </summary>
    private static void DequantiseInt4(GraphBuilder g, uint groups, bool scaled)
    {
        uint words = groups * 4;
        uint[] nibbles = [1, 1, words, 8], ordered = [groups, 4, 2, 4];
        GraphValue word = g.Input(new TensorLayout(DataType.UInt32, 1, 1, words, 1)).As(nibbles, [0, 0, 1, 0]);
        GraphValue shift = g.Input(new TensorLayout(DataType.UInt32, 1, 1, 1, 8)).As(nibbles, [0, 0, 0, 1]);
        GraphValue mask = g.Input(new TensorLayout(DataType.UInt32, 1, 1, 1, 1)).As(nibbles, [0, 0, 0, 0]);
        GraphValue code = g.Binary(OperatorType.BitAnd, g.Binary(OperatorType.BitShiftRight, word, shift), mask);
        GraphValue q = g.Linear(g.Cast(code, DataType.Float32), 1, -8);
        GraphValue value = g.Multiply(q, g.Linear(g.Unary(OperatorType.Abs, q), 1, 8));
        TensorLayout output = new(DataType.Float32, ordered, [32, 8, 1, 2]);
        GraphValue inOrder = value.As(ordered, [32, 8, 4, 1]);
        if (scaled) g.Output(g.Multiply(inOrder, g.Cast(g.Input(new TensorLayout(DataType.Float16, 1, 1, 1, groups)), DataType.Float32).As(ordered, [1, 0, 0, 0]), output));
        else g.Output(g.Linear(inOrder, 1, 0, output));
    }
}
