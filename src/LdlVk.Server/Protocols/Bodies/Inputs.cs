using System.ComponentModel;
using LdlVk.Server.OpenApi;

namespace LdlVk.Server.Protocols.Bodies;

/// <summary>One string, or several.</summary>
[OneOf(typeof(string), typeof(string[]))]
internal sealed record Texts;

/// <summary>
/// One or several texts that already contain the chat template and its special tokens, or their token ids. A text without a bos token
/// gets one.
/// </summary>
[OneOf(typeof(string), typeof(string[]), typeof(int[]), typeof(int[][]))]
internal sealed record TextsOrIds;

/// <summary>A message of a conversation.</summary>
internal sealed record MessageBody
{
    public required string Role { get; init; }

    public required string Content { get; init; }
}

/// <summary>Number of tokens of all texts, as OpenAI counts them.</summary>
internal sealed record Usage
{
    public required long PromptTokens { get; init; }

    public required long TotalTokens { get; init; }

    public required PromptTokensDetails PromptTokensDetails { get; init; }

    public static Usage Of(IEnumerable<Reward> rewards)
    {
        long tokens = 0, cached = 0;
        foreach (Reward reward in rewards) (tokens, cached) = (tokens + reward.Tokens, cached + reward.CachedTokens);
        return new Usage
        {
            PromptTokens = tokens, TotalTokens = tokens, PromptTokensDetails = new PromptTokensDetails { CachedTokens = cached },
        };
    }
}

/// <summary>Where the tokens came from, as OpenAI counts them.</summary>
internal sealed record PromptTokensDetails
{
    [Description("Tokens that were not computed because the prompt cache had them")]
    public required long CachedTokens { get; init; }
}
