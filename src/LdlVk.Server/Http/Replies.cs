using System.Buffers;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using LdlVk.Server.Protocols;
using LdlVk.Server.Protocols.Bodies;
using Microsoft.AspNetCore.Http;

namespace LdlVk.Server.Http;

/// <summary>Writes answers.</summary>
internal static class Replies
{
    // Non-ASCII letters need no escapes: browsers never interpret the answers as HTML (nosniff).
    private static readonly JsonWriterOptions Compact = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes JSON in one piece.</summary>
    public static Task JsonAsync(HttpResponse response, int status, string type, Action<Utf8JsonWriter> write)
    {
        ArrayBufferWriter<byte> buffer = new();
        Json(buffer, write);
        return BytesAsync(response, status, type, buffer.WrittenMemory);
    }

    /// <summary>Writes a value as JSON.</summary>
    public static Task JsonAsync<T>(HttpResponse response, int status, T value, JsonTypeInfo<T> type) =>
        BytesAsync(response, status, "application/json", JsonSerializer.SerializeToUtf8Bytes(value, type));

    /// <summary>Writes JSON to a buffer.</summary>
    public static void Json(IBufferWriter<byte> buffer, Action<Utf8JsonWriter> write)
    {
        using Utf8JsonWriter json = new(buffer, Compact);
        write(json);
    }

    /// <summary>Writes an error in the format of a protocol, or as problem+json.</summary>
    public static Task ErrorAsync(HttpResponse response, RequestException error, Protocol? protocol)
    {
        if (response.HasStarted) return Task.CompletedTask;
        if (error.RetryAfter is { } after)
            response.Headers.RetryAfter = ((long)Math.Ceiling(after.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
        if (error.Status == 401) response.Headers.WWWAuthenticate = "Bearer";
        // Do not wait for the rest of the body.
        if (error.Status is 408 or 413) response.Headers.Connection = "close";
        return protocol is null
            ? JsonAsync(
                response,
                error.Status,
                Problem.ContentType,
                json => JsonSerializer.Serialize(json, Problem.Of(error), BodyJson.Own.Problem))
            : JsonAsync(response, protocol.StatusOf(error), protocol.Operation.ErrorType, json => protocol.WriteError(json, error));
    }

    /// <summary>Writes bytes.</summary>
    public static async Task BytesAsync(HttpResponse response, int status, string type, ReadOnlyMemory<byte> bytes)
    {
        response.StatusCode = status;
        response.ContentType = type;
        response.ContentLength = bytes.Length;
        await response.Body.WriteAsync(bytes, response.HttpContext.RequestAborted).ConfigureAwait(false);
    }
}
