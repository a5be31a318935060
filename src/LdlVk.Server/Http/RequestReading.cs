using System.Text.Json;
using LdlVk.Datasets.Items;

namespace LdlVk.Server.Http;

/// <summary>Reads the fields of requests; what is wrong is a <see cref="RequestException"/>.</summary>
internal static class RequestReading
{
    /// <summary>Reads a request's fields. A wrong field is 422, a list that is too long 413.</summary>
    public static JsonFields Fields { get; } = new("The item", sentence => new RequestException(422, sentence),
        (name, count, max) => new RequestException(413, $"{name} has {count} items; a request has at most {max}. Send several requests."));

    /// <summary>Reads items, which look like the lines of a data set.</summary>
    public static ItemReader Items { get; } = new(Fields);

    /// <summary>How the request wants special tokens in its messages to be read; null if it does not say.</summary>
    public static SpecialTokens? SpecialTokensOf(JsonElement body) => Fields.OptionalString(body, "special_tokens") switch
    {
        null => null,
        "text" => SpecialTokens.Text,
        "tokens" => SpecialTokens.Tokens,
        _ => throw Fields.Wrong(body.GetProperty("special_tokens"), "special_tokens", "\"text\" or \"tokens\""),
    };
}
