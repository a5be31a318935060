using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using LdlVk.Server.OpenApi;

namespace LdlVk.Server.Protocols.Bodies;

/// <summary>A request of <c>/predict</c>.</summary>
internal sealed record PredictRequest
{
    public required PredictInputs Inputs { get; init; }

    [DefaultValue(false), Description("Whether the answer has the raw score instead of its sigmoid")]
    public bool? RawScores { get; init; }

    public bool? Truncate { get; init; }

    [AllowedValues("text", "tokens"), DefaultValue("text"), Description("How special tokens in messages are read")]
    public string? SpecialTokens { get; init; }
}

/// <summary>A text with its template, a pair [prompt, response], or a list of [text] and [prompt, response].</summary>
[OneOf(typeof(string), typeof(string[]), typeof(string[][]))]
internal sealed record PredictInputs;

/// <summary>The prediction of one text, or of each text of a list.</summary>
[OneOf(typeof(PredictEntry[]), typeof(PredictEntry[][]))]
internal sealed record PredictAnswer;

/// <summary>A text's score as a prediction.</summary>
internal sealed record PredictEntry
{
    public required float Score { get; init; }

    [AllowedValues("LABEL_0")]
    public string Label => "LABEL_0";
}

/// <summary>A request of <c>/rerank</c>.</summary>
[OneOf(typeof(RerankRequest), typeof(RerankDocumentsRequest))]
internal sealed record AnyRerankRequest;

/// <summary>An answer of <c>/rerank</c>.</summary>
[OneOf(typeof(RankEntry[]), typeof(RerankAnswer))]
internal sealed record AnyRerankAnswer;

/// <summary>A request of <c>/rerank</c> in the format of text-embeddings-inference.</summary>
internal sealed record RerankRequest
{
    [Description("The prompt")]
    public required string Query { get; init; }

    [Description("The responses")]
    public required string[] Texts { get; init; }

    [DefaultValue(false), Description("Whether the answer has the raw score instead of its sigmoid")]
    public bool? RawScores { get; init; }

    [DefaultValue(false)]
    public bool? ReturnText { get; init; }

    [DefaultValue(false), Description("Whether a text that is too long loses tokens from its middle instead of being refused")]
    public bool? Truncate { get; init; }

    [AllowedValues("text", "tokens"), DefaultValue("text"), Description("How special tokens in messages are read")]
    public string? SpecialTokens { get; init; }
}

/// <summary>A response of <c>/rerank</c>.</summary>
internal sealed record RankEntry
{
    public required int Index { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Text { get; init; }

    public required float Score { get; init; }
}

/// <summary>An error of <c>/rerank</c>, in the format of text-embeddings-inference or, of a request with documents, of vLLM.</summary>
[OneOf(typeof(TeiError), typeof(VllmError))]
internal sealed record AnyRerankError;
