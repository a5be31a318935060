using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using LdlVk.Server.OpenApi;

namespace LdlVk.Server.Protocols.Bodies;

/// <summary>One item, or several as {"items": […]}.</summary>
[OneOf(typeof(MessagesItem), typeof(ResponseItem), typeof(ResponsesItem), typeof(TokensItem), typeof(RenderItemsRequest))]
internal sealed record RenderRequest;

/// <summary>Several items.</summary>
internal sealed record RenderItemsRequest
{
    public required RewardItem[] Items { get; init; }

    [DefaultValue(false), Description("Whether the answer also has token ids, and the position at which the score is read")]
    public bool? Ids { get; init; }

    [AllowedValues("text", "tokens"), DefaultValue("text"), Description("How special tokens in messages are read")]
    public string? SpecialTokens { get; init; }
}

/// <summary>Texts as the model reads them.</summary>
internal sealed record RenderedList
{
    [AllowedValues("list")]
    public string Object => "list";

    public required string Model { get; init; }

    public required IReadOnlyList<RenderedText> Data { get; init; }
}

/// <summary>A text as the model reads it, or the reason why there is none.</summary>
internal sealed record RenderedText
{
    public required int Index { get; init; }

    [Description("The text with its template and special tokens; absent of a text that is given as token ids")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Text { get; init; }

    [Description("Its token ids, if ids is true")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? Ids { get; init; }

    [Description("The index of the token at which the score is read, if ids is true")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Position { get; init; }

    [Description("The index of the token at which the gates are read, of a model with gates, if ids is true")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? GatePosition { get; init; }

    [Description("The indices of the steps' last tokens, of a process reward model, if ids is true")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? StepPositions { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public RewardError? Error { get; init; }
}
