namespace LdlVk.Benchmarking;

/// <summary>A table of individually measured ops, in plain text with aligned columns.</summary>
public static class OpTable
{
    /// <summary>Returns the header line.</summary>
    public static string Heading => $"  {"op",-42} {"rows × outputs × inputs",-24} {"time",9} {"rate",13} {"traffic",10}";

    /// <summary>Returns the line of an op.</summary>
    public static string Line(OpRow row)
    {
        string rate = row.Operations > 0 && row.Seconds > 0 ? Rates.Operations(row.Operations / row.Seconds) : "";
        return $"  {row.Name,-42} {row.Shape,-24} {Rates.Seconds(row.Seconds),9} {rate,13} {Rates.Bytes(row.Bytes / row.Seconds),10}";
    }

    /// <summary>Returns the line of an op that was not measured.</summary>
    public static string Line(SkippedOp op) => $"  {op.Name,-42} {op.Shape,-24} {op.Reason}";
}
