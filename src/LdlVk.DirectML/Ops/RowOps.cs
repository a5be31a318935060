using System.Globalization;
using LdlVk.DirectML.Interop;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML;

/// <content>The ops that take each row by itself.</content>
internal sealed partial class DirectMLDevice
{
    /// <inheritdoc/>
    public void RmsNorm(ITensor output, ITensor input, ITensor weight, float epsilon)
    {
        OpChecks.Norm("RmsNorm", output, input, weight);
        Norm(Own(output), Own(input), Own(weight), epsilon, add: false);
    }

    /// <inheritdoc/>
    public void NormAdd(ITensor residual, ITensor y, ITensor weight, float epsilon)
    {
        OpChecks.Norm("NormAdd", residual, y, weight);
        Norm(Own(residual), Own(y), Own(weight), epsilon, add: true);
    }

    /// <inheritdoc/>
    public void Add(ITensor residual, ITensor y)
    {
        OpChecks.Add(residual, y);
        Apart("Add", residual, y);
        IDirectMLTensor target = Own(residual);
        CompiledGraph graph = Graph(Key("Add", target.Columns), g =>
        {
            TensorLayout rows = TensorLayout.Matrix(BlockRows, target.Columns, target.Stride);
            g.Output(g.Add(g.Input(rows), g.Input(rows), rows));
        });
        RunRows(graph, target, [target, Own(y)]);
    }

    /// <inheritdoc/>
    public void Rope(ITensor x, int heads, IIndexList positions, ITensor table)
    {
        OpChecks.Rope(x, heads, positions, table);
        (IDirectMLTensor target, IDirectMLTensor angles, DirectMLIndices rows) = (Own(x), Own(table), Own(positions));
        if (rows.Largest >= angles.Rows) throw new ArgumentException($"Rope: position {rows.Largest} is beyond the table of {angles.Rows}.");
        uint dimension = (uint)angles.Columns, half = dimension / 2, stride = (uint)target.Stride, count = (uint)heads;
        CompiledGraph graph = Graph(Key("Rope", heads, dimension, angles.Rows), g =>
        {
            GraphValue values = g.Input(TensorLayout.Matrix(BlockRows, target.Columns, target.Stride));
            GraphValue numbers = g.Input(new TensorLayout(DataType.UInt32, 1, 1, 1, BlockRows));
            GraphValue all = g.Input(TensorLayout.Matrix(angles.Rows, angles.Columns, angles.Stride));
            GraphValue picked = g.Gather(all, numbers, 2, TensorLayout.Matrix(BlockRows, angles.Columns, angles.Columns));
            uint[] halves = [1, BlockRows, count, half], everyHead = [0, half, 0, 1];
            GraphValue cos = g.Slice(picked, 0, half).As(halves, everyHead), sin = g.Slice(picked, half, half).As(halves, everyHead);
            GraphValue byHead = values.As([1, BlockRows, count, dimension], [0, stride, dimension, 1]);
            GraphValue low = g.Slice(byHead, 0, half), high = g.Slice(byHead, half, half);
            GraphValue turnedLow = g.Add(g.Multiply(low, cos), g.Linear(g.Multiply(high, sin), -1, 0));
            GraphValue turnedHigh = g.Add(g.Multiply(high, cos), g.Multiply(low, sin));
            g.Output(g.Join(byHead.Layout, turnedLow, turnedHigh));
        });
        RunRows(graph, target, [target], rows, angles.RegionOf(0, angles.Rows));
    }

    /// <inheritdoc/>
    public void GatedLinear(ITensor output, ITensor scratch, ITensor input, IWeight gate, IWeight up, GateActivation activation)
    {
        OpChecks.GatedLinear(output, scratch, input, gate, up);
        Linear(output, input, gate);
        Linear(scratch, input, up);
        GateMultiply(output, output, scratch, activation);
    }

