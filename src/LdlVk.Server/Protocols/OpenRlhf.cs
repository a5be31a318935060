using System.Text.Json;
using LdlVk.Server.Http;
using LdlVk.Server.OpenApi;
using LdlVk.Server.Protocols.Bodies;

namespace LdlVk.Server.Protocols;

/// <summary>
/// OpenRLHF's remote reward model: <c>POST /get_reward {"query", "prompts", "labels"}</c>. Only the queries are read: whole
/// conversations with the chat template and its special tokens.
/// </summary>
internal sealed class OpenRlhf : Protocol
{
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
        List<string> queries = Fields.Strings(Fields.Get(body, "query"), "query", texts.MaxTexts);
        foreach (string query in queries) texts.AddTemplated(query);
        return new Answer.OfAll((json, rewards) =>
        {
            float[] scores = [.. rewards.Select(r => r.Score)];
            JsonSerializer.Serialize(json, new OpenRlhfAnswer { Rewards = scores, Scores = scores }, BodyJson.Own.OpenRlhfAnswer);
        });
    }

    public override void WriteError(Utf8JsonWriter json, RequestException error) =>
        JsonSerializer.Serialize(json, FastApiError.Of(error), BodyJson.Own.FastApiError);
}
