using LdlVk.DirectML.Graphs;
using LdlVk.DirectML.Memory;

namespace LdlVk.DirectML.Ops;

/// <summary>
/// A block's operands. An operand that does not reach over a whole block, or that is read and written, is in scratch memory.
/// </summary>
/// <param name="Inputs">The inputs' rows, whole blocks.</param>
/// <param name="Output">Where the graph writes.</param>
/// <param name="CopyTo">The output tensor's rows, if <paramref name="Output"/> is scratch memory.</param>
internal readonly record struct RowBlock(Region[] Inputs, Region Output, Region? CopyTo);

/// <summary>
/// Runs ops on blocks of <see cref="Rows"/> rows. Shapes are fixed when a graph is compiled, and DirectML may take another kernel, with
/// another order of sums, for another number of rows: in blocks of one size a row's bits cannot depend on how many rows there are, and
/// neither does the number of graphs. The rows after the last whole block run as a block too, whose other rows are discarded; that wastes
/// less than
/// <see cref="Rows"/> rows a call.
/// </summary>
internal static class RowBlocks
{
    /// <summary>Rows of a block.</summary>
    public const int Rows = 64;

    /// <summary>Prepares the block that begins at a row.</summary>
    public static RowBlock Begin(OpContext context, IDirectMLTensor output, IDirectMLTensor[] inputs, int first)
    {
        int count = Math.Min(Rows, output.Rows - first);
        Region[] regions = new Region[inputs.Length];
        for (int i = 0; i < inputs.Length; i++)
        {
            Region rows = inputs[i].RegionOf(first, Rows);
            if (rows.Offset + rows.Bytes > rows.Buffer.Bytes)
            {
                Region copy = context.Temporary(Scratch.FirstInput + i, rows.Bytes), some = inputs[i].RegionOf(first, count);
                context.Copy(copy with { Bytes = some.Bytes }, some);
                rows = copy;
            }
            regions[i] = rows;
        }
        Region target = output.RegionOf(first, count);
        if (count == Rows && !inputs.Any(output.Overlaps)) return new RowBlock(regions, target, null);
        return new RowBlock(regions, Output(context, output), target);
    }

    /// <summary>
    /// Scratch memory for a block of a tensor, from which whole rows are copied. What lies beside the columns is zero, as in every tensor:
    /// <see cref="Int8LinearOp"/> measures whole groups of 32. All published models have columns in multiples of 32, and none of it.
    /// </summary>
    public static Region Output(OpContext context, IDirectMLTensor tensor)
    {
        Region block = context.Temporary(Scratch.Output, (ulong)Rows * (ulong)tensor.Stride * sizeof(float));
        if (tensor.Columns < tensor.Stride) context.Clear(block);
        return block;
    }

    /// <summary>Brings a block's result to the output tensor.</summary>
    public static void End(OpContext context, in RowBlock block)
    {
        if (block.CopyTo is { } target) context.CopyRows(target, block.Output);
    }

    /// <summary>
    /// Runs a graph over all rows, a block at a time. Its inputs are the tensors' rows, then the block's part of the indices, if any, then
    /// the constants.
    /// </summary>
    public static void Run(
        OpContext context, CompiledGraph graph, IDirectMLTensor output, IDirectMLTensor[] inputs, DirectMLIndices? indices = null,
        params ReadOnlySpan<Region> constants)
    {
        for (int first = 0; first < output.Rows; first += Rows)
        {
            RowBlock block = Begin(context, output, inputs, first);
            List<Region> operands = [.. block.Inputs];
            if (indices is not null) operands.Add(indices.Buffer.All.From((ulong)first * sizeof(int)));
            foreach (Region constant in constants) operands.Add(constant);
            context.Dispatch(graph, [.. operands], [block.Output]);
            End(context, block);
        }
    }
}
