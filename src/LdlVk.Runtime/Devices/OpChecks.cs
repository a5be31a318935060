using System.Runtime.CompilerServices;

namespace LdlVk.Runtime.Devices;

/// <summary>
/// The rules of <see cref="IDevice"/>'s contract, for every backend: a backend calls the check of an op before anything else. Each check
/// looks at the device (closed?), at the operands (of this device? disposed?), at shapes and element types, and at what may share memory.
/// <para>
/// Throws <see cref="ObjectDisposedException"/> for a closed device or a disposed operand, and <see cref="ArgumentException"/> for the
/// rest. After a check, every operand is one of the backend's own classes.
/// </para>
/// </summary>
internal static class OpChecks
{
    /// <summary>Checks <see cref="ITensor.View"/>: the range is within the tensor.</summary>
    public static void View(ITensor tensor, int firstRow, int rowCount)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(firstRow);
        ArgumentOutOfRangeException.ThrowIfNegative(rowCount);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((long)firstRow + rowCount, tensor.Rows, nameof(rowCount));
    }

    /// <summary>Checks <see cref="IDevice.Linear"/>: the output overlaps neither input nor bias.</summary>
    public static void Linear(
        ICheckedDevice device, ITensor output, ITensor input, IWeight weight, ITensor? bias, Activation activation, SumFormat sums)
    {
        Own(device, "Linear", [output, input, bias]);
        Own(device, "Linear", weight, "weight");
        Product("Linear", output, input, weight);
        Bias("Linear", output, weight, bias);
        Require(Enum.IsDefined(activation), $"Linear: there is no activation {(int)activation}");
        Defined("Linear", sums);
        Apart("Linear", output, input);
    }

    /// <summary>Checks <see cref="IDevice.Int8Linear"/>: the weight has scales, and the output overlaps neither input nor bias.</summary>
    public static void Int8Linear(ICheckedDevice device, ITensor output, ITensor input, IWeight weight, ITensor? bias)
    {
        Own(device, "Int8Linear", [output, input, bias]);
        Own(device, "Int8Linear", weight, "weight");
        Product("Int8Linear", output, input, weight);
        Require(WeightLayout.HasScales(weight.Format), $"Int8Linear: the weight is {weight.Format}, not Int8 or Int4");
        Bias("Int8Linear", output, weight, bias);
        Apart("Int8Linear", output, input);
    }

    /// <summary>Checks <see cref="IDevice.GatedLinear"/>: output, scratch and input do not overlap.</summary>
    public static void GatedLinear(ICheckedDevice device, ITensor output, ITensor scratch, ITensor input, IWeight gate, IWeight up,
        GateActivation activation, SumFormat sums)
    {
        Own(device, "GatedLinear", [output, scratch, input]);
        Own(device, "GatedLinear", gate, "weight");
        Own(device, "GatedLinear", up, "weight");
        Product("GatedLinear", output, input, gate);
        Product("GatedLinear", scratch, input, up);
        Same("GatedLinear", output, scratch);
        Defined("GatedLinear", activation);
        Defined("GatedLinear", sums);
        Apart("GatedLinear", output, input);
        Apart("GatedLinear", scratch, input);
        Apart("GatedLinear", output, scratch);
    }

    /// <summary>Checks <see cref="IDevice.RmsNorm"/>: the output may be the input, and does not overlap the weight.</summary>
    public static void RmsNorm(ICheckedDevice device, ITensor output, ITensor input, ITensor weight)
    {
        Own(device, "RmsNorm", [output, input, weight]);
        Same("RmsNorm", output, input);
        Require(weight.Rows == 1 && weight.Columns == input.Columns, $"RmsNorm: the weight is not [1, {input.Columns}]");
        SameOrApart("RmsNorm", output, input);
        Apart("RmsNorm", output, weight);
    }

    /// <summary>Checks <see cref="IDevice.NormAdd"/>: the residual may be y, and does not overlap the weight.</summary>
    public static void NormAdd(ICheckedDevice device, ITensor residual, ITensor y, ITensor weight)
    {
        Own(device, "NormAdd", [residual, y, weight]);
        Same("NormAdd", residual, y);
        Require(weight.Rows == 1 && weight.Columns == y.Columns, $"NormAdd: the weight is not [1, {y.Columns}]");
        SameOrApart("NormAdd", residual, y);
        Apart("NormAdd", residual, weight);
    }

    /// <summary>Checks <see cref="IDevice.Add"/>: the residual does not overlap y.</summary>
    public static void Add(ICheckedDevice device, ITensor residual, ITensor y)
    {
        Own(device, "Add", [residual, y]);
        Same("Add", residual, y);
        Apart("Add", residual, y);
    }

    /// <summary>Checks <see cref="IDevice.AddNorm"/>: the output may be y; otherwise output and residual overlap nothing.</summary>
    public static void AddNorm(
        ICheckedDevice device, ITensor output, ITensor residual, ITensor y, ITensor? yWeight, ITensor weight)
    {
        Own(device, "AddNorm", [output, residual, y, yWeight, weight]);
        Same("AddNorm", residual, y);
        Same("AddNorm", output, y);
        SameOrApart("AddNorm", output, y);
        Apart("AddNorm", output, residual);
        Apart("AddNorm", residual, y);
        foreach (ITensor? w in (ReadOnlySpan<ITensor?>)[yWeight, weight])
        {
            if (w is null) continue;
            Require(w.Rows == 1 && w.Columns == y.Columns, $"AddNorm: a weight is not [1, {y.Columns}]");
            Apart("AddNorm", output, w);
            Apart("AddNorm", residual, w);
        }
    }

    /// <summary>Checks <see cref="IDevice.HeadNorm"/>: the heads do not overlap the weight.</summary>
    public static void HeadNorm(ICheckedDevice device, ITensor x, int heads, ITensor weight)
    {
        Own(device, "HeadNorm", [x, weight]);
        Require(weight.Rows == 1, $"HeadNorm: the weight has {weight.Rows} rows, not 1");
        Require(heads > 0 && x.Columns == (long)heads * weight.Columns,
            $"HeadNorm: {x.Columns} columns are not {heads} heads of {weight.Columns}");
        Apart("HeadNorm", x, weight);
    }

    /// <summary>Checks <see cref="IDevice.Rope"/>: every position is in the table, which does not overlap what is rotated.</summary>
    public static void Rope(ICheckedDevice device, ITensor x, int heads, IIndexList positions, ITensor table)
    {
        Own(device, "Rope", [x, table]);
        Own(device, "Rope", positions, "index list");
        var list = (IDeviceIndexList)positions;
        Require(heads > 0 && x.Columns == (long)heads * table.Columns,
            $"Rope: {x.Columns} columns are not {heads} heads of {table.Columns}");
        Require(table.Columns % 2 == 0, $"Rope: head dimension {table.Columns} is odd");
        Require(positions.Count == x.Rows, $"Rope: {positions.Count} positions for {x.Rows} rows");
        Require(list.Largest < table.Rows,
            $"Rope: the position of row {list.PlaceOfLargest} is {list.Largest}, the table ends at {table.Rows - 1}");
        Apart("Rope", x, table);
    }

    /// <summary>Checks <see cref="IDevice.Attention"/>, every segment's rows included: the output overlaps none of the inputs.</summary>
    public static void Attention(
        ICheckedDevice device, ITensor output, ITensor queries, ITensor keys, ITensor values, ISegmentList segments,
            in AttentionShape shape)
    {
        Own(device, "Attention", [output, queries, keys, values]);
        Own(device, "Attention", segments, "segment list");
        Same("Attention", output, queries);
        Same("Attention", keys, values);
        Require(shape.KeyValueHeads > 0 && shape.Heads % shape.KeyValueHeads == 0,
            $"Attention: {shape.Heads} heads do not divide over {shape.KeyValueHeads} KV heads");
        Require(queries.Columns == (long)shape.Heads * shape.HeadDimension,
            $"Attention: queries have {queries.Columns} columns, not {shape.Heads} heads of {shape.HeadDimension}");
        Require(keys.Columns == (long)shape.KeyValueHeads * shape.HeadDimension,
            $"Attention: keys have {keys.Columns} columns, not {shape.KeyValueHeads} heads of {shape.HeadDimension}");
        foreach (AttentionSegment s in segments.Segments) Segment(s, queries.Rows, keys.Rows);
        NoRowTwice(segments.Segments);
        Apart("Attention", output, queries);
        Apart("Attention", output, keys);
        Apart("Attention", output, values);
    }

    /// <summary>Checks <see cref="IDevice.GateMultiply"/>: the output may be gate or up.</summary>
    public static void GateMultiply(ICheckedDevice device, ITensor output, ITensor gate, ITensor up, GateActivation activation)
    {
        Own(device, "GateMultiply", [output, gate, up]);
        Same("GateMultiply", output, gate);
        Same("GateMultiply", output, up);
        Defined("GateMultiply", activation);
        SameOrApart("GateMultiply", output, gate);
        SameOrApart("GateMultiply", output, up);
    }

    /// <summary>Checks <see cref="IDevice.GatherRows"/>: every row number is in the input, which the output does not overlap.</summary>
    public static void GatherRows(ICheckedDevice device, ITensor output, ITensor input, IIndexList rows)
    {
        Own(device, "GatherRows", [output, input]);
        Own(device, "GatherRows", rows, "index list");
        var list = (IDeviceIndexList)rows;
        Require(output.Rows == rows.Count && output.Columns == input.Columns,
            $"GatherRows: the output is not [{rows.Count}, {input.Columns}]");
        Require(list.Largest < input.Rows,
            $"GatherRows: row number {list.PlaceOfLargest} is {list.Largest}, the input ends at row {input.Rows - 1}");
        Apart("GatherRows", output, input);
    }

    /// <summary>Checks <see cref="IDevice.LdlReadout"/> and returns (attributes, bins): the output overlaps neither input.</summary>
    public static (int Attributes, int Bins) LdlReadout(ICheckedDevice device, ITensor output, ITensor regression, ITensor gating)
    {
        Own(device, "LdlReadout", [output, regression, gating]);
        int attributes = gating.Columns, bins = regression.Columns / attributes;
        Require(bins >= 2 && bins * attributes == regression.Columns,
            $"LdlReadout: {regression.Columns} outputs do not divide over {attributes} attributes");
        Require(output.Columns == 1 + bins + attributes + (attributes * bins), $"LdlReadout: the output has {output.Columns} columns");
        Require(output.Rows == regression.Rows && gating.Rows == regression.Rows,
            $"LdlReadout: {output.Rows}, {regression.Rows} and {gating.Rows} rows differ");
        Apart("LdlReadout", output, regression);
        Apart("LdlReadout", output, gating);
        return (attributes, bins);
    }

    /// <summary>Checks <see cref="IDevice.Fill"/>: the source has the weight's format and shape.</summary>
    public static void Fill(ICheckedDevice device, IWeight weight, IWeightSource source)
    {
        Require(
            (weight.Format, weight.OutputFeatures, weight.InputFeatures) == (source.Format, source.OutputFeatures, source.InputFeatures),
            $"Fill: {source.Name} is [{source.OutputFeatures}, {source.InputFeatures}] in {source.Format}, "
            + $"the weight [{weight.OutputFeatures}, {weight.InputFeatures}] in {weight.Format}");
        Own(device, "Fill", weight, "weight");
    }

    /// <summary>Checks <see cref="IDevice.Write"/> and returns the number of rows.</summary>
    public static int Write(ICheckedDevice device, ITensor destination, int firstRow, int length)
    {
        Own(device, "Write", [destination]);
        int rows = length / destination.Columns;
        Require(rows * destination.Columns == length && firstRow >= 0 && (long)firstRow + rows <= destination.Rows,
            $"Write: {length} values from row {firstRow} do not fit [{destination.Rows}, {destination.Columns}]");
        return rows;
    }

    /// <summary>Checks <see cref="IDevice.Read"/>.</summary>
    public static void Read(ICheckedDevice device, ITensor source, int length)
    {
        Own(device, "Read", [source]);
        ReadLength(source.Rows, source.Columns, length);
    }

    /// <summary>Checks <see cref="IDevice.BeginRead"/>.</summary>
    public static void BeginRead(ICheckedDevice device, ITensor source) => Own(device, "BeginRead", [source]);

    /// <summary>Checks <see cref="IDevice.Save"/>.</summary>
    public static void Save(ICheckedDevice device, ITensor source) => Own(device, "Save", [source]);

    /// <summary>Checks <see cref="IDevice.Restore"/>.</summary>
    public static void Restore(ICheckedDevice device, IHostTensor source) => Own(device, "Restore", source, "saved tensor");

    /// <summary>Checks <see cref="IReadback.Finish"/>.</summary>
    public static void ReadLength(int rows, int columns, int length) =>
        Require(length == (long)rows * columns, $"Read: destination of {length} for [{rows}, {columns}]");

    private static void Product(string op, ITensor output, ITensor input, IWeight weight)
    {
        Require(input.Columns == weight.InputFeatures,
            $"{op}: input has {input.Columns} columns, the weight {weight.InputFeatures} input features");
        Require(output.Columns == weight.OutputFeatures,
            $"{op}: output has {output.Columns} columns, the weight {weight.OutputFeatures} output features");
        Require(output.Rows == input.Rows, $"{op}: output has {output.Rows} rows, input {input.Rows}");
    }

    private static void Bias(string op, ITensor output, IWeight weight, ITensor? bias)
    {
        if (bias is null) return;
        Require(bias.Rows == 1 && bias.Columns == weight.OutputFeatures, $"{op}: the bias is not [1, {weight.OutputFeatures}]");
        Apart(op, output, bias);
    }

    private static void Segment(AttentionSegment s, int queryRows, int keyRows)
    {
        Require((long)s.QueryPosition + s.QueryCount <= int.MaxValue, $"Attention: positions of {s} pass {int.MaxValue}");
        int own = s.KeyCount - s.PrefixLength;
        Require(s.QueryCount > 0 && s.QueryRow >= 0 && (long)s.QueryRow + s.QueryCount <= queryRows,
            $"Attention: query rows of {s} leave the tensor of {queryRows} rows");
        Require(
            s.QueryPosition >= 0 && s.PrefixLength >= 0 && (
                s.PrefixLength == 0 || (s.PrefixRow >= 0 && (long)s.PrefixRow + Math.Min(s.PrefixLength, s.KeyCount) <= keyRows)),
            $"Attention: prefix rows of {s} leave the tensor of {keyRows} rows");
        Require(own <= 0 || (s.OwnRow >= 0 && (long)s.OwnRow + own <= keyRows),
            $"Attention: own rows of {s} leave the tensor of {keyRows} rows");
    }

    /// <summary>No query row belongs to two segments.</summary>
    private static void NoRowTwice(IReadOnlyList<AttentionSegment> segments)
    {
        bool ascending = true;
        for (int i = 1; i < segments.Count && ascending; i++) ascending = segments[i - 1].QueryRow
            + segments[i - 1].QueryCount <= segments[i].QueryRow;
        if (ascending) return;
        AttentionSegment[] sorted = [.. segments.OrderBy(s => s.QueryRow)];
        for (int i = 1; i < sorted.Length; i++)
            Require(sorted[i - 1].QueryRow + sorted[i - 1].QueryCount <= sorted[i].QueryRow,
                $"Attention: query row {sorted[i].QueryRow} belongs to two segments, {sorted[i - 1]} and {sorted[i]}");
    }

    private static void Own(ICheckedDevice device, string op, ReadOnlySpan<ITensor?> tensors)
    {
        foreach (ITensor? tensor in tensors)
            if (tensor is not null) Own(device, op, tensor, "tensor");
    }

    private static void Own(ICheckedDevice device, string op, object operand, string what)
    {
        ObjectDisposedException.ThrowIf(device.IsDisposed, device);
        if (operand is not IDeviceObject own || own.Device != device) throw new ArgumentException(
            $"{op}: the {what} belongs to another device.");
        if (own.IsDisposed) throw new ObjectDisposedException(what);
    }

    private static void Same(string op, ITensor a, ITensor b) =>
        Require(a.Rows == b.Rows && a.Columns == b.Columns, $"{op}: shapes [{a.Rows}, {a.Columns}] and [{b.Rows}, {b.Columns}] differ");

    private static void Defined(string op, GateActivation activation) =>
        Require(Enum.IsDefined(activation), $"{op}: there is no activation {(int)activation}");

    private static void Defined(string op, SumFormat sums) =>
        Require(Enum.IsDefined(sums), $"{op}: there is no format {(int)sums} of sums");

    /// <summary>An output that may not overlap an input.</summary>
    private static void Apart(string op, ITensor output, ITensor input) =>
        Require(!Place(output).Overlaps(Place(input)), $"{op}: output and input share memory");

    /// <summary>An output that may be an input, and may not overlap it otherwise.</summary>
    private static void SameOrApart(string op, ITensor output, ITensor input) =>
        Require(Place(output).IsSame(Place(input)) || !Place(output).Overlaps(Place(input)),
            $"{op}: output and input overlap without being the same");

    private static TensorPlace Place(ITensor tensor) => ((IDeviceTensor)tensor).Place;

    private static void Require(bool condition, [InterpolatedStringHandlerArgument(nameof(condition))] CheckMessage message)
    {
        if (!condition) throw new ArgumentException(message.ToString());
    }
}
