namespace LdlVk.Evaluation.Benchmarks;

/// <summary>A line that could not be scored.</summary>
/// <param name="Number">Index of the line in the input, from 0.</param>
/// <param name="Id">Its id as JSON.</param>
/// <param name="Error">Why not.</param>
public sealed record FailedLine(long Number, string Id, string Error);
