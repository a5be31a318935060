using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Items;
using LdlVk.Datasets.Lines;

namespace LdlVk.Evaluation.Benchmarks;

/// <summary>Receives a scored line of a preference dataset.</summary>
/// <param name="line">The line.</param>
/// <param name="example">Its scores.</param>
/// <param name="rewards">The rewards of its responses, the chosen ones first.</param>
public delegate void PairScored(PairLine line, Example example, IReadOnlyList<Reward> rewards);

/// <summary>Scores the lines of a preference dataset, and keeps the scores of their responses.</summary>
public sealed class PairScorer
{
    /// <summary>Maximum number of failed lines that are kept; further ones are only counted.</summary>
    private const int MaxFailures = 1000;

    private readonly List<Example> _examples = [];
    private readonly List<FailedLine> _failures = [];
    private readonly Dictionary<string, string> _subsets = new(StringComparer.Ordinal);
    private readonly Queue<PairLine> _waiting = new();
    private long _lines;

    /// <summary>Called with each line that was scored, in the order of the input.</summary>
    public PairScored? Scored { get; init; }

    /// <summary>Called with each line that could not be scored, after <see cref="Failed"/> has counted it.</summary>
    public Action<FailedLine>? LineFailed { get; init; }

    /// <summary>
    /// The model that scores; null if it is not known. With it, pairs that only became equal because texts are truncated are counted.
    /// </summary>
    public RewardModel? Model { get; init; }

    /// <summary>Number of lines with a chosen and a rejected text that differ only in what was truncated. They count as wrong.</summary>
    public long EqualByTruncation { get; private set; }

    /// <summary>How errors name options.</summary>
    public OptionWording Word { get; init; } = Notice.AsProperty;

    /// <summary>The lines that were scored, in the order of the input.</summary>
    public IReadOnlyList<Example> Examples => _examples;

    /// <summary>The first lines that could not be scored, at most 1000.</summary>
    public IReadOnlyList<FailedLine> Failures => _failures;

    /// <summary>Number of all lines that could not be scored.</summary>
    public long Failed => _lines - _examples.Count;

    /// <summary>Scores all lines of a source.</summary>
    /// <param name="model">The model.</param>
    /// <param name="source">The dataset.</param>
    /// <param name="progress">Called after each micro-batch; may be null.</param>
    /// <param name="cancellationToken">Cancels the run between micro-batches.</param>
    public async Task ScoreAsync(
        RewardModel model, LineSource source, IProgress<ScoreProgress>? progress, CancellationToken cancellationToken)
    {
        LineScorer scorer = new(model, progress, Word);
        await foreach (ScoredLine line in scorer.ScoreAsync(Lines(source), cancellationToken).ConfigureAwait(false)) Add(line);
    }

    /// <summary>
    /// Returns the texts of all lines of a source. The caller scores them and passes each result to <see cref="Add"/>.
    /// </summary>
    public IEnumerable<InputLine> Lines(LineSource source)
    {
        ArgumentNullException.ThrowIfNull(source);
        return Lines(source.RawLines(), source.Names);
    }

    /// <inheritdoc cref="Lines(LineSource)"/>
    public IEnumerable<InputLine> Lines(IEnumerable<RawLine> lines, ItemFields names) => lines.Select(raw => Read(raw, names));

    /// <summary>Adds the result of the next line of <see cref="Lines(LineSource)"/>.</summary>
    public void Add(ScoredLine result)
    {
        ArgumentNullException.ThrowIfNull(result);
        PairLine line = _waiting.Dequeue();
        long number = _lines++;
        if (result.Error is { } error)
        {
            FailedLine failure = new(number, line.Texts.Id, Name(error, line));
            if (_failures.Count < MaxFailures) _failures.Add(failure);
            LineFailed?.Invoke(failure);
            return;
        }

        float[] scores = [.. result.Rewards.Select(r => r.Score)];
        Example example = new(
            number, line.Texts.Id, Shared(line.Subset), line.IsBestOf, line.Ties, scores[..line.ChosenCount], scores[line.ChosenCount..])
        {
            IsStyles = line.IsStyles,
            IsPaired = line.IsPaired,
        };
        _examples.Add(example);
        if (Model is { Truncates: true } model && AreEqualByTruncation(model, line, scores)) EqualByTruncation++;
        Scored?.Invoke(line, example, result.Rewards);
    }

    /// <summary>Equal ids give equal scores, so only pairs of equal scores are tokenized again.</summary>
    private static bool AreEqualByTruncation(RewardModel model, PairLine line, float[] scores)
    {
        int count = line.ChosenCount;
        if (!scores[..count].Intersect(scores[count..]).Any()) return false;
        (int[] Whole, int[] Scored)[] texts = [.. line.Texts.Item.Encode(model).Select(text => (text.Ids, model.Check(text).Ids))];
        return Enumerable.Range(0, count).Any(i => Enumerable.Range(count, texts.Length - count).Any(j =>
            (!line.IsPaired || j == count + i)
            && texts[i].Scored.AsSpan().SequenceEqual(texts[j].Scored) && !texts[i].Whole.AsSpan().SequenceEqual(texts[j].Whole)));
    }

    private InputLine Read(RawLine raw, ItemFields names)
    {
        PairLine line = PairLine.Parse(raw, names);
        _waiting.Enqueue(line);
        return line.Texts;
    }

    /// <summary>Returns one shared string for all lines of a subset.</summary>
    private string Shared(string subset)
    {
        if (_subsets.TryGetValue(subset, out string? same)) return same;
        _subsets[subset] = subset;
        return subset;
    }

    /// <summary>Returns the error with the field's name instead of "response 1".</summary>
    private static string Name(string error, PairLine line)
    {
        for (int i = 0; i < line.Texts.Item.Texts && error.StartsWith("response ", StringComparison.Ordinal); i++)
        {
            string place = $"response {i} (counted from 0)";
            if (!error.StartsWith(place, StringComparison.Ordinal)) continue;
            bool chosen = i < line.ChosenCount;
            if (line.IsPaired)
                return $"the {(chosen ? "better" : "worse")} response of pair {(chosen ? i : i - line.ChosenCount)}{error[place.Length..]}";
            string name = chosen ? "chosen" : "rejected";
            return $"{name}{(line.IsBestOf ? $"[{(chosen ? i : i - line.ChosenCount)}]" : "")}{error[place.Length..]}";
        }

        return error;
    }
}
