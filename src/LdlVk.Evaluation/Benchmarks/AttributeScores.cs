using LdlVk.Runtime.Model;

namespace LdlVk.Evaluation.Benchmarks;

/// <summary>The sub-scores of chosen and of rejected responses: what each attribute alone would say.</summary>
internal sealed class AttributeScores
{
    /// <summary>Bins of a distribution of sub-scores, from 0 to 1.</summary>
    public const int Bins = 25;

    private Attribute[] _attributes = [];

    /// <summary>The attributes; empty before the first line.</summary>
    public IReadOnlyList<Attribute> Attributes => _attributes;

    /// <summary>Adds a line's rewards.</summary>
    /// <param name="rewards">Of its responses, the chosen ones first.</param>
    /// <param name="chosen">How many are chosen.</param>
    public void Add(IReadOnlyList<Reward> rewards, int chosen)
    {
        if (_attributes.Length == 0) _attributes = [.. Enumerable.Range(0, rewards[0].Attributes).Select(_ => new Attribute())];
        float[] scores = new float[rewards.Count];
        for (int a = 0; a < _attributes.Length; a++)
        {
            for (int i = 0; i < scores.Length; i++) scores[i] = rewards[i].AttributeScore(a);
            _attributes[a].Add(scores, chosen);
            foreach (Reward reward in rewards) _attributes[a].AddWeight(reward.Weights[a]);
        }
    }

    /// <summary>One attribute's sub-scores: expected bin values from 0 (bad) to 1 (good).</summary>
    internal sealed class Attribute
    {
        private double _chosenSum, _rejectedSum, _weightSum, _agreeing;
        private long _chosen, _rejected, _pairs;

        /// <summary>Chosen responses in each bin.</summary>
        public long[] Chosen { get; } = new long[Bins];

        /// <summary>Rejected responses in each bin.</summary>
        public long[] Rejected { get; } = new long[Bins];

        /// <summary>Mean sub-score of the chosen responses.</summary>
        public double MeanChosen => _chosenSum / _chosen;

        /// <summary>Mean sub-score of the rejected responses.</summary>
        public double MeanRejected => _rejectedSum / _rejected;

        /// <summary>Mean of the weights that the model gives it.</summary>
        public double MeanWeight => _weightSum / (_chosen + _rejected);

        /// <summary>Share of the pairs whose chosen response has the higher sub-score; equal ones count ½.</summary>
        public double Agreement => _agreeing / _pairs;

        public void Add(ReadOnlySpan<float> scores, int chosen)
        {
            for (int i = 0; i < scores.Length; i++)
            {
                int bin = Math.Clamp((int)(scores[i] * Bins), 0, Bins - 1);
                if (i < chosen)
                {
                    Chosen[bin]++;
                    _chosenSum += scores[i];
                    continue;
                }

                Rejected[bin]++;
                _rejectedSum += scores[i];
                for (int c = 0; c < chosen; c++) _agreeing += scores[c] > scores[i] ? 1 : scores[c] == scores[i] ? 0.5 : 0;
            }

            (_chosen, _rejected) = (_chosen + chosen, _rejected + scores.Length - chosen);
            _pairs += (long)chosen * (scores.Length - chosen);
        }

        public void AddWeight(float weight) => _weightSum += weight;
    }
}
