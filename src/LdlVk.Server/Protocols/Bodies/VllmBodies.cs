using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.Json.Serialization;
using LdlVk.Server.OpenApi;

namespace LdlVk.Server.Protocols.Bodies;

/// <summary>A request of <c>/classify</c>.</summary>
[OneOf(typeof(InputRequest), typeof(MessagesRequest), typeof(SgLangTextRequest), typeof(SgLangIdsRequest))]
internal sealed record ClassifyRequest;

/// <summary>An answer of <c>/classify</c>.</summary>
[OneOf(typeof(VllmList<ClassifyEntry>), typeof(SgLangEntry[]), typeof(SgLangEntry))]
internal sealed record ClassifyAnswer;

/// <summary>A request of <c>/pooling</c>.</summary>
[OneOf(typeof(PoolingInputRequest), typeof(PoolingMessagesRequest))]
internal sealed record PoolingRequest;

/// <summary>Texts for vLLM.</summary>
internal record InputRequest
{
    public JsonElement? Model { get; init; }

    public required TextsOrIds Input { get; init; }

    [DefaultValue(true)]
    public bool? AddSpecialTokens { get; init; }

    [Description("Number of tokens to keep at the end of each text; all if less than 1")]
    public int? TruncatePromptTokens { get; init; }
}

/// <summary>Texts for <c>/pooling</c>.</summary>
internal sealed record PoolingInputRequest : InputRequest
{
    [AllowedValues("float", "base64"), DefaultValue("float")]
    public string? EncodingFormat { get; init; }
}

/// <summary>A conversation for <c>/pooling</c>.</summary>
internal sealed record PoolingMessagesRequest : MessagesRequest
{
    [AllowedValues("float", "base64"), DefaultValue("float")]
    public string? EncodingFormat { get; init; }
}

/// <summary>A conversation for vLLM.</summary>
internal record MessagesRequest
{
    public JsonElement? Model { get; init; }

    public required MessageBody[] Messages { get; init; }

    [AllowedValues("text", "tokens"), DefaultValue("text"), Description("How special tokens in messages are read")]
    public string? SpecialTokens { get; init; }
}

/// <summary>
/// Pairs of a prompt and a response, or one prompt for all responses. Other names of the two fields are queries and documents (or
/// items), and data_1 and data_2.
/// </summary>
internal sealed record ScoreRequest
{
    [JsonPropertyName("text_1")]
    public required Texts Text1 { get; init; }

    [JsonPropertyName("text_2")]
    public required Texts Text2 { get; init; }

    [AllowedValues("text", "tokens"), DefaultValue("text"), Description("How special tokens in messages are read")]
    public string? SpecialTokens { get; init; }
}

/// <summary>An answer of vLLM.</summary>
/// <typeparam name="T">The type of the entry of a text.</typeparam>
internal sealed record VllmList<T>
{
    public required string Id { get; init; }

    [AllowedValues("list")]
    public string Object => "list";

    [Description("Seconds since 1970")]
    public required long Created { get; init; }

    public required string Model { get; init; }

    public required IReadOnlyList<T> Data { get; init; }

    public required Usage Usage { get; init; }
}

/// <summary>A text's score as <c>/classify</c> gives it.</summary>
internal sealed record ClassifyEntry
{
    public required int Index { get; init; }

    [AllowedValues("LABEL_0")]
    public string Label => "LABEL_0";

    [Description("The raw score, a list of one number")]
    public required IReadOnlyList<float> Probs { get; init; }

    public int NumClasses => 1;
}

/// <summary>A text's score as <c>/pooling</c> gives it.</summary>
internal sealed record PoolingEntry
{
    public required int Index { get; init; }

    [AllowedValues("pooling")]
    public string Object => "pooling";

    public required EncodedScore Data { get; init; }
}

/// <summary>A text's score as <c>/score</c> gives it.</summary>
internal sealed record ScoreEntry
{
    public required int Index { get; init; }

    [AllowedValues("score")]
    public string Object => "score";

    public required float Score { get; init; }
}
