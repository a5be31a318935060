using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.Json.Serialization;
using LdlVk.Server.OpenApi;

namespace LdlVk.Server.Protocols.Bodies;

/// <summary>One item, or several as {"items": […]}.</summary>
[OneOf(
    typeof(MessagesItemRequest),
    typeof(ResponseItemRequest),
    typeof(ResponsesItemRequest),
    typeof(StepsItemRequest),
    typeof(TokensItemRequest),
    typeof(ItemsRequest))]
internal sealed record RewardsRequest;

/// <summary>An item: one text, or several responses to one prompt.</summary>
[OneOf(typeof(MessagesItem), typeof(ResponseItem), typeof(ResponsesItem), typeof(StepsItem), typeof(TokensItem))]
internal sealed record RewardItem;

/// <summary>A conversation that ends with the response.</summary>
internal record MessagesItem
{
    [Description("A string or a number that the answer repeats")]
    public JsonElement? Id { get; init; }

    public required MessageBody[] Messages { get; init; }
}

/// <summary>A conversation that ends with the response.</summary>
internal sealed record MessagesItemRequest : MessagesItem
{
    [DefaultValue(false), Description("Whether the answer also has what the model gives beside the score")]
    public bool? Details { get; init; }

    [AllowedValues("text", "tokens"), DefaultValue("text"), Description("How special tokens in messages are read")]
    public string? SpecialTokens { get; init; }
}

/// <summary>A prompt and a response.</summary>
internal record ResponseItem
{
    [Description("A string or a number that the answer repeats")]
    public JsonElement? Id { get; init; }

    public required string Prompt { get; init; }

    public required string Response { get; init; }
}

/// <summary>A prompt and a response.</summary>
internal sealed record ResponseItemRequest : ResponseItem
{
    [DefaultValue(false), Description("Whether the answer also has what the model gives beside the score")]
    public bool? Details { get; init; }

    [AllowedValues("text", "tokens"), DefaultValue("text"), Description("How special tokens in messages are read")]
    public string? SpecialTokens { get; init; }
}

/// <summary>A prompt and several responses.</summary>
internal record ResponsesItem
{
    [Description("A string or a number that the answer repeats")]
    public JsonElement? Id { get; init; }

    public required string Prompt { get; init; }

    public required string[] Responses { get; init; }
}

/// <summary>A prompt and several responses.</summary>
internal sealed record ResponsesItemRequest : ResponsesItem
{
    [DefaultValue(false), Description("Whether the answer also has what the model gives beside the score")]
    public bool? Details { get; init; }

    [AllowedValues("text", "tokens"), DefaultValue("text"), Description("How special tokens in messages are read")]
    public string? SpecialTokens { get; init; }
}

/// <summary>A prompt and a response in steps, for a process reward model.</summary>
internal record StepsItem
{
    [Description("A string or a number that the answer repeats")]
    public JsonElement? Id { get; init; }

    public required string Prompt { get; init; }

    public required string[] Steps { get; init; }
}

/// <summary>A prompt and a response in steps, for a process reward model.</summary>
internal sealed record StepsItemRequest : StepsItem
{
    [DefaultValue(false), Description("Whether the answer also has what the model gives beside the score")]
    public bool? Details { get; init; }

    [AllowedValues("text", "tokens"), DefaultValue("text"), Description("How special tokens in messages are read")]
    public string? SpecialTokens { get; init; }
}

/// <summary>A text as token ids.</summary>
internal record TokensItem
{
    [Description("A string or a number that the answer repeats")]
    public JsonElement? Id { get; init; }

    public required int[] InputIds { get; init; }

    [Description("The indices of the steps' last tokens, for a process reward model")]
    public int[]? StepPositions { get; init; }
}

/// <summary>A text as token ids.</summary>
internal sealed record TokensItemRequest : TokensItem
{
    [DefaultValue(false), Description("Whether the answer also has what the model gives beside the score")]
    public bool? Details { get; init; }

    [AllowedValues("text", "tokens"), DefaultValue("text"), Description("How special tokens in messages are read")]
    public string? SpecialTokens { get; init; }
}

/// <summary>Several items.</summary>
internal sealed record ItemsRequest
{
    public required RewardItem[] Items { get; init; }

    [DefaultValue(false), Description("Whether the answer also has what the model gives beside the score")]
    public bool? Details { get; init; }

    [AllowedValues("text", "tokens"), DefaultValue("text"), Description("How special tokens in messages are read")]
    public string? SpecialTokens { get; init; }
}

// Rewards writes it, with the result writer of datasets.
/// <summary>A reward, or the reason why there is none, for each text.</summary>
internal sealed record RewardList
{
    [AllowedValues("list")]
    public string Object => "list";

    public required string Model { get; init; }

    public required IReadOnlyList<RewardEntry> Data { get; init; }

    [Description("The score, if there is one text"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public float? Score { get; init; }

    public required Usage Usage { get; init; }
}

/// <summary>The reward of a text, or the reason why it has none.</summary>
internal sealed record RewardEntry
{
    public required int Index { get; init; }

    [Description("The item's id, if it has one"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public JsonElement? Id { get; init; }

    [Description("The item's index, from 0, in a request with items"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Item { get; init; }

    [Description("The response's index, from 0, in an item with responses"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Response { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public float? Score { get; init; }

    [Description("The score of each step, of a process reward model"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public float[]? Steps { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Tokens { get; init; }

    [Description("The weight of each attribute, if details are requested"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public float[]? Weights { get; init; }

    [Description("The score of each attribute (ArmoRM, QRM, URM), if details are requested")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public float[]? Attributes { get; init; }

    [Description("The attributes' scores behind the model's transform matrix, if it has one and details are requested")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public float[]? Adjusted { get; init; }

    [Description("Each attribute's quantiles (QRM), if details are requested")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public float[][]? Quantiles { get; init; }

    [Description("The score's distribution over its bins, if details are requested")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public float[]? Distribution { get; init; }

    [Description("Each attribute's distribution over the bins, if details are requested")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public float[][]? Rewards { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public RewardError? Error { get; init; }
}

/// <summary>Why a text has no reward.</summary>
internal sealed record RewardError
{
    public required string Message { get; init; }
}

/// <summary>A prompt with a and b, or with two or more responses.</summary>
internal sealed record CompareRequest
{
    public required string Prompt { get; init; }

    public string? A { get; init; }

    public string? B { get; init; }

    public string[]? Responses { get; init; }

    [AllowedValues("text", "tokens"), DefaultValue("text"), Description("How special tokens in messages are read")]
    public string? SpecialTokens { get; init; }
}

/// <summary>An answer of <c>/v1/compare</c>.</summary>
internal sealed record ComparisonAnswer
{
    public required IReadOnlyList<float> Scores { get; init; }

    [Description("The index of the best response; the first one if several are equal")]
    public required int Best { get; init; }

    [Description("The best score minus the second best")]
    public required double Margin { get; init; }

    [Description("σ(margin): the probability that the best response is better than the second best")]
    public required double Probability { get; init; }
}
