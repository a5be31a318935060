namespace LdlVk.Benchmarking;

/// <summary>Lines of a table of ops that were measured one by one, in plain text with aligned columns.</summary>
public static class OpTable
{
    /// <summary>The line with the columns' names.</summary>
    public static string Heading => $"  {"op",-36} {"rows × outputs × inputs",-24} {"time",9} {"rate",13} {"traffic",10}";

    /// <summary>The line of an op.</summary>
    public static string Line(OpRow row)
    {
        string rate = row.Operations > 0 && row.Seconds > 0 ? Rates.Operations(row.Operations / row.Seconds) : "";
        return $"  {row.Name,-36} {row.Shape,-24} {Rates.Seconds(row.Seconds),9} {rate,13} {Rates.Bytes(row.Bytes / row.Seconds),10}";
    }

    /// <summary>The line of an op that was not measured.</summary>
    public static string Line(SkippedOp op) => $"  {op.Name,-36} {op.Shape,-24} {op.Reason}";
}
