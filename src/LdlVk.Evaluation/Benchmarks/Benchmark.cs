namespace LdlVk.Evaluation.Benchmarks;

/// <summary>Whose rules a data set is scored by.</summary>
public enum Benchmark
{
    /// <summary>Pairs of any origin: the share that is right.</summary>
    Pairs,

    /// <summary>RewardBench v1: sections, weighted by the published numbers of examples.</summary>
    RewardBench1,

    /// <summary>RewardBench 2: best of several responses, and the Ties subset.</summary>
    RewardBench2,
}
