using System.Text.Json;
using LdlVk.Server.Http;
using LdlVk.Server.OpenApi;
using LdlVk.Server.Protocols.Bodies;

namespace LdlVk.Server.Protocols;

/// <summary>
/// LLaMA-Factory's <c>POST /v1/score/evaluation</c>: texts that already contain the chat template. <c>max_length</c> keeps their first
/// tokens.
/// </summary>
internal sealed class LlamaFactory : Protocol
{
    public override string Path => "/v1/score/evaluation";

    public override Operation Operation { get; } = new("evaluateScores", "LLaMA-Factory", "Score texts for LLaMA-Factory")
    {
        Request = typeof(EvaluationRequest), Answer = typeof(EvaluationAnswer), Error = typeof(FastApiError),
        ErrorType = "application/json",
        Example = $$"""
            {"model":"any","messages":["{{Conversation}}"]}
            """,
    };

    public override IReadOnlyList<string> ScoreFieldsUsed => ["max_length"];

    public override Answer Read(JsonElement body, TextIntake texts)
    {
        JsonElement messages = Fields.Get(body, "messages");
        if (messages.ValueKind == JsonValueKind.String) throw Fields.Wrong(messages, "messages", "a list of strings");
        List<string> read = Fields.Strings(messages, "messages", texts.MaxTexts);
        if (read.Count == 0) throw new RequestException(400, "Invalid length");
        Truncation cut = Fields.OptionalInteger(body, "max_length", 1) is { } max ? Truncation.KeepBeginning(max) : default;
        foreach (string text in read) texts.AddTemplated(text, cut: cut);
        string model = texts.ModelName;
        return new Answer.OfAll((json, rewards) =>
        {
            EvaluationAnswer answer = new() { Id = NewId("scoreeval"), Model = model, Scores = [.. rewards.Select(r => r.Score)] };
            JsonSerializer.Serialize(json, answer, BodyJson.Own.EvaluationAnswer);
        });
    }

    public override void WriteError(Utf8JsonWriter json, RequestException error) =>
        JsonSerializer.Serialize(json, FastApiError.Of(error), BodyJson.Own.FastApiError);
}
