namespace LdlVk.Evaluation.Benchmarks;

/// <summary>The benchmark whose rules apply to a dataset.</summary>
public enum Benchmark
{
    /// <summary>Other pairs; the score is the share of correct pairs.</summary>
    Pairs,

    /// <summary>RewardBench v1: sections, weighted by the published numbers of examples.</summary>
    RewardBench1,

    /// <summary>RewardBench 2: best of several responses, and the Ties subset.</summary>
    RewardBench2,

    /// <summary>RM-Bench: three styles against three styles.</summary>
    RmBench,

    /// <summary>A correctness set of Preference Proxy Evaluations (PPE): its sampled pairs of a right and a wrong response.</summary>
    PpeCorrectness,
}
