using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using LdlVk.Server.OpenApi;

namespace LdlVk.Server.Protocols.Bodies;

/// <summary>A request of <c>/tokenize</c>.</summary>
[OneOf(typeof(TokenizeTextRequest), typeof(TokenizeMessagesRequest))]
internal sealed record TokenizeRequest;

/// <summary>A text to tokenize.</summary>
internal sealed record TokenizeTextRequest
{
    public JsonElement? Model { get; init; }

    public required string Prompt { get; init; }

    [DefaultValue(true), Description("Whether the text gets a bos token if it does not begin with one")]
    public bool? AddSpecialTokens { get; init; }

    [DefaultValue(false)]
    public bool? ReturnTokenStrs { get; init; }
}

/// <summary>A conversation to tokenize with the model's template.</summary>
internal sealed record TokenizeMessagesRequest
{
    public JsonElement? Model { get; init; }

    public required MessageBody[] Messages { get; init; }

    [AllowedValues("text", "tokens"), DefaultValue("text"), Description("How special tokens in messages are read")]
    public string? SpecialTokens { get; init; }

    [DefaultValue(true), Description("Whether the opening of the next turn follows; what is scored has none")]
    public bool? AddGenerationPrompt { get; init; }

    [DefaultValue(false)]
    public bool? ReturnTokenStrs { get; init; }
}

/// <summary>An answer of <c>/tokenize</c>.</summary>
internal sealed record TokenizeAnswer
{
    public required int Count { get; init; }

    [Description("Maximum number of tokens of a text")]
    public required int MaxModelLen { get; init; }

    public required IReadOnlyList<int> Tokens { get; init; }

    [Description("The tokens' pieces of the vocabulary, if asked for")]
    public IReadOnlyList<string>? TokenStrs { get; init; }
}

/// <summary>A request of <c>/detokenize</c>.</summary>
internal sealed record DetokenizeRequest
{
    public JsonElement? Model { get; init; }

    public required int[] Tokens { get; init; }
}

/// <summary>An answer of <c>/detokenize</c>.</summary>
internal sealed record DetokenizeAnswer
{
    public required string Prompt { get; init; }
}
