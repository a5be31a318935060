using LdlVk.Runtime.Batching;

namespace LdlVk.Scoring;

/// <summary>
/// Texts that are packed together, and their results as they come. A text that cannot be scored has its result, an error, from the start.
/// </summary>
internal sealed class ScoringWindow
{
    private readonly long _first;
    private readonly StepAggregation? _aggregation;
    private readonly List<PackedText> _valid = [];
    private readonly List<int> _numbers = [];
    private int _left;

    /// <summary>Sorts out what cannot be scored.</summary>
    /// <param name="texts">The texts.</param>
    /// <param name="first">Number of the first one in the whole input.</param>
    /// <param name="aggregation">How the scores of steps become one; null for the model's own way.</param>
    /// <param name="check">Throws an <see cref="InputException"/> for ids that cannot be scored, and returns those to be scored.</param>
    public ScoringWindow(
        IReadOnlyList<TokenizedText> texts, long first, Func<TokenizedText, PackedText> check, StepAggregation? aggregation = null)
    {
        (_first, _aggregation) = (first, aggregation);
        Results = new ScoreResult[texts.Count];
        for (int i = 0; i < texts.Count; i++)
        {
            try
            {
                if (texts[i].Error is { } error) throw new InputException(error);
                _valid.Add(check(texts[i]));
                _numbers.Add(i);
            }
            catch (InputException e)
            {
                Results[i] = new ScoreResult(first + i, null, e.Notice);
            }
        }

        _left = _valid.Count;
    }

    /// <summary>The results, in the order of the texts.</summary>
    public ScoreResult[] Results { get; }

    /// <summary>The results before the first text that has none.</summary>
    public ScoreResult[] LeadingResults => [.. Results.TakeWhile(r => r is not null)];

    /// <summary>Whether every text has its result.</summary>
    public bool IsDone => _left == 0;

    /// <summary>The texts that can be scored; <see cref="Wave.Texts"/> counts among them.</summary>
    public IReadOnlyList<PackedText> Valid => _valid;

    /// <summary>Takes the rewards of a wave.</summary>
    /// <param name="wave">The wave.</param>
    /// <param name="rewards">They are in the order of its texts.</param>
    /// <param name="again">Whether it was scored once more, without the prompt cache.</param>
    public void Add(Wave wave, Reward[] rewards, bool again = false)
    {
        int[] texts = [.. wave.Texts], cached = [.. wave.CachedCounts];
        for (int i = 0; i < rewards.Length; i++)
        {
            int number = _numbers[texts[i]];
            Reward reward = again ? rewards[i] : rewards[i] with { CachedTokens = cached[i] };
            if (_aggregation is { } aggregation && reward.Steps.Length > 0) reward = reward.Aggregated(aggregation);
            Results[number] = float.IsFinite(reward.Score) && reward.TokenScores.All(float.IsFinite)
                ? new ScoreResult(_first + number, reward, null)
                : new ScoreResult(_first + number, null, $"the score is {reward.Score}, not a finite number: the model's values left "
                    + $"the range of fp32. Check the checkpoint's weights.");
        }

        _left -= rewards.Length;
    }
}