    /// <inheritdoc/>
    public void GateMultiply(ITensor output, ITensor gate, ITensor up, GateActivation activation)
    {
        OpChecks.GateMultiply(output, gate, up);
        IDirectMLTensor target = Own(output);
        CompiledGraph graph = Graph(Key("GateMultiply", target.Columns, activation), g =>
        {
            TensorLayout rows = TensorLayout.Matrix(BlockRows, target.Columns, target.Stride);
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
        RunRows(graph, target, [Own(gate), Own(up)]);
    }

    /// <inheritdoc/>
    public void GatherRows(ITensor output, ITensor input, IIndexList rows)
    {
        OpChecks.GatherRows(output, input, rows);
        Apart("GatherRows", output, input);
        (IDirectMLTensor target, IDirectMLTensor source, DirectMLIndices list) = (Own(output), Own(input), Own(rows));
        if (list.Largest >= source.Rows) throw new ArgumentException($"GatherRows: row {list.Largest} is beyond the {source.Rows} of the input.");
        ReadOnlySpan<int> numbers = list.Values;
        for (int first = 0, count; first < numbers.Length; first += count)
        {
            // Rows that follow one another are one copy.
            for (count = 1; first + count < numbers.Length && numbers[first + count] == numbers[first] + count;) count++;
            _stream.Copy(target.RegionOf(first, count), source.RegionOf(numbers[first], count));
        }
    }

    /// <inheritdoc/>
    public void LdlReadout(ITensor output, ITensor regression, ITensor gating, float gateTemperature)
    {
        (int attributes, int bins) = OpChecks.LdlReadout(output, regression, gating);
        Apart("LdlReadout", output, regression);
        Apart("LdlReadout", output, gating);
        (IDirectMLTensor target, IDirectMLTensor logits, IDirectMLTensor gates) = (Own(output), Own(regression), Own(gating));
        CompiledGraph graph = Graph(Key("LdlReadout", attributes, bins, gateTemperature), g =>
        {
            uint a = (uint)attributes, b = (uint)bins;
            GraphValue scores = g.Input(TensorLayout.Matrix(BlockRows, logits.Columns, logits.Stride));
            GraphValue gate = g.Input(TensorLayout.Matrix(BlockRows, gates.Columns, gates.Stride));
            GraphValue levels = g.Input(TensorLayout.Matrix(bins, 1, 1));
            GraphValue rewards = g.Softmax(scores.As([1, BlockRows, a, b], [0, (uint)logits.Stride, b, 1]));
            GraphValue weights = gateTemperature > 0 ? g.Softmax(g.Linear(gate, 1 / gateTemperature, 0)) : g.Linear(gate, 1, 0);
            GraphValue distribution = g.Gemm(weights.As([1, BlockRows, 1, a], [0, a, a, 1]), rewards, new TensorLayout(DataType.Float32, 1, BlockRows, 1, b), transposeB: false);
            GraphValue spread = distribution.As([1, 1, BlockRows, b], [0, 0, b, 1]);
            GraphValue score = g.Gemm(spread, levels, TensorLayout.Matrix(BlockRows, 1, 1), transposeB: false);
            g.Output(g.Join(TensorLayout.Matrix(BlockRows, target.Columns, target.Stride), score, spread, weights, rewards.As([1, 1, BlockRows, a * b], [0, 0, a * b, 1])));
        });
        RunRows(graph, target, [logits, gates], null, Constant(Key("levels", bins), () => Enumerable.Range(0, bins).Select(i => (float)((double)i / (bins - 1))).ToArray()));
    }

    /// <summary>RMSNorm of y, and where <paramref name="add"/>, plus what the output holds.</summary>
    private void Norm(IDirectMLTensor output, IDirectMLTensor y, IDirectMLTensor weight, float epsilon, bool add)
    {
        CompiledGraph graph = Graph(Key(add ? "NormAdd" : "RmsNorm", y.Columns, epsilon), g =>
        {
            uint columns = (uint)y.Columns;
            uint[] sizes = [1, 1, BlockRows, columns];
            TensorLayout rows = TensorLayout.Matrix(BlockRows, y.Columns, y.Stride);
            GraphValue x = g.Input(rows);
            GraphValue? residual = add ? g.Input(rows) : null;
            GraphValue w = g.Input(TensorLayout.Matrix(1, y.Columns, y.Stride));
            GraphValue root = g.Unary(OperatorType.Sqrt, g.Reduce(ReduceFunction.SumSquare, x), 1f / columns, epsilon);
            GraphValue normed = g.Multiply(x, g.Unary(OperatorType.Recip, root).As(sizes, [0, 0, 1, 0]));
            GraphValue factors = w.As(sizes, [0, 0, 0, 1]);
            g.Output(residual is { } r ? g.Add(g.Multiply(normed, factors), r, rows) : g.Multiply(normed, factors, rows));
        });
        RunRows(graph, output, add ? [y, output] : [y], null, weight.RegionOf(0, 1));
    }

    /// <summary>
    /// Runs a graph over all rows, a block at a time. Its inputs are the tensors' rows, then the block's part of the indices, if any, then
    /// the constants.
    /// </summary>
    private void RunRows(CompiledGraph graph, IDirectMLTensor output, IDirectMLTensor[] inputs, DirectMLIndices? indices = null, params ReadOnlySpan<Region> constants)
    {
        for (int first = 0; first < output.Rows; first += BlockRows)
        {
            RowBlock block = Begin(output, inputs, first);
            List<Region> operands = [.. block.Inputs];
            if (indices is not null) operands.Add(indices.Buffer.All.From((ulong)first * sizeof(int)));
            foreach (Region constant in constants) operands.Add(constant);
            _stream.Dispatch(graph, [.. operands], [block.Output]);
            End(block);
        }
    }

    /// <summary>A block's operands; what does not reach over a whole block, or may not be written while it is read, is in scratch memory.</summary>
    private readonly record struct RowBlock(Region[] Inputs, Region Output, Region? CopyTo);

    private RowBlock Begin(IDirectMLTensor output, IDirectMLTensor[] inputs, int first)
    {
        int count = Math.Min(BlockRows, output.Rows - first);
        Region[] regions = new Region[inputs.Length];
        for (int i = 0; i < inputs.Length; i++)
        {
            Region rows = inputs[i].RegionOf(first, BlockRows);
            if (rows.Offset + rows.Bytes > rows.Buffer.Bytes)
            {
                Region copy = Temporary(Scratch.FirstInput + i, rows.Bytes), some = inputs[i].RegionOf(first, count);
                _stream.Copy(copy with { Bytes = some.Bytes }, some);
                rows = copy;
            }
            regions[i] = rows;
        }
        Region target = output.RegionOf(first, count);
        if (count == BlockRows && !inputs.Any(output.Overlaps)) return new RowBlock(regions, target, null);
        return new RowBlock(regions, Temporary(Scratch.Output, (ulong)BlockRows * (ulong)output.Stride * sizeof(float)), target);
    }

    private void End(in RowBlock block)
    {
        if (block.CopyTo is { } target) CopyRows(target, block.Output);
    }

    private void CopyRows(Region target, Region source) => _stream.Copy(target, source with { Bytes = target.Bytes });

    private static string Key(string op, params ReadOnlySpan<object> parts)
    {
        System.Text.StringBuilder key = new(op);
        foreach (object part in parts) key.Append(' ').Append(Convert.ToString(part, CultureInfo.InvariantCulture));
        return key.ToString();
    }
}
