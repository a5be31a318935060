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
        "system", "system_prompt", "instruction", "instruct", "history", "question", "context", "documents", "reference", "tools",
        "functions", "tool_calls", "chat_template", "chat_template_kwargs", "prompt_name", "prefix", "suffix", "images", "image_data",
        "multi_modal_data", "continue_final_message", "add_generation_prompt", "response_role",
    ];

    /// <summary>Throws if a request has a field that would change the text, and that its endpoint does not use.</summary>
    /// <param name="body">The request.</param>
    /// <param name="used">Names of the fields that the endpoint uses.</param>
    public static void Refuse(JsonElement body, IReadOnlyList<string> used)
    {
        foreach (string name in Names)
        {
            if (!body.TryGetProperty(name, out JsonElement value) || !ItemFields.HoldsAnything(value) || used.Contains(name)) continue;
            throw new RequestException(
                422,
                $"{name} would change the text that is scored, and this endpoint does not use it. Remove it, or put it into a message.");
        }
    }
}
