using System.Text.Json;
using LdlVk.Server.Http;
using LdlVk.Server.OpenApi;
using LdlVk.Server.Protocols.Bodies;

namespace LdlVk.Server.Protocols;

/// <summary>SGLang's <c>/classify</c>: a list gives a list, a single text one object.</summary>
internal static class SgLang
{
    /// <summary>Returns the name of the request's text field; null if the request is not in SGLang's format.</summary>
    public static string? Find(JsonElement body) =>
        ((string[])["text", "input_ids"]).FirstOrDefault(name => Fields.Find(body, name) is not null);

    public static Answer Read(JsonElement body, string field, TextIntake texts)
    {
        JsonElement value = body.GetProperty(field);
        OpenAiInput.Read(body, field, texts);
        bool one = value.ValueKind == JsonValueKind.String
            || (value.ValueKind == JsonValueKind.Array && value.GetArrayLength() > 0 && value[0].ValueKind == JsonValueKind.Number);
        return new Answer.OfAll((json, rewards) =>
        {
            SgLangEntry[] entries = [.. rewards.Select(reward => new SgLangEntry
            {
                Embedding = [reward.Score],
                MetaInfo = new SgLangMetaInfo { Id = Guid.NewGuid().ToString("N"), PromptTokens = reward.Tokens },
            })];
            if (one) JsonSerializer.Serialize(json, entries[0], BodyJson.Own.SgLangEntry);
            else JsonSerializer.Serialize(json, entries, BodyJson.Own.SgLangEntryArray);
        });
    }
}

/// <summary><c>POST /v1/embeddings</c>, which verl calls for SGLang; it reads <c>data[-1].embedding[-1]</c>.</summary>
internal sealed class Embeddings : Protocol
{
    public override string Path => "/v1/embeddings";

    public override Operation Operation { get; } = new(
        "embed", "SGLang", "Score texts, with each score as data[].embedding, which verl reads")
    {
        Request = typeof(EmbeddingsRequest), Answer = typeof(EmbeddingList), Error = typeof(SgLangError), ErrorType = "application/json",
        Example = $$"""
            {"model":"any","input":"{{Conversation}}"}
            """,
    };

    public override IReadOnlyList<string> ScoreFieldsUsed => Vllm.InputFields;

    public override Answer Read(JsonElement body, TextIntake texts)
    {
        bool base64 = OpenAiInput.WantsBase64(body);
        CheckOneOf(body, "input", "messages", "text", "input_ids");
        OpenAiInput.Read(body, "input", texts);
        string model = texts.ModelName;
        return new Answer.OfAll((json, rewards) =>
        {
            EmbeddingList list = new()
            {
                Data = [.. rewards.Select(
                    (reward, i) => new EmbeddingEntry { Index = i, Embedding = new EncodedScore(reward.Score, base64) })],
                Model = model, Usage = Usage.Of(rewards),
            };
            JsonSerializer.Serialize(json, list, BodyJson.Own.EmbeddingList);
        });
    }

    /// <summary>SGLang reports every invalid field with status 400.</summary>
    public override int StatusOf(RequestException error) => error.Status == 422 ? 400 : error.Status;

    /// <summary>Writes an error in SGLang's format: <c>{"object": "error", "message", "type", "param", "code"}</c>.</summary>
    public override void WriteError(Utf8JsonWriter json, RequestException error)
    {
        string type = error.Status >= 500 ? "InternalServerError" : "BadRequestError";
        VllmErrorBody inner = new() { Message = error.Message, Type = type, Code = StatusOf(error) };
        SgLangError body = new()
        {
            Error = inner, Message = error.Message, Type = type, Code = StatusOf(error), Errors = error.ErrorsOrNull,
        };
        JsonSerializer.Serialize(json, body, BodyJson.Own.SgLangError);
    }
}
