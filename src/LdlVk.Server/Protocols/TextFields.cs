using System.Text.Json;
using LdlVk.Datasets.Items;
using LdlVk.Server.Http;

namespace LdlVk.Server.Protocols;

/// <summary>
/// Fields that would change the text which is scored. An endpoint uses them or refuses them; other fields that it does not know, such as
/// ids and settings of generation, are ignored.
/// </summary>
internal static class TextFields
{
    private static readonly string[] Names =
    [
        "system", "system_prompt", "system_message", "instruction", "instruct", "history", "question", "context", "documents", "reference",
        "tools", "functions", "tool_calls", "chat_template", "chat_template_kwargs", "prompt_name", "prefix", "suffix", "images",
        "image_data", "multi_modal_data", "continue_final_message", "add_generation_prompt", "response_role",
        "steps", "step_positions", TokenizerFields.Mask, TokenizerFields.Positions,
    ];

    /// <summary>Whether a text gets what the tokenizer puts around it.</summary>
    private const string SpecialsField = "add_special_tokens";

    /// <summary>Settings of the server that requests may be thought to have.</summary>
    private static readonly string[] Settings = ["aggregate", "aggregation", "step_aggregation", "step_separator"];

    /// <summary>What vLLM would do to a score.</summary>
    private static readonly string[] Activations = ["activation", "use_activation", "softmax", "normalize"];

    /// <summary>Fields that would cut texts or choose their parts.</summary>
    private static readonly string[] Cuts =
        ["truncate_prompt_tokens", "truncation_side", "truncation_direction", "max_length", "max_tokens_per_doc", "rank_fields"];

    /// <summary>Throws if a request has a field that would change scores, and that its endpoint does not use.</summary>
    /// <param name="body">The request.</param>
    /// <param name="used">Names of the fields that the endpoint uses.</param>
    public static void RefuseSettings(JsonElement body, IReadOnlyList<string> used)
    {
        if (body.ValueKind != JsonValueKind.Object) return;
        string? found = Settings.FirstOrDefault(
            name => body.TryGetProperty(name, out JsonElement value) && ItemFields.HoldsAnything(value));
        if (found is not null)
            throw new RequestException(
                422, $"{found} is set where the server is started, and a request cannot change it. The answer has all steps. Remove it.");
        foreach (string name in Activations)
            if (Fields.Flag(body, name)) throw Fields.Error($"{name} is true, and scores are given as they are. Apply it to the score.");
        foreach (string name in Cuts.Append(SpecialsField).Except(used))
        {
            bool hasEffect = name == SpecialsField
                ? !Fields.Flag(body, name, otherwise: true)
                : Fields.Find(body, name) is { } value && ItemFields.HoldsAnything(value);
            if (hasEffect) throw Fields.Error($"{name} would change the scores, and this endpoint does not use it. Remove it.");
        }
    }

    /// <summary>Throws if a request has a field that would change the text, and that its endpoint does not use.</summary>
    /// <param name="body">The request.</param>
    /// <param name="used">Names of the fields that the endpoint uses.</param>
    public static void Refuse(JsonElement body, IReadOnlyList<string> used)
    {
        foreach (string name in Names)
        {
            if (!body.TryGetProperty(name, out JsonElement value) || !ItemFields.HoldsAnything(value) || used.Contains(name)) continue;
            if (name == TokenizerFields.Mask && !TokenizerFields.Hides(value)) continue;
            throw new RequestException(
                422,
                $"{name} would change the text that is scored, and this endpoint does not use it. Remove it, or put it into a message.");
        }
    }
}
