namespace LdlVk.Evaluation.Benchmarks;

/// <summary>The sub-scores of one attribute: expected bin values from 0 (bad) to 1 (good).</summary>
public sealed class AttributeSummary
{
    private readonly long[] _chosenBins = new long[AttributeScores.Bins], _rejectedBins = new long[AttributeScores.Bins];
    private double _chosenSum, _rejectedSum, _weightSum, _agreeing;
    private long _chosen, _rejected, _pairs;

    /// <summary>Number of chosen responses in each bin.</summary>
    public IReadOnlyList<long> Chosen => _chosenBins;

    /// <summary>Number of rejected responses in each bin.</summary>
    public IReadOnlyList<long> Rejected => _rejectedBins;

    /// <summary>Mean sub-score of the chosen responses.</summary>
    public double MeanChosen => _chosenSum / _chosen;

    /// <summary>Mean sub-score of the rejected responses.</summary>
    public double MeanRejected => _rejectedSum / _rejected;

    /// <summary>Mean of the weights that the model gives the attribute.</summary>
    public double MeanWeight => _weightSum / (_chosen + _rejected);

    /// <summary>Share of the pairs whose chosen response has the higher sub-score; equal sub-scores count ½.</summary>
    public double Agreement => _agreeing / _pairs;

    /// <summary>Adds the sub-scores of a line.</summary>
    /// <param name="scores">The sub-scores of the line's responses, the chosen ones first.</param>
    /// <param name="chosen">The number of chosen responses.</param>
    internal void Add(ReadOnlySpan<float> scores, int chosen)
    {
        for (int i = 0; i < scores.Length; i++)
        {
            int bin = Math.Clamp((int)(scores[i] * AttributeScores.Bins), 0, AttributeScores.Bins - 1);
            if (i < chosen)
            {
                _chosenBins[bin]++;
                _chosenSum += scores[i];
                continue;
            }

            _rejectedBins[bin]++;
            _rejectedSum += scores[i];
            for (int c = 0; c < chosen; c++) _agreeing += scores[c] > scores[i] ? 1 : scores[c] == scores[i] ? 0.5 : 0;
        }

        (_chosen, _rejected) = (_chosen + chosen, _rejected + scores.Length - chosen);
        _pairs += (long)chosen * (scores.Length - chosen);
    }

    /// <summary>Adds the weight that the model gives the attribute in a response.</summary>
    internal void AddWeight(float weight) => _weightSum += weight;
}
