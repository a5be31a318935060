namespace LdlVk.Benchmarking;

/// <summary>A table of individually measured ops, in plain text with aligned columns.</summary>
public static class OpTable
{
    /// <summary>Returns the header line.</summary>
    public static string Heading => $"{Begin("op", "rows × outputs × inputs")} {"time",9} {"rate",13} {"traffic",10}";

    /// <summary>Returns the line of an op.</summary>
    public static string Line(OpRow row)
    {
        string rate = row.Operations > 0 && row.Seconds > 0 ? Rates.Operations(row.Operations / row.Seconds) : "";
        return $"{Begin(row.Name, row.Shape)} {Rates.Seconds(row.Seconds),9} {rate,13} {Rates.Bytes(row.Bytes / row.Seconds),10}";
    }

    /// <summary>Returns the line of an op that was not measured.</summary>
    public static string Line(SkippedOp op) => $"{Begin(op.Name, op.Shape)} {op.Reason}";

    private static string Begin(string name, string shape) => $"  {name,-42} {shape,-24}";
}
