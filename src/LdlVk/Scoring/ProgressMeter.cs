using System.Diagnostics;
using LdlVk.Runtime.Batching;

namespace LdlVk.Scoring;

/// <summary>Counts what has been scored since it was made, and reports it after each micro-batch.</summary>
internal sealed class ProgressMeter(IProgress<ScoreProgress>? progress)
{
    private readonly Stopwatch _watch = Stopwatch.StartNew();
    private long _texts, _tokens, _computed;

    public void Add(MicroBatch batch)
    {
        _texts += batch.Texts.Length;
        _tokens += batch.TokenCounts.Sum(count => (long)count);
        _computed += batch.Rows;
        progress?.Report(new ScoreProgress(_texts, _tokens, _computed, _watch.Elapsed));
    }
}
