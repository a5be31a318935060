namespace LdlVk.Runtime.Devices;

/// <summary>The shape checks of the op set, the same for every backend.</summary>
public static class OpChecks
{
    /// <summary>Checks <see cref="IDevice.Linear"/>.</summary>
    public static void Linear(ITensor output, ITensor input, IWeight weight, ITensor? bias)
    {
        Require(input.Columns == weight.InputFeatures, $"Linear: input has {input.Columns} columns, the weight {weight.InputFeatures} input features");
        Require(output.Columns == weight.OutputFeatures, $"Linear: output has {output.Columns} columns, the weight {weight.OutputFeatures} output features");
        Require(output.Rows == input.Rows, $"Linear: output has {output.Rows} rows, input {input.Rows}");
        Require(bias is null || (bias.Rows == 1 && bias.Columns == weight.OutputFeatures), "Linear: bias is not [1, output features]");
    }

    /// <summary>Checks <see cref="IDevice.Int8Linear"/>.</summary>
    public static void Int8Linear(ITensor output, ITensor input, IWeight weight)
    {
        Linear(output, input, weight, null);
        Require(WeightLayout.HasScales(weight.Format), $"Int8Linear: the weight is {weight.Format}, not Int8 or Int4");
    }

    /// <summary>Checks <see cref="IDevice.GatedLinear"/>.</summary>
    public static void GatedLinear(ITensor output, ITensor scratch, ITensor input, IWeight gate, IWeight up)
    {
        Linear(output, input, gate, null);
        Linear(scratch, input, up, null);
        Same("GatedLinear", output, scratch);
    }

    /// <summary>Checks <see cref="IDevice.RmsNorm"/> and <see cref="IDevice.NormAdd"/>.</summary>
    public static void Norm(string op, ITensor output, ITensor input, ITensor weight)
    {
        Same(op, output, input);
        Require(weight.Rows == 1 && weight.Columns == input.Columns, $"{op}: weight is not [1, {input.Columns}]");
    }

    /// <summary>Checks <see cref="IDevice.Add"/>.</summary>
    public static void Add(ITensor residual, ITensor y) => Same("Add", residual, y);

    /// <summary>Checks <see cref="IDevice.Rope"/>.</summary>
    public static void Rope(ITensor x, int heads, IIndexList positions, ITensor table)
    {
        Require(heads > 0 && x.Columns == (long)heads * table.Columns, $"Rope: {x.Columns} columns are not {heads} heads of {table.Columns}");
        Require(table.Columns % 2 == 0, $"Rope: head dimension {table.Columns} is odd");
        Require(positions.Count == x.Rows, $"Rope: {positions.Count} positions for {x.Rows} rows");
    }

    /// <summary>Checks <see cref="IDevice.Attention"/>, every segment's rows included.</summary>
    public static void Attention(
        ITensor output, ITensor queries, ITensor keys, ITensor values, ISegmentList segments, in AttentionShape shape)
    {
        Same("Attention", output, queries);
        Same("Attention", keys, values);
        Require(shape.KeyValueHeads > 0 && shape.Heads % shape.KeyValueHeads == 0, $"Attention: {shape.Heads} heads do not divide over {shape.KeyValueHeads} KV heads");
        Require(queries.Columns == (long)shape.Heads * shape.HeadDimension, $"Attention: queries have {queries.Columns} columns");
        Require(keys.Columns == (long)shape.KeyValueHeads * shape.HeadDimension, $"Attention: keys have {keys.Columns} columns");
        foreach (AttentionSegment s in segments.Segments)
        {
            Require((long)s.QueryPosition + s.QueryCount <= int.MaxValue, $"Attention: positions of {s} pass {int.MaxValue}");
            int own = s.KeyCount - s.PrefixLength;
            Require(s.QueryCount > 0 && s.QueryRow >= 0 && (long)s.QueryRow + s.QueryCount <= queries.Rows, $"Attention: query rows of {s} leave the tensor of {queries.Rows} rows");
            Require(s.QueryPosition >= 0 && s.PrefixLength >= 0 && (s.PrefixLength == 0 || (s.PrefixRow >= 0 && (long)s.PrefixRow + Math.Min(s.PrefixLength, s.KeyCount) <= keys.Rows)), $"Attention: prefix rows of {s} leave the tensor of {keys.Rows} rows");
            Require(own <= 0 || (s.OwnRow >= 0 && (long)s.OwnRow + own <= keys.Rows), $"Attention: own rows of {s} leave the tensor of {keys.Rows} rows");
        }
    }

    /// <summary>Checks <see cref="IDevice.GateMultiply"/>.</summary>
    public static void GateMultiply(ITensor output, ITensor gate, ITensor up)
    {
        Same("GateMultiply", output, gate);
        Same("GateMultiply", output, up);
    }

    /// <summary>Checks <see cref="IDevice.GatherRows"/>; that the row numbers are in range is the caller's promise.</summary>
    public static void GatherRows(ITensor output, ITensor input, IIndexList rows)
    {
        Require(output.Rows == rows.Count && output.Columns == input.Columns, $"GatherRows: output is not [{rows.Count}, {input.Columns}]");
    }

    /// <summary>Checks <see cref="IDevice.LdlReadout"/> and returns (attributes, bins).</summary>
    public static (int Attributes, int Bins) LdlReadout(ITensor output, ITensor regression, ITensor gating)
    {
        int attributes = gating.Columns, bins = regression.Columns / attributes;
        Require(bins >= 2 && bins * attributes == regression.Columns, $"LdlReadout: {regression.Columns} outputs do not divide over {attributes} attributes");
        Require(output.Columns == 1 + bins + attributes + (attributes * bins), $"LdlReadout: output has {output.Columns} columns");
        Require(output.Rows == regression.Rows && gating.Rows == regression.Rows, "LdlReadout: row counts differ");
        return (attributes, bins);
    }

    /// <summary>Checks <see cref="IDevice.Fill"/>.</summary>
    public static void Fill(IWeight weight, IWeightSource source) => Require(
        (weight.Format, weight.OutputFeatures, weight.InputFeatures) == (source.Format, source.OutputFeatures, source.InputFeatures),
        $"Fill: {source.Name} is [{source.OutputFeatures}, {source.InputFeatures}] in {source.Format}, the weight [{weight.OutputFeatures}, {weight.InputFeatures}] in {weight.Format}");

    /// <summary>Checks <see cref="IDevice.Write"/>.</summary>
    public static int WriteRows(ITensor destination, int firstRow, int length)
    {
        int rows = length / destination.Columns;
        Require(rows * destination.Columns == length && firstRow >= 0 && (long)firstRow + rows <= destination.Rows, $"Write: {length} values from row {firstRow} do not fit [{destination.Rows}, {destination.Columns}]");
        return rows;
    }

    /// <summary>Checks <see cref="IDevice.Read"/>.</summary>
    public static void Read(ITensor source, int length) =>
        Require(length == (long)source.Rows * source.Columns, $"Read: destination of {length} for [{source.Rows}, {source.Columns}]");

    private static void Same(string op, ITensor a, ITensor b) =>
        Require(a.Rows == b.Rows && a.Columns == b.Columns, $"{op}: shapes [{a.Rows}, {a.Columns}] and [{b.Rows}, {b.Columns}] differ");

    private static void Require(bool condition, string message)
    {
        if (!condition) throw new ArgumentException(message);
    }
}
