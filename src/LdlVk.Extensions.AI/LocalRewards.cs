namespace LdlVk.Extensions.AI;

/// <summary>Scores with a model of this process.</summary>
internal sealed class LocalRewards(RewardModel model) : IRewardSource
{
    public IReadOnlyList<string> Attributes { get; } = model.AttributeNames;

    public IReadOnlyDictionary<string, string> Metadata { get; } = new Dictionary<string, string>
    {
        ["device"] = string.Join(", ", model.Devices.Select(device => device.Name)), ["weights"] = model.Weights.ToString(),
    };

    public async Task<Reward> ScoreAsync(Conversation conversation, RewardEvaluatorOptions options, CancellationToken cancellationToken)
    {
        try
        {
            return await Task.Run(
                () => model.Score(model.Tokenize(conversation, options.SpecialTokens), null, cancellationToken), cancellationToken)
                .ConfigureAwait(false);
        }
        catch (LdlVkException e)
        {
            throw new RewardFailedException(e.Message, e);
        }
    }
}
