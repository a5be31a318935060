using LdlVk.DirectML.Graphs;
using LdlVk.DirectML.Interop;
using LdlVk.DirectML.Memory;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML.Ops;

/// <summary>
/// <see cref="IDevice.Int8Linear"/>: products in 8-bit integers, with the bits that <see cref="IDevice.Int8Linear"/> prescribes: its
/// integers are held as fp32, whose sums of a group are exact, and each rounding is an operator of its own. Slower than
/// <see cref="LinearOp"/>; here for the same scores as elsewhere.
/// </summary>
internal static class Int8LinearOp
{
    private const int Group = WeightLayout.GroupSize;

    /// <summary>Groups whose products are in memory at a time.</summary>
    public const int GroupsAtOnce = 32;

    /// <summary>Rows of W at a time: with 32 groups of 64 rows, 8 MiB of products.</summary>
    public const int PanelRows = 1024;

    public static void Run(OpContext context, IDirectMLTensor output, IDirectMLTensor input, DirectMLWeight w, IDirectMLTensor? bias)
    {
        int stride = input.Stride, groups = stride / Group;
        for (int first = 0; first < output.Rows; first += RowBlocks.Rows)
        {
            RowBlock block = RowBlocks.Begin(context, output, [input], first);
            (Region q, Region s) = Quantize(context, block.Inputs[0], stride);
            for (int row = 0; row < w.OutputFeatures; row += PanelRows)
            {
                int rows = Math.Min(PanelRows, w.OutputFeatures - row);
                Region v = WeightPanels.Unpack(context, w, row, rows, scaled: false);
                ulong totalBytes = (ulong)RowBlocks.Rows * (ulong)rows * sizeof(float);
                Region total = context.Temporary(Scratch.Total, totalBytes), next = context.Temporary(Scratch.NextTotal, totalBytes);
                context.Clear(total);
                for (int group = 0; group < groups; group += GroupsAtOnce)
                {
                    int count = Math.Min(GroupsAtOnce, groups - group);
                    Region products = context.Temporary(Scratch.Products, totalBytes * GroupsAtOnce);
                    ulong at = (ulong)group * Group * sizeof(float);
                    context.Dispatch(GroupProducts(context, rows, groups, count),
                        [q.From(at), v.From(at), s.From((ulong)group * sizeof(float)), w.ScalesFrom(row).From((ulong)group * 2)],
                        [products]);
                    Region[] operands = [total, .. Enumerable.Range(0, count).Select(g => products.From((ulong)g * totalBytes))];
                    context.Dispatch(Sum(context, rows, count), operands, [next]);
                    (total, next) = (next, total);
                }
                ulong column = (ulong)row * sizeof(float);
                CompiledGraph scaled = Scaled(context, rows, w.Scale, output.Stride, bias is not null);
                if (bias is null) context.Dispatch(scaled, [total], [block.Output.From(column)]);
                else context.Dispatch(scaled, [total, bias.RegionOf(0, 1).From(column)], [block.Output.From(column)]);
            }
            RowBlocks.End(context, block);
        }
    }

