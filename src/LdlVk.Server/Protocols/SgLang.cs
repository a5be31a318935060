using System.Text.Json;
using LdlVk.Runtime.Model;
using LdlVk.Server.Http;

namespace LdlVk.Server.Protocols;

/// <summary>SGLang's <c>/classify</c>: a list gives a list, a single text one object.</summary>
internal static class SgLang
{
    /// <summary>The name of SGLang's own field of texts; null in a request that is not SGLang's.</summary>
    public static string? Find(JsonElement body) => ((string[])["text", "input_ids"]).FirstOrDefault(name => Fields.Find(body, name) is not null);

    public static Answer Read(JsonElement body, string field, TextIntake texts)
    {
        JsonElement value = body.GetProperty(field);
        OpenAiInput.Read(value, field, texts);
        bool one = value.ValueKind == JsonValueKind.String || (value.ValueKind == JsonValueKind.Array && value.GetArrayLength() > 0 && value[0].ValueKind == JsonValueKind.Number);
        return new Answer.OfAll((json, rewards) =>
        {
            if (!one) json.WriteStartArray();
            foreach (Reward reward in rewards)
            {
                json.WriteStartObject();
                OpenAiInput.WriteScore(json, "embedding", reward, base64: false);
                json.WriteStartObject("meta_info");
                json.WriteString("id", Guid.NewGuid().ToString("N"));
                json.WriteNumber("prompt_tokens", reward.Tokens);
                json.WriteEndObject();
                json.WriteEndObject();
            }

            if (!one) json.WriteEndArray();
        });
    }
}

/// <summary><c>POST /v1/embeddings</c>, by which verl asks SGLang: it reads <c>data[-1].embedding[-1]</c>.</summary>
internal sealed class Embeddings : Protocol
{
    public override string Path => "/v1/embeddings";

    public override Answer Read(JsonElement body, TextIntake texts)
    {
        bool base64 = OpenAiInput.WantsBase64(body);
        OpenAiInput.Read(Fields.Get(body, "input"), "input", texts);
        string model = texts.ModelName;
        return new Answer.OfAll((json, rewards) =>
        {
            json.WriteStartObject();
            json.WriteString("object", "list");
            json.WriteStartArray("data");
            foreach ((int i, Reward reward) in rewards.Index())
            {
                json.WriteStartObject();
                json.WriteString("object", "embedding");
                json.WriteNumber("index", i);
                OpenAiInput.WriteScore(json, "embedding", reward, base64);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteString("model", model);
            WriteUsage(json, rewards);
            json.WriteEndObject();
        });
    }

    /// <summary>SGLang has 400 for whatever is wrong with the fields.</summary>
    public override int StatusOf(RequestException error) => error.Status == 422 ? 400 : error.Status;

    /// <summary>As SGLang: <c>{"object": "error", "message", "type", "param", "code"}</c>.</summary>
    public override void WriteError(Utf8JsonWriter json, RequestException error)
    {
        json.WriteStartObject();
        json.WriteString("object", "error");
        json.WriteString("message", error.Message);
        json.WriteString("type", error.Status >= 500 ? "InternalServerError" : "BadRequestError");
        json.WriteNull("param");
        json.WriteNumber("code", StatusOf(error));
        Problem.WriteErrors(json, error);
        json.WriteEndObject();
    }
}
