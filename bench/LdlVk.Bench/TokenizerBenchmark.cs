using System.Globalization;
using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using LdlVk.Runtime.Text;
using LdlVk.Testing;

namespace LdlVk.Bench;

/// <summary>
/// Encodes 1 MB of prose on one thread with Gemma-2's own tokenizer (fetched by eng/fetch-tokenizer). Target: 5 MB/s, from the
/// first text on. Cold: a tokenizer just loaded, nothing cached. Warm: the same text again. Uncached: no word cache at all,
/// what text that never repeats a word would see.
/// </summary>
[Config(typeof(Throughput))]
public class TokenizerBenchmark
{
    private string path = "", prose = "";
    private Tokenizer cold = null!, warm = null!, uncached = null!;

    [GlobalSetup]
    public void Setup()
    {
        path = Gemma2Tokenizer.File.Path ?? throw new FileNotFoundException(Gemma2Tokenizer.File.WhyNot);
        prose = Prose.Megabyte();
        warm = Tokenizer.Load(path);
        warm.Encode(prose);
        uncached = Tokenizer.Load(path, cacheWords: false);
    }

    [IterationSetup(Target = nameof(Cold))]
    public void Forget() => cold = Tokenizer.Load(path);

    [Benchmark]
    public int[] Cold() => cold.Encode(prose);

    [Benchmark]
    public int[] Warm() => warm.Encode(prose);

    [Benchmark]
    public int[] Uncached() => uncached.Encode(prose);

    private sealed class Throughput : ManualConfig
    {
        public Throughput() => AddColumn(new MegabytesPerSecond());
    }

    private sealed class MegabytesPerSecond : IColumn
    {
        public string Id => nameof(MegabytesPerSecond);
        public string ColumnName => "MB/s";
        public string Legend => "10^6 bytes of UTF-8 a second, from the mean";
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
                ? (Prose.Bytes * 1e3 / times.Mean).ToString("F1", CultureInfo.InvariantCulture) // bytes per ns × 1000
                : "?";
    }
}
