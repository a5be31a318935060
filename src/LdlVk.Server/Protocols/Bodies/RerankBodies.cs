using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.Json.Serialization;
using LdlVk.Server.OpenApi;

namespace LdlVk.Server.Protocols.Bodies;

/// <summary>A request of <c>/v1/rerank</c>.</summary>
internal sealed record RerankDocumentsRequest
{
    public JsonElement? Model { get; init; }

    [Description("The prompt")]
    public required string Query { get; init; }

    [Description("The responses")]
    public required DocumentTexts[] Documents { get; init; }

    [Description("Number of results; all if 0 or absent")]
    public int? TopN { get; init; }

    [DefaultValue(true)]
    public bool? ReturnDocuments { get; init; }

    [Description("Number of tokens to keep at the end of each text; -1 for as many as the model takes")]
    public int? TruncatePromptTokens { get; init; }

    [AllowedValues("text", "tokens"), DefaultValue("text"), Description("How special tokens in messages are read")]
    public string? SpecialTokens { get; init; }
}

/// <summary>A document as a string or as an object with its text.</summary>
[OneOf(typeof(string), typeof(RerankDocument))]
internal sealed record DocumentTexts;

/// <summary>A document.</summary>
internal sealed record RerankDocument
{
    public required string Text { get; init; }
}

/// <summary>An answer of <c>/v1/rerank</c>.</summary>
internal sealed record RerankAnswer
{
    public required string Id { get; init; }

    public required string Model { get; init; }

    public required Usage Usage { get; init; }

    public required IReadOnlyList<RerankResult> Results { get; init; }
}

/// <summary>A document's place.</summary>
internal sealed record RerankResult
{
    public required int Index { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public RerankDocument? Document { get; init; }

    [Description("The raw score")]
    public required float RelevanceScore { get; init; }
}
