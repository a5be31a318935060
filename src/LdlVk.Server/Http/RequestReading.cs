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

    /// <summary>Throws if one of a request's items says how special tokens are read, which the request says for all.</summary>
    public static void RefuseSpecialTokens(JsonElement item)
    {
        if (Fields.Find(item, "special_tokens") is not null)
            throw Fields.Error("special_tokens in an item would count for it alone, and a request has one for all. Put it beside items.");
    }

    /// <summary>Throws if a request has more than one of some fields.</summary>
    public static void CheckOneOf(JsonElement body, params string[] names)
    {
        string[] given = [.. names.Where(name => Fields.Find(body, name) is not null)];
        if (given.Length > 1) throw Fields.Error($"There are {string.Join(" and ", given)}, which do not go together.");
    }

    /// <summary>The request's treatment of special tokens in messages; null if it names none.</summary>
    public static SpecialTokens? SpecialTokensOf(JsonElement body) => Fields.OptionalString(body, "special_tokens") switch
    {
        null => null,
        "text" => SpecialTokens.Text,
        "tokens" => SpecialTokens.Tokens,
        _ => throw Fields.Wrong(body.GetProperty("special_tokens"), "special_tokens", "\"text\" or \"tokens\""),
    };
}
