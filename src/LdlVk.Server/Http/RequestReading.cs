using System.Text.Json;
using LdlVk.Datasets.Items;

namespace LdlVk.Server.Http;

/// <summary>Reads the fields of requests. An invalid field is a <see cref="RequestException"/>.</summary>
internal static class RequestReading
{
    /// <summary>Reads a request's fields. An invalid field is status 422, a list that is too long is 413.</summary>
    public static JsonFields Fields { get; } = new("The item", sentence => new RequestException(422, sentence),
        (name, count, max) => new RequestException(413, $"{name} has {count} items; a request has at most {max}. Send several requests."));

    /// <summary>Reads items, which have the format of a dataset's lines.</summary>
    public static ItemReader Items { get; } = new(Fields);

    /// <summary>The request's treatment of special tokens in messages; null if it names none.</summary>
    public static SpecialTokens? SpecialTokensOf(JsonElement body) => Fields.OptionalString(body, "special_tokens") switch
    {
        null => null,
        "text" => SpecialTokens.Text,
        "tokens" => SpecialTokens.Tokens,
        _ => throw Fields.Wrong(body.GetProperty("special_tokens"), "special_tokens", "\"text\" or \"tokens\""),
    };
}
