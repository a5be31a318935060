using LdlVk.Testing;

namespace LdlVk.Tests;

/// <summary>What the tests of the prompt cache score: answers to more prompts than the cache has room for.</summary>
internal static class CachedPrompts
{
    /// <summary>The number of prompts, of which eight fit into <see cref="Room"/>.</summary>
    public const int Prompts = 12;

    /// <summary>The length of a prompt.</summary>
    public const int PromptTokens = 30;

    /// <summary>Tokens of the cache: the least that holds a prompt by the rule of the plan.</summary>
    public const int Room = 256;

    /// <summary>The checkpoint.</summary>
    public static string Folder { get; } = Goldens.Read("b_bf16_sharded").Folder;

    /// <summary>Five answers to each prompt, one prompt after another.</summary>
    public static TokenizedText[] Texts { get; } =
    [
        .. from answer in Enumerable.Range(0, 5)
           from prompt in Enumerable.Range(0, Prompts)
           select new TokenizedText(
               [2, 106, 7, .. Enumerable.Range(2, PromptTokens - 3).Select(i => 2 + (i * (prompt + 3) % 190)), 7 + answer, 20 + prompt, 5]),
    ];

    /// <summary>Each text's score with fp16 weights, alone and without a cache.</summary>
    /// <param name="device">A device's name.</param>
    public static float[] Alone(string device)
    {
        RewardModelOptions options = new() { Device = device, BatchTokens = 64, Weights = WeightFormat.Fp16, PromptCache = 0, PromptCacheHost = 0 };
        using RewardModel model = RewardModel.Load(Folder, options);
        return [.. Texts.Select(text => model.ScoreTogether([text])[0].Value.Score)];
    }
}
