namespace LdlVk.Extensions.AI;

/// <summary>Settings of a <see cref="RewardEvaluator"/>.</summary>
public sealed record RewardEvaluatorOptions
{
    /// <summary>
    /// The lowest score that passes; null for no judgment. Scores have no common scale: choose it from scores of your own data.
    /// </summary>
    public double? Threshold { get; init; }

    /// <summary>
    /// The lowest value that passes, from 0 (bad) to 1 (good), by the name of an attribute. Attributes without one are not judged.
    /// </summary>
    public IReadOnlyDictionary<string, double> AttributeThresholds { get; init; } = new Dictionary<string, double>();

    /// <summary>Whether each attribute of the model is a metric too.</summary>
    public bool IncludeAttributes { get; init; } = true;

    /// <summary>
    /// Treatment of special tokens within a message, by a local model and by a server. As text, a response cannot end its turn and add
    /// one of its own.
    /// </summary>
    public SpecialTokens SpecialTokens { get; init; } = SpecialTokens.Text;
}
