namespace LdlVk.Extensions.AI;

/// <summary>Scores conversations.</summary>
internal interface IRewardSource
{
    /// <summary>Names of the model's attributes; none for a model that gives the score alone.</summary>
    IReadOnlyList<string> Attributes { get; }

    /// <summary>Facts about the model, by name.</summary>
    IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Returns the reward of a conversation.</summary>
    /// <exception cref="RewardFailedException">It cannot be scored.</exception>
    Task<Reward> ScoreAsync(Conversation conversation, RewardEvaluatorOptions options, CancellationToken cancellationToken);
}

/// <summary>A response has no reward. The message says what, why, and what to do.</summary>
internal sealed class RewardFailedException(string message, Exception? inner = null) : Exception(message, inner);
