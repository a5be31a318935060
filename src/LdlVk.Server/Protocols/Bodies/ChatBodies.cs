using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;

namespace LdlVk.Server.Protocols.Bodies;

/// <summary>A conversation that ends with the response, for <c>/v1/chat/completions</c>.</summary>
internal sealed record ChatRequest
{
    public JsonElement? Model { get; init; }

    public required MessageBody[] Messages { get; init; }

    [DefaultValue(false), Description("True is refused: a score comes in one piece")]
    public bool? Stream { get; init; }

    [Description("Number of tokens to keep at the end of the text; -1 for as many as the model takes")]
    public int? TruncatePromptTokens { get; init; }

    [AllowedValues("text", "tokens"), DefaultValue("text"), Description("How special tokens in messages are read")]
    public string? SpecialTokens { get; init; }
}

/// <summary>A score in the form of a chat completion.</summary>
internal sealed record ChatAnswer
{
    public required string Id { get; init; }

    [AllowedValues("chat.completion")]
    public string Object => "chat.completion";

    [Description("Seconds since 1970")]
    public required long Created { get; init; }

    public required string Model { get; init; }

    public required IReadOnlyList<ChatChoice> Choices { get; init; }

    public required ChatUsage Usage { get; init; }
}

/// <summary>The one choice.</summary>
internal sealed record ChatChoice
{
    public int Index => 0;

    public required ChatMessage Message { get; init; }

    public required ChatLogprobs Logprobs { get; init; }

    [AllowedValues("stop")]
    public string FinishReason => "stop";
}

/// <summary>The score as a message: <c>reward:SCORE</c>.</summary>
internal sealed record ChatMessage
{
    public required string Role { get; init; }

    [Description("reward: and the raw score")]
    public required string Content { get; init; }

    public string? Refusal => null;
}

/// <summary>The scores by name.</summary>
internal sealed record ChatLogprobs
{
    [Description("The score, named reward, and the attributes' sub-scores from 0 to 1, if the model has attributes")]
    public required IReadOnlyList<ChatScore> Content { get; init; }

    public IReadOnlyList<ChatScore>? Refusal => null;
}

/// <summary>A score by name, where chat completions have a token and its logarithmic probability.</summary>
internal sealed record ChatScore
{
    [Description("The name")]
    public required string Token { get; init; }

    [Description("The score")]
    public required float Logprob { get; init; }

    public IReadOnlyList<int>? Bytes => null;

    public IReadOnlyList<ChatScore> TopLogprobs => [];
}

/// <summary>Number of tokens, as OpenAI counts them.</summary>
internal sealed record ChatUsage
{
    public required long PromptTokens { get; init; }

    public long CompletionTokens => 0;

    public required long TotalTokens { get; init; }

    public required PromptTokensDetails PromptTokensDetails { get; init; }
}
