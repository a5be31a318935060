using System.Text.Json;
using LdlVk.Runtime.Model;
using LdlVk.Server.Http;

namespace LdlVk.Server.Protocols;

/// <summary>LLaMA-Factory's <c>POST /v1/score/evaluation</c>: texts that hold the template already; <c>max_length</c> keeps their first tokens.</summary>
internal sealed class LlamaFactory : Protocol
{
    public override string Path => "/v1/score/evaluation";

    public override Answer Read(JsonElement body, TextIntake texts)
    {
        JsonElement messages = Fields.Get(body, "messages");
        if (messages.ValueKind == JsonValueKind.String) throw Fields.Wrong(messages, "messages", "a list of strings");
        List<string> read = Fields.Strings(messages, "messages", texts.Most);
        if (read.Count == 0) throw new RequestException(400, "Invalid length");
        int most = Fields.OptionalInteger(body, "max_length", 1) ?? int.MaxValue;
        foreach (string text in read) texts.AddTemplated(text, cut: ids => ids.Length > most ? ids[..most] : ids);
        string model = texts.ModelName;
        return new Answer.OfAll((json, rewards) =>
        {
            json.WriteStartObject();
            json.WriteString("id", NewId("scoreeval"));
            json.WriteString("object", "score.evaluation");
            json.WriteString("model", model);
            json.WriteStartArray("scores");
            foreach (Reward reward in rewards) json.WriteNumberValue(reward.Score);
            json.WriteEndArray();
            json.WriteEndObject();
        });
    }

    public override void WriteError(Utf8JsonWriter json, RequestException error) => Problem.WriteDetail(json, error);
}
