namespace LdlVk.Evaluation.Benchmarks;

/// <summary>Collects the sub-scores of chosen and rejected responses, attribute by attribute.</summary>
public sealed class AttributeScores
{
    /// <summary>Number of bins of a distribution of sub-scores, from 0 to 1.</summary>
    public const int Bins = 25;

    private AttributeSummary[] _attributes = [];

    /// <summary>The attributes; empty before the first line.</summary>
    public IReadOnlyList<AttributeSummary> Attributes => _attributes;

    /// <summary>Adds the rewards of a line.</summary>
    /// <param name="rewards">The rewards of its responses, the chosen ones first.</param>
    /// <param name="chosen">The number of chosen responses.</param>
    public void Add(IReadOnlyList<Reward> rewards, int chosen)
    {
        if (_attributes.Length == 0) _attributes = [.. Enumerable.Range(0, rewards[0].Attributes).Select(_ => new AttributeSummary())];
        float[] scores = new float[rewards.Count];
        for (int a = 0; a < _attributes.Length; a++)
        {
            for (int i = 0; i < scores.Length; i++) scores[i] = rewards[i].AttributeScore(a);
            _attributes[a].Add(scores, chosen);
            foreach (Reward reward in rewards) _attributes[a].AddWeight(reward.Weights[a]);
        }
    }
}