    /// <summary>A block's rows as integers in fp32, and a scale for each of their groups.</summary>
    private static (Region Integers, Region Scales) Quantize(OpContext context, Region x, int stride)
    {
        uint groups = (uint)(RowBlocks.Rows * stride / Group);
        // Numbers and their bits are two views of the same memory: what one graph writes as integers, the next reads as floats.
        CompiledGraph measure = context.Graph(GraphCache.Key("Int8 scales", stride), g =>
        {
            uint[] column = [1, 1, groups, 1];
            GraphValue Word() => g.Input(new TensorLayout(DataType.UInt32, 1, 1, 1, 1)).As(column, [0, 0, 0, 0]);
            GraphValue Shift(OperatorType direction, GraphValue a, GraphValue by) => g.Binary(direction, a, by);
            GraphValue bits = g.Input(new TensorLayout(DataType.UInt32, 1, 1, groups, Group));
            GraphValue magnitude = Word(), fraction = Word(), one = Word(), eight = Word(), dividend = Word(), exponents = Word(),
                twentyThree = Word(), smallest = Word(), end = Word(), zero = Word(), notANumber = Word();
            GraphValue a = g.Reduce(ReduceFunction.Max, g.Binary(OperatorType.BitAnd, bits, magnitude.As(bits.Layout.Sizes, [0, 0, 0, 0])));
            // 127 / a from the first 16 bits of a's mantissa: quotient·2^t.
            GraphValue mantissa = Shift(OperatorType.BitShiftRight,
                g.Binary(OperatorType.BitOr, g.Binary(OperatorType.BitAnd, a, fraction), one), eight);
            GraphValue quotient = g.Cast(g.Binary(OperatorType.Divide, dividend, mantissa), DataType.Float32);
            GraphValue power = Shift(OperatorType.BitShiftLeft,
                g.Binary(OperatorType.Subtract, exponents, Shift(OperatorType.BitShiftRight, a, twentyThree)), twentyThree);
            TensorLayout flags = new(DataType.UInt8, column);
            GraphValue tooSmall = g.Binary(OperatorType.LessThan, a, smallest, flags),
                inRange = g.Binary(OperatorType.LessThan, a, end, flags);
            g.Output(g.If(tooSmall, zero, g.If(inRange, a, notANumber)));
            g.Output(g.If(tooSmall, zero, g.If(inRange, power, zero)));
            g.Output(quotient);
        });
        Region words = context.Constant("int8 words", () => new uint[]
        {
            0x7FFFFFFF, 0, 0, 0, 0x7FFFFF, 0, 0, 0, 0x800000, 0, 0, 0, 8, 0, 0, 0, 0xFE000000, 0, 0, 0, 244, 0, 0, 0, 23, 0, 0, 0,
            63u << 23, 0, 0, 0, 243u << 23, 0, 0, 0, 0, 0, 0, 0, 0x7FC00000,
        });
        ulong bytes = (ulong)groups * sizeof(float);
        Region largest = context.Temporary(Scratch.Largest, bytes), powers = context.Temporary(Scratch.Powers, bytes),
            quotients = context.Temporary(Scratch.Quotients, bytes);
        context.Dispatch(measure, [x, .. Enumerable.Range(0, 11).Select(i => words.From((ulong)i * 16))], [largest, powers, quotients]);

        CompiledGraph quantize = context.Graph(GraphCache.Key("Int8 rows", stride), g =>
        {
            uint[] sizes = [1, 1, groups, Group], column = [1, 1, groups, 1];
            GraphValue values = g.Input(new TensorLayout(DataType.Float32, sizes));
            GraphValue a = g.Input(new TensorLayout(DataType.Float32, column)), power = g.Input(a.Layout), quotient = g.Input(a.Layout);
            GraphValue inverse = g.Multiply(quotient, power);
            g.Output(g.Round(g.Multiply(values, inverse.As(sizes, [0, 0, 1, 0]))));
            g.Output(g.Linear(a, 1f / 127, 0));
        });
        Region integers = context.Temporary(Scratch.Integers, bytes * Group), scales = context.Temporary(Scratch.Scales, bytes);
        context.Dispatch(quantize, [x, largest, powers, quotients], [integers, scales]);
        return (integers, scales);
    }

    /// <summary>fl(fl(s·scale)·Σ q·v) of some groups: [groups, rows of the block, rows of W].</summary>
    private static CompiledGraph GroupProducts(OpContext context, int rows, int groups, int count) =>
        context.Graph(GraphCache.Key("Int8 products", rows, groups, count), g =>
    {
        uint n = (uint)rows, all = (uint)groups, some = (uint)count, k = all * Group;
        uint[] sizes = [1, some, RowBlocks.Rows, n];
        GraphValue q = g.Input(new TensorLayout(DataType.Float32, [1, some, RowBlocks.Rows, Group], [0, Group, k, 1]));
        GraphValue v = g.Input(new TensorLayout(DataType.Float32, [1, some, n, Group], [0, Group, k, 1]));
        GraphValue s = g.Input(new TensorLayout(DataType.Float32, [1, 1, RowBlocks.Rows, some], [0, 0, all, 1]));
        GraphValue scale = g.Cast(g.Input(new TensorLayout(DataType.Float16, [1, 1, n, some], [0, 0, all, 1])), DataType.Float32);
        GraphValue sums = g.Gemm(q, v, new TensorLayout(DataType.Float32, sizes), transposeB: true);
        GraphValue factors = g.Multiply(s.As(sizes, [0, 1, all, 0]), scale.As(sizes, [0, 1, 0, some]), sums.Layout);
        g.Output(g.Multiply(factors, sums));
    });

    /// <summary>
    /// total + the products of group after group. No operator of the graph multiplies, so none can be fused to skip a rounding.
    /// </summary>
    private static CompiledGraph Sum(OpContext context, int rows, int count) => context.Graph(GraphCache.Key("Int8 sum", rows, count), g =>
    {
        TensorLayout layout = TensorLayout.Matrix(RowBlocks.Rows, rows, rows);
        GraphValue total = g.Input(layout);
        for (int i = 0; i < count; i++) total = g.Add(total, g.Input(layout));
        g.Output(total);
    });

    /// <summary>total·scale + bias. The scale is a power of two, so a fused multiplication and addition has the same bits.</summary>
    private static CompiledGraph Scaled(OpContext context, int rows, float scale, int stride, bool biased) =>
        context.Graph(GraphCache.Key("Int8 scaled", rows, scale, stride, biased), g =>
        {
            TensorLayout result = TensorLayout.Matrix(RowBlocks.Rows, rows, stride);
            GraphValue total = g.Input(TensorLayout.Matrix(RowBlocks.Rows, rows, rows));
            GraphValue? bias = biased ? g.Input(TensorLayout.Matrix(1, rows, rows)).As(total.Layout.Sizes, [0, 0, 0, 1]) : null;
            g.Output(bias is { } b ? g.Add(g.Linear(total, scale, 0), b, result) : g.Linear(total, scale, 0, result));
        });
}
