using System.Globalization;
using System.Text.Json;
using LdlVk.Cli.Output;
using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Items;
using LdlVk.Datasets.Lines;
using LdlVk.Evaluation.Reports;
using LdlVk.Evaluation.Steps;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Commands;

/// <summary>The part of <c>ldlvk eval</c> for labels of steps: ProcessBench, PRMBench and others of their forms.</summary>
internal static class StepEval
{
    /// <summary>Scores the lines.</summary>
    /// <param name="run">The run, which shows the progress.</param>
    /// <param name="model">The model.</param>
    /// <param name="lines">The lines.</param>
    /// <param name="threshold">A step whose score is above it counts as right.</param>
    /// <param name="output">Receives the results line by line; may be null.</param>
    /// <param name="terminal">Receives messages about failed lines.</param>
    /// <param name="cancellationToken">Ends the run between micro-batches.</param>
    public static async Task<(StepScorer Scorer, int Code)> ScoreAsync(
        ScoringRun run, RewardModel model, IEnumerable<RawLine> lines, double threshold, Stream? output, Terminal terminal,
        CancellationToken cancellationToken)
    {
        if (model.StepAggregation is null)
            throw new UsageException(
                "The input has labels of steps, and the model scores none. Use a process reward model, or --head steps for a model whose "
                + "head scores steps although no file says so.");
        ResultWriter? writer = output is null ? null : new ResultWriter(output);
        FailureNotes notes = new(terminal);
        StepScorer scorer = new()
        {
            LineFailed = notes.Say,
            Scored = (line, example) => writer?.Write(json => Write(json, line, example, threshold)),
        };
        int code = await run.ScoreAsync(
            model, scorer.Lines(lines), scorer.Add, cancellationToken, "see above, and --json or --report").ConfigureAwait(false);
        if (scorer.Repeated > 0)
            terminal.Say(
                $"{Readable.Plural(scorer.Repeated, "line")} with the idx and classification of an earlier one "
                + $"{(scorer.Repeated == 1 ? "is" : "are")} left out, as PRMBench's own code does.");
        return (scorer, scorer.Failed > 0 ? ExitCode.SomeFailed : code);
    }

    /// <summary>Shows the result on the screen.</summary>
    public static void Show(StepFindings findings, Screen screen)
    {
        StepResult result = findings.Result;
        foreach (StepGroup group in result.Groups) Row(group);
        if (result.Groups.Count > 0) screen.Line();
        screen.Line($"[bold]{"score",-24} {Figures.Percent(result.Score),7}[/]  {Screen.Safe(findings.ScoreName)}");
        if (findings.Incomplete is { } incomplete) screen.Line(Screen.Safe(incomplete));
        Row(result.All);
        screen.Line(Screen.Safe(string.Create(
            CultureInfo.InvariantCulture, $"columns: {result.Names.Score}, lines, {result.Names.First}, {result.Names.Second}; a step is "
            + $"right if its score is above {result.Threshold}")));

        void Row(StepGroup group) => screen.Line(
            $"{Screen.Safe(Readable.OneLine(group.Name, 24).PadRight(24))} {Figures.Percent(group.Score),7} "
            + $"{Readable.Count(group.Examples),7} {Figures.Percent(group.First),8} {Figures.Percent(group.Second),8}");
    }

    /// <summary>Writes the fields of the dataset, then those that the benchmark's own code adds.</summary>
    private static void Write(Utf8JsonWriter json, StepLine line, StepExample example, double threshold)
    {
        string[] own = example.IsEveryStep ? ["scores"] : ["step_scores", "prediction", "match"];
        foreach (JsonProperty field in line.Fields.EnumerateObject().Where(field => !own.Contains(field.Name)))
        {
            json.WritePropertyName(field.Name);
            RewardJson.WriteValue(json, field.Value);
        }

        if (!example.IsEveryStep)
        {
            json.WritePropertyName("step_scores");
            RewardJson.WriteNumbers(json, example.Scores);
            json.WriteNumber("prediction", example.Prediction(threshold));
            json.WriteBoolean("match", example.IsMatch(threshold));
            return;
        }

        json.WriteStartObject("scores");
        json.WritePropertyName("step_level_validity_scores");
        RewardJson.WriteNumbers(json, example.Scores);
        json.WriteStartArray("step_level_validity_labels");
        foreach (float score in example.Scores) json.WriteBooleanValue(score > threshold);
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
