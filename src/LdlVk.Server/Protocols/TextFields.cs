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

    /// <summary>Settings of the server that requests may be thought to have.</summary>
    private static readonly string[] Settings = ["aggregate", "aggregation", "step_aggregation", "step_separator"];

    /// <summary>Throws if a request has a field that would change scores, and that is set where the server is started.</summary>
    public static void RefuseSettings(JsonElement body)
    {
        if (body.ValueKind != JsonValueKind.Object) return;
        string? found = Settings.FirstOrDefault(
            name => body.TryGetProperty(name, out JsonElement value) && ItemFields.HoldsAnything(value));
        if (found is not null)
            throw new RequestException(
                422, $"{found} is set where the server is started, and a request cannot change it. The answer has all steps. Remove it.");
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
