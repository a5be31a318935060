namespace LdlVk.Evaluation.Benchmarks;

/// <summary>The scores of one setting.</summary>
/// <param name="Name">The setting as given on the command line.</param>
/// <param name="Used">The device and the formats that were used.</param>
/// <param name="Examples">The lines that could be scored, in order.</param>
/// <param name="Failures">The first lines that could not.</param>
/// <param name="Input">Digest of all lines that were read.</param>
public sealed record SettingRun(
    string Name, string Used, IReadOnlyList<Example> Examples, IReadOnlyList<FailedLine> Failures, string Input);
