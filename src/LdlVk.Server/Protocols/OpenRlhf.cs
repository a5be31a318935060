using System.Text.Json;
using LdlVk.Server.Http;
using LdlVk.Server.OpenApi;
using LdlVk.Server.Protocols.Bodies;

namespace LdlVk.Server.Protocols;

/// <summary>
/// OpenRLHF's remote reward model: <c>POST /get_reward {"query", "prompts", "labels"}</c>. The queries are whole conversations, template
/// and special tokens included, which is all that is read. Padding at their ends and an <c>&lt;eos&gt;</c> behind them are dropped, as
/// OpenRLHF's own server drops them: the model's reward is read where the conversation ends.
/// </summary>
internal sealed class OpenRlhf : Protocol
{
    private const string Pad = "<pad>", Eos = "<eos>";

    public override string Path => "/get_reward";

    public override Operation Operation { get; } = new("getReward", "OpenRLHF", "Score texts for OpenRLHF's remote reward model")
    {
        Request = typeof(OpenRlhfRequest), Answer = typeof(OpenRlhfAnswer), Error = typeof(FastApiError), ErrorType = "application/json",
        Example = $$"""
            {"query":["{{Conversation}}"],"prompts":["Define \"sea\"."],"labels":[""]}
            """,
    };

    public override Answer Read(JsonElement body, TextIntake texts)
    {
        List<string> queries = Fields.Strings(Fields.Get(body, "query"), "query", texts.Most);
        foreach (string query in queries) texts.AddTemplated(Strip(query));
        return new Answer.OfAll((json, rewards) =>
        {
            float[] scores = [.. rewards.Select(r => r.Score)];
            JsonSerializer.Serialize(json, new OpenRlhfAnswer { Rewards = scores, Scores = scores }, BodyJson.Own.OpenRlhfAnswer);
        });
    }

    public override void WriteError(Utf8JsonWriter json, RequestException error) =>
        JsonSerializer.Serialize(json, FastApiError.Of(error), BodyJson.Own.FastApiError);

    private static string Strip(string query)
    {
        ReadOnlySpan<char> text = query;
        while (text.StartsWith(Pad, StringComparison.Ordinal)) text = text[Pad.Length..];
        while (text.EndsWith(Pad, StringComparison.Ordinal)) text = text[..^Pad.Length];
        while (text.EndsWith(Eos, StringComparison.Ordinal)) text = text[..^Eos.Length];
        return text.ToString();
    }
}
