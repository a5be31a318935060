using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Configs;
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
        path = FetchedTokenizer.Gemma2.File.Path ?? throw new FileNotFoundException(FetchedTokenizer.Gemma2.File.WhyNot);
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
        public Throughput() => AddColumn(new RateColumn("MB/s", "10^6 bytes of UTF-8 a second, from the mean", 1e3 * Prose.Bytes));
    }
}
