using System.Text.Json;
using LdlVk.Datasets.Items;
using LdlVk.Datasets.Lines;

namespace LdlVk.Evaluation.Benchmarks;

/// <summary>
/// Writes results line by line in the format of RewardBench's tools. A pair has the fields of <c>{model}_outputs.jsonl</c>
/// (<c>rewardbench.py</c>:
/// prompt, results, scores_chosen, scores_rejected, text_chosen, text_rejected, then the other fields of the dataset). A line of
/// RewardBench 2 has those of its result rows (<c>run_v2.py</c>: text, scores, results, subset, id, num_correct). Texts are rendered with
/// the model's template.
/// </summary>
/// <param name="output">Receives one line per write.</param>
/// <param name="model">The model, which renders the texts.</param>
public sealed class OutputsFile(Stream output, RewardModel model)
{
    private static readonly string[] Own = ["prompt", "results", "scores_chosen", "scores_rejected", "text_chosen", "text_rejected"];

    private readonly ResultWriter _lines = new(output);

    /// <summary>Writes a line with its scores.</summary>
    public void Write(PairLine line, Example example) => _lines.Write(json =>
    {
        if (example.IsBestOf) WriteBestOf(json, line, example);
        else WritePair(json, line, example);
    });

    private void WritePair(Utf8JsonWriter json, PairLine line, Example example)
    {
        IReadOnlyList<Conversation> texts = line.Texts.Item.Conversations;
        Conversation prompt = new([.. texts[0].Messages.SkipLast(1)]);
        json.WriteString("prompt", prompt.Messages.Count > 0 ? model.Render(prompt) : "");
        json.WriteNumber("results", (int)example.Result!.Value);
        json.WriteNumber("scores_chosen", example.Chosen[0]);
        json.WriteNumber("scores_rejected", example.Rejected[0]);
        json.WriteString("text_chosen", model.Render(texts[0]));
        json.WriteString("text_rejected", model.Render(texts[1]));
        foreach (JsonProperty field in line.Fields.EnumerateObject())
        {
            if (Own.Any(field.NameEquals)) continue;
            json.WritePropertyName(field.Name);
            RewardJson.WriteValue(json, field.Value);
        }
    }

    private void WriteBestOf(Utf8JsonWriter json, PairLine line, Example example)
    {
        json.WriteStartArray("text");
        foreach (Conversation text in line.Texts.Item.Conversations) json.WriteStringValue(model.Render(text));
        json.WriteEndArray();
        json.WritePropertyName("scores");
        RewardJson.WriteNumbers(json, [.. example.Chosen, .. example.Rejected]);
        json.WritePropertyName("results");
        if (example.Result is { } result) json.WriteNumberValue(result);
        else json.WriteNullValue();
        json.WriteString("subset", example.Subset);
        RewardJson.WriteId(json, example.Id);
        json.WriteNumber("num_correct", example.Chosen.Length);
    }
}
