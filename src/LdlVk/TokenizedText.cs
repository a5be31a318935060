namespace LdlVk;

/// <summary>A text as token ids, or the reason why it has none.</summary>
/// <param name="Ids">The ids; empty where there is an error.</param>
/// <param name="Error">Why there are none; null if there are.</param>
public readonly record struct TokenizedText(int[] Ids, Notice? Error = null)
{
    /// <summary>The index of each step's last token, for a process reward model; null for a text without marked steps.</summary>
    public int[]? Steps { get; init; }

    /// <summary>
    /// Whether the model is read at every token (<see cref="RewardModel.ScoresTokens"/>): <see cref="Reward.TokenScores"/> has the score of
    /// the text up to each, and the reward's score is the last of them.
    /// </summary>
    public bool EveryToken { get; init; }

    /// <summary>A text that could not be tokenized.</summary>
    public static TokenizedText Failed(Notice error) => new([], error);
}
