namespace LdlVk.Evaluation.Benchmarks;

/// <summary>A line that the model has the wrong way round, with its texts.</summary>
/// <param name="Example">Its scores.</param>
/// <param name="Prompt">What was asked; of a longer conversation all turns.</param>
/// <param name="Chosen">The chosen response with the lowest score.</param>
/// <param name="Rejected">The rejected response with the highest score.</param>
public sealed record Miss(Example Example, string Prompt, string Chosen, string Rejected);
