using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;

namespace LdlVk.Server.Protocols.Bodies;

/// <summary>Texts for SGLang.</summary>
internal sealed record SgLangTextRequest
{
    public JsonElement? Model { get; init; }

    public required TextsOrIds Text { get; init; }
}

/// <summary>Token ids for SGLang.</summary>
internal sealed record SgLangIdsRequest
{
    public JsonElement? Model { get; init; }

    public required TextsOrIds InputIds { get; init; }
}

/// <summary>A text's score as SGLang gives it.</summary>
internal sealed record SgLangEntry
{
    [Description("The raw score, a list of one number")]
    public required IReadOnlyList<float> Embedding { get; init; }

    public required SgLangMetaInfo MetaInfo { get; init; }
}

/// <summary>Metadata of a text in SGLang's format.</summary>
internal sealed record SgLangMetaInfo
{
    public required string Id { get; init; }

    public required int PromptTokens { get; init; }
}

/// <summary>A request of <c>/v1/embeddings</c>.</summary>
internal sealed record EmbeddingsRequest : InputRequest
{
    [AllowedValues("float", "base64"), DefaultValue("float")]
    public string? EncodingFormat { get; init; }
}

/// <summary>An answer of <c>/v1/embeddings</c>.</summary>
internal sealed record EmbeddingList
{
    [AllowedValues("list")]
    public string Object => "list";

    public required IReadOnlyList<EmbeddingEntry> Data { get; init; }

    public required string Model { get; init; }

    public required Usage Usage { get; init; }
}

/// <summary>A text's score as an embedding.</summary>
internal sealed record EmbeddingEntry
{
    [AllowedValues("embedding")]
    public string Object => "embedding";

    public required int Index { get; init; }

    public required EncodedScore Embedding { get; init; }
}
