using System.Text.Json;
using LdlVk.Server.Http;
using Microsoft.AspNetCore.WebUtilities;

namespace LdlVk.Server.Protocols;

/// <summary>Errors as <c>application/problem+json</c> (RFC 9457), with the texts that are wrong.</summary>
internal static class Problem
{
    public const string ContentType = "application/problem+json";

    public static void Write(Utf8JsonWriter json, RequestException error)
    {
        json.WriteStartObject();
        json.WriteString("type", "about:blank");
        json.WriteString("title", ReasonPhrases.GetReasonPhrase(error.Status));
        json.WriteNumber("status", error.Status);
        json.WriteString("detail", error.Message);
        WriteErrors(json, error);
        json.WriteEndObject();
    }

    /// <summary>As FastAPI does, with which many such servers are made: <c>{"detail"}</c>.</summary>
    public static void WriteDetail(Utf8JsonWriter json, RequestException error)
    {
        json.WriteStartObject();
        json.WriteString("detail", error.Message);
        WriteErrors(json, error);
        json.WriteEndObject();
    }

    /// <summary>The texts that are wrong, as <c>"errors": [{"index", "reason"}]</c>; nothing if the error is not about texts.</summary>
    public static void WriteErrors(Utf8JsonWriter json, RequestException error)
    {
        if (error.Errors.Count == 0) return;
        json.WriteStartArray("errors");
        foreach (TextError text in error.Errors)
        {
            json.WriteStartObject();
            json.WriteNumber("index", text.Index);
            json.WriteString("reason", text.Reason);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }
}
