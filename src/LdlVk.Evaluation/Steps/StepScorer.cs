using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Lines;
using LdlVk.Evaluation.Benchmarks;

namespace LdlVk.Evaluation.Steps;

/// <summary>Scores the lines of a dataset with labels of steps, and keeps the scores of their steps.</summary>
public sealed class StepScorer
{
    /// <summary>Maximum number of failed lines that are kept; further ones are only counted.</summary>
    private const int MaxFailures = 1000;

    private readonly List<StepExample> _examples = [];
    private readonly List<FailedLine> _failures = [];
    private readonly Queue<(StepLine Line, long Number)> _waiting = new();
    private readonly HashSet<(string?, string)> _seen = [];
    private bool? _isEveryStep;

    /// <summary>Called with each line that was scored, in the order of the input.</summary>
    public Action<StepLine, StepExample>? Scored { get; init; }

    /// <summary>Called with each line that could not be scored.</summary>
    public Action<FailedLine>? LineFailed { get; init; }

    /// <summary>The lines that were scored, in the order of the input.</summary>
    public IReadOnlyList<StepExample> Examples => _examples;

    /// <summary>The first lines that could not be scored, at most 1000.</summary>
    public IReadOnlyList<FailedLine> Failures => _failures;

    /// <summary>Number of all lines that could not be scored.</summary>
    public long Failed { get; private set; }

    /// <summary>Number of lines with the <c>idx</c> and classification of an earlier one, which PRMBench's code leaves out.</summary>
    public long Repeated { get; private set; }

    /// <summary>Returns the texts of all lines. The caller scores them and passes each result to <see cref="Add"/>.</summary>
    public IEnumerable<InputLine> Lines(IEnumerable<RawLine> lines)
    {
        ArgumentNullException.ThrowIfNull(lines);
        foreach (RawLine raw in lines)
        {
            StepLine line = StepLine.Parse(raw);
            if (line.Texts.Error is null && line.Key is { } key && !_seen.Add((line.Group, key)))
            {
                Repeated++;
                continue;
            }

            _waiting.Enqueue((line, raw.Number));
            yield return line.Texts;
        }
    }

    /// <summary>Adds the result of the next line of <see cref="Lines"/>.</summary>
    public void Add(ScoredLine result)
    {
        ArgumentNullException.ThrowIfNull(result);
        (StepLine line, long number) = _waiting.Dequeue();
        float[] scores = result.Error is null ? [.. result.Rewards[0].Steps] : [];
        string? error = result.Error ?? (scores.Length != line.Steps
            ? $"{scores.Length} of {line.Steps} steps have a score: the text was cut."
            : (_isEveryStep ??= line.IsEveryStep) != line.IsEveryStep
                ? "the lines before it label steps in another form, and two forms have no score together. Evaluate each file alone."
                : null);
        if (error is not null)
        {
            FailedLine failure = new(number, line.Texts.Id, error);
            Failed++;
            if (_failures.Count < MaxFailures) _failures.Add(failure);
            LineFailed?.Invoke(failure);
            return;
        }

        StepExample example = new(number, line.Texts.Id, line.Group, line.IsEveryStep, line.Wrong, scores);
        _examples.Add(example);
        Scored?.Invoke(line, example);
    }
}
