using LdlVk.DirectML.Graphs;
using LdlVk.DirectML.Interop;
using LdlVk.DirectML.Memory;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML.Ops;

/// <summary>Brings rows of a weight to fp32, a panel at a time.</summary>
internal static class WeightPanels
{
    /// <summary>Bytes of a panel in fp32.</summary>
    public const long PanelBytes = 32 << 20;

    /// <summary>
    /// Some rows of a weight in fp32, padding included; unless <paramref name="scaled"/>, the integers that its codes stand for.
    /// </summary>
    public static Region Unpack(OpContext context, DirectMLWeight w, int firstRow, int rows, bool scaled = true)
    {
        uint n = (uint)rows, k = (uint)WeightLayout.PaddedRow(w.InputFeatures), groups = k / WeightLayout.GroupSize;
        CompiledGraph graph = context.Graph(GraphCache.Key("Dequantize", w.Format, rows, k, scaled), g =>
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
                    UnpackInt4(g, n * groups, scaled);
                    break;
            }
        });
        Region panel = context.Temporary(Scratch.Panel, (ulong)n * k * sizeof(float));
        switch (w.Format)
        {
            case WeightFormat.Fp16:
            case WeightFormat.Int8 when !scaled:
                context.Dispatch(graph, [w.ValuesFrom(firstRow)], [panel]);
                break;
            case WeightFormat.Int8:
                context.Dispatch(graph, [w.ValuesFrom(firstRow), w.ScalesFrom(firstRow)], [panel]);
                break;
            default:
                Region shifts = context.Constant("shifts", () => new uint[] { 0, 4, 8, 12, 16, 20, 24, 28 }),
                    nibble = context.Constant("nibble", () => new uint[] { 15 });
                context.Dispatch(graph, scaled ? [w.ValuesFrom(firstRow), shifts, nibble, w.ScalesFrom(firstRow)]
                    : [w.ValuesFrom(firstRow), shifts, nibble], [panel]);
                break;
        }
        return panel;
    }

    /// <summary>
    /// scale·q·(8 + |q|) with q = code − 8. Nibble 4h + j of a word is its element 2j + h (<see cref="WeightLayout"/>), so that the
    /// elements' order is the strides of the output.
    /// </summary>
    private static void UnpackInt4(GraphBuilder g, uint groups, bool scaled)
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
        if (scaled) g.Output(g.Multiply(inOrder, g.Cast(g.Input(new TensorLayout(DataType.Float16, 1, 1, 1, groups)), DataType.Float32).As(
            ordered, [1, 0, 0, 0]), output));
        else g.Output(g.Linear(inOrder, 1, 0, output));
    }
}
