namespace LdlVk.Evaluation.Benchmarks;

/// <summary>A line with a rejected response at or above a chosen one, with its texts.</summary>
/// <param name="Example">Its scores.</param>
/// <param name="Prompt">The prompt; for longer conversations, all turns.</param>
/// <param name="Chosen">The chosen response with the lowest score; in PPE that of the pair with the smallest margin.</param>
/// <param name="Rejected">The rejected response with the highest score; in PPE that of the same pair.</param>
public sealed record Miss(Example Example, string Prompt, string Chosen, string Rejected)
{
    /// <summary>The score of <see cref="Chosen"/>.</summary>
    public required float ChosenScore { get; init; }

    /// <summary>The score of <see cref="Rejected"/>.</summary>
    public required float RejectedScore { get; init; }
}
