using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Items;
using LdlVk.Evaluation.Benchmarks;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Commands;

/// <summary>Scores preference data, and names on standard error the lines that could not be scored.</summary>
internal static class PairRun
{
    /// <summary>Scores all lines of a source.</summary>
    /// <param name="run">The run, which shows the progress.</param>
    /// <param name="model">The model.</param>
    /// <param name="lines">The lines of the dataset.</param>
    /// <param name="names">The fields of an item's parts.</param>
    /// <param name="scored">Called with each scored line; may be null.</param>
    /// <param name="terminal">Receives messages about failed lines.</param>
    /// <param name="cancellationToken">Ends the run between micro-batches.</param>
    /// <returns>The scores, and the exit code.</returns>
    public static async Task<(PairScorer Scorer, int Code)> ScoreAsync(
        ScoringRun run, RewardModel model, IEnumerable<RawLine> lines, ItemFields names, PairScored? scored,
        Terminal terminal, CancellationToken cancellationToken)
    {
        PairScorer scorer = new() { Scored = scored, LineFailed = new FailureNotes(terminal).Say, Word = FlagWording.Word, Model = model };
        int code = await run.ScoreAsync(
            model, scorer.Lines(lines, names), scorer.Add, cancellationToken,
            reasonsAt: "see above, and --json or --report").ConfigureAwait(false);
        if (scorer.EqualByTruncation > 0)
            terminal.Say(
                $"{Readable.Plural(scorer.EqualByTruncation, "line")} {(scorer.EqualByTruncation == 1 ? "has" : "have")} responses that "
                + "differ only in what --truncate dropped: the texts that were scored are equal, and count as wrong.");
        return (scorer, code);
    }
}
