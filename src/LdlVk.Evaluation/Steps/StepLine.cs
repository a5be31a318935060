using System.Text.Json;
using System.Text.RegularExpressions;
using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Items;
using LdlVk.Datasets.Lines;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Evaluation.Steps;

/// <summary>
/// A line of a dataset with labels of steps, in one of two forms: ProcessBench's <c>problem</c>, <c>steps</c> and <c>label</c> (index of
/// the first wrong step, −1 for none), or PRMBench's <c>modified_question</c>, <c>modified_process</c> and <c>error_steps</c> (numbers of
/// the wrong steps, from 1).
/// </summary>
public sealed partial class StepLine
{
    private StepLine(InputLine texts) => Texts = texts;

    /// <summary>The text to score; or the reason why there is none.</summary>
    public InputLine Texts { get; }

    /// <summary>Whether every wrong step is labeled, as in PRMBench, instead of the first one.</summary>
    public bool IsEveryStep { get; private init; }

    /// <summary>Indices of the wrong steps, from 0; of ProcessBench at most the first one.</summary>
    public IReadOnlyList<int> Wrong { get; private init; } = [];

    /// <summary>Number of steps.</summary>
    public int Steps { get; private init; }

    /// <summary>ProcessBench's part, or PRMBench's classification; null if the line names none.</summary>
    public string? Group { get; private init; }

    /// <summary>What tells PRMBench's lines apart, its <c>idx</c>; null for others.</summary>
    public string? Key { get; private init; }

    /// <summary>The unparsed line.</summary>
    public JsonElement Fields { get; private init; }

    /// <summary>Whether a line has labels of steps.</summary>
    public static bool IsOne(RawLine line) =>
        JsonLine.Read(line, (root, _) => IsEvery(root) || IsFirst(root), (_, _) => false);

    /// <summary>Reads a line.</summary>
    public static StepLine Parse(RawLine line)
    {
        int bytes = line.Bytes.Length;
        return JsonLine.Read(
            line, (root, id) => Of(root.Clone(), id, bytes), (id, error) => new StepLine(InputLine.Failed(id, error, bytes)));
    }

    private static bool IsEvery(JsonElement root) =>
        ItemFields.IsGiven(root, "modified_process") && ItemFields.IsGiven(root, "error_steps");

    private static bool IsFirst(JsonElement root) =>
        ItemFields.IsGiven(root, "problem") && ItemFields.IsGiven(root, "steps") && ItemFields.IsGiven(root, "label");

    private static StepLine Of(JsonElement root, string id, int bytes)
    {
        foreach (JsonProperty field in root.EnumerateObject()) _ = field.Name;
        ItemReader reader = new(JsonLine.Fields);
        if (IsEvery(root))
        {
            Item modified = reader.ReadSteps(root, "modified_question", "modified_process", WithoutNumber);
            JsonElement labels = root.GetProperty("error_steps");
            if (labels.ValueKind != JsonValueKind.Array) throw JsonLine.Fields.Wrong(labels, "error_steps", "a list of numbers");
            int count = modified.Conversations[0].Steps!.Count;
            return new StepLine(InputLine.Of(id, modified, bytes))
            {
                IsEveryStep = true, Steps = count, Fields = root, Group = Text(root, "classification"), Key = Text(root, "idx"),
                // A hundred of PRMBench's lines name steps that they do not have, which its own code ignores.
                Wrong = [.. labels.EnumerateArray().Select(step => Number(step, "error_steps") - 1).Where(step => step >= 0 && step < count)
                    .Distinct()],
            };
        }

        if (!IsFirst(root))
            throw new InputException("the line has no labels of steps: problem, steps and label, or modified_question, modified_process "
                + "and error_steps.");
        Item item = reader.ReadSteps(root, "problem", "steps");
        int steps = item.Conversations[0].Steps!.Count, label = Number(root.GetProperty("label"), "label");
        if (label < -1 || label >= steps)
            throw new InputException($"label is {label}, but the line has {steps} steps: it is the index of the first wrong one, or -1.");
        return new StepLine(InputLine.Of(id, item, bytes))
        {
            Steps = steps, Fields = root, Wrong = label < 0 ? [] : [label], Group = StepBenchmarks.PartOf(id) ?? Text(root, "subset"),
        };
    }

    /// <summary>Returns a step as PRMBench's code gives it to models: without its number (<c>remove_step_prefix</c>).</summary>
    private static string WithoutNumber(string step) => NumberAtStart().Replace(step.Trim(), "");

    private static string? Text(JsonElement root, string name) =>
        ItemFields.IsGiven(root, name) ? JsonLine.Fields.String(root.GetProperty(name), name) : null;

    private static int Number(JsonElement value, string name) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) ? number
        : throw new InputException(
            $"{name} is {Readable.OneLine(value.GetRawText(), 40)}, not {(name == "label" ? "an integer" : "a list of integers")}.");

    [GeneratedRegex(@"^(Step\s*\d+\.\s*|\d+\.\s*)", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex NumberAtStart();
}
