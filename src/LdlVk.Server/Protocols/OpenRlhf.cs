using System.Text.Json;
using LdlVk.Server.Http;

namespace LdlVk.Server.Protocols;

/// <summary>
/// OpenRLHF's remote reward model: <c>POST /get_reward {"query", "prompts", "labels"}</c>. The queries are whole conversations, template and
/// special tokens included, which is all that is read. Padding at their ends and an <c>&lt;eos&gt;</c> behind them are dropped, as
/// OpenRLHF's own server drops them: the model's reward is read where the conversation ends.
/// </summary>
internal sealed class OpenRlhf : Protocol
{
    private const string Pad = "<pad>", Eos = "<eos>";

    public override string Path => "/get_reward";

    public override Answer Read(JsonElement body, TextIntake texts)
    {
        List<string> queries = Fields.Strings(Fields.Get(body, "query"), "query", texts.Most);
        foreach (string query in queries) texts.AddTemplated(Strip(query));
        return new Answer.OfAll((json, rewards) =>
        {
            json.WriteStartObject();
            foreach (string name in (string[])["rewards", "scores"])
            {
                json.WriteStartArray(name);
                foreach (var reward in rewards) json.WriteNumberValue(reward.Score);
                json.WriteEndArray();
            }

            json.WriteStartObject("extra_logs");
            json.WriteEndObject();
            json.WriteEndObject();
        });
    }

    public override void WriteError(Utf8JsonWriter json, RequestException error) => Problem.WriteDetail(json, error);

    private static string Strip(string query)
    {
        ReadOnlySpan<char> text = query;
        while (text.StartsWith(Pad, StringComparison.Ordinal)) text = text[Pad.Length..];
        while (text.EndsWith(Pad, StringComparison.Ordinal)) text = text[..^Pad.Length];
        while (text.EndsWith(Eos, StringComparison.Ordinal)) text = text[..^Eos.Length];
        return text.ToString();
    }
}
