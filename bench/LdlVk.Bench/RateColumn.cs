using System.Globalization;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;

namespace LdlVk.Bench;

/// <summary>A column of work per time, from a benchmark's mean.</summary>
/// <param name="name">The column's heading.</param>
/// <param name="legend">What the figure means.</param>
/// <param name="perNanosecond">Units of work of one call; the column shows them per nanosecond.</param>
internal sealed class RateColumn(string name, string legend, double perNanosecond) : IColumn
{
    public string Id => name;
    public string ColumnName => name;
    public string Legend => legend;
    public bool AlwaysShow => true;
    public bool IsNumeric => true;
    public ColumnCategory Category => ColumnCategory.Custom;
    public int PriorityInCategory => 0;
    public UnitType UnitType => UnitType.Dimensionless;
    public bool IsAvailable(Summary summary) => true;
    public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;
    public string GetValue(Summary summary, BenchmarkCase benchmarkCase) => GetValue(summary, benchmarkCase, summary.Style);

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style) =>
        summary[benchmarkCase]?.ResultStatistics is { } times
            ? (perNanosecond / times.Mean).ToString("F1", CultureInfo.InvariantCulture)
            : "?";
}
