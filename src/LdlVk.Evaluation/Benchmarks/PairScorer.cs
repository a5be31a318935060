using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Lines;
using LdlVk.Runtime.Model;

namespace LdlVk.Evaluation.Benchmarks;

/// <summary>A line that could not be scored.</summary>
/// <param name="Number">Its number in the input, from 0.</param>
/// <param name="Id">Its id as JSON.</param>
/// <param name="Error">Why not.</param>
internal sealed record FailedLine(long Number, string Id, string Error);

/// <summary>Scores the lines of a preference data set, and keeps their scores.</summary>
internal sealed class PairScorer(Terminal terminal)
{
    /// <summary>Failed lines that are told of one by one.</summary>
    private const int MostFailuresSaid = 10;

    /// <summary>Failed lines that are kept; of a file of nothing else, the rest is counted only.</summary>
    private const int MostFailuresKept = 1000;

    private readonly List<Example> _examples = [];
    private readonly List<FailedLine> _failures = [];
    private readonly Dictionary<string, string> _subsets = new(StringComparer.Ordinal);
    private long _lines;

    /// <summary>The lines that were scored, in order.</summary>
    public IReadOnlyList<Example> Examples => _examples;

    /// <summary>The first lines that were not.</summary>
    public IReadOnlyList<FailedLine> Failures => _failures;

    /// <summary>All lines that were not.</summary>
    public long Failed => _lines - _examples.Count;

    /// <summary>All lines.</summary>
    public long Lines => _lines;

    /// <summary>Scores all lines of a source, and says on standard error which could not be scored.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> ScoreAsync(
        ScoringRun run, RewardModel model, LineSource source, Action<PairLine, Example, IReadOnlyList<Reward>>? scored, CancellationToken cancellation)
    {
        // Results come in the order of the lines, one for each.
        Queue<PairLine> waiting = new();
        return await run.ScoreAsync(model, source.RawLines().Select(Next), Take, cancellation, reasonsAt: "see above, and --json or --report").ConfigureAwait(false);

        InputLine Next(RawLine raw)
        {
            PairLine line = PairLine.Parse(raw);
            waiting.Enqueue(line);
            return line.Texts;
        }

        void Take(ScoredLine result)
        {
            PairLine line = waiting.Dequeue();
            long number = _lines++;
            if (result.Error is { } error)
            {
                Fail(new FailedLine(number, line.Texts.Id, Name(error, line)));
                return;
            }

            float[] scores = [.. result.Rewards.Select(r => r.Score)];
            Example example = new(number, line.Texts.Id, Shared(line.Subset), line.IsBestOf, line.Ties, scores[..line.ChosenCount], scores[line.ChosenCount..]);
            _examples.Add(example);
            scored?.Invoke(line, example, result.Rewards);
        }
    }

    private void Fail(FailedLine failure)
    {
        if (_failures.Count < MostFailuresKept) _failures.Add(failure);
        if (Failed <= MostFailuresSaid) terminal.Say($"line {failure.Number} (counted from 0) is left out: {failure.Error}");
        if (Failed == MostFailuresSaid + 1) terminal.Say("more lines are left out.");
    }

    /// <summary>One string for all lines of a subset.</summary>
    private string Shared(string subset)
    {
        if (_subsets.TryGetValue(subset, out string? same)) return same;
        _subsets[subset] = subset;
        return subset;
    }

    /// <summary>"response 1" by the field's name.</summary>
    private static string Name(string error, PairLine line)
    {
        for (int i = 0; i < line.Texts.Item.Texts && error.StartsWith("response ", StringComparison.Ordinal); i++)
        {
            string place = $"response {i} (counted from 0)";
            if (!error.StartsWith(place, StringComparison.Ordinal)) continue;
            bool chosen = i < line.ChosenCount;
            string name = chosen ? "chosen" : "rejected";
            return $"{name}{(line.IsBestOf ? $"[{(chosen ? i : i - line.ChosenCount)}]" : "")}{error[place.Length..]}";
        }

        return error;
    }
}
