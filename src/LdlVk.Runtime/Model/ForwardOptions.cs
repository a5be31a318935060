namespace LdlVk.Runtime.Model;

/// <summary>Options of a forward pass: arithmetic, and outputs in addition to the rewards.</summary>
/// <param name="Compute">How the backbone's matrix products are computed.</param>
/// <param name="Trace">
/// Receives all intermediates; null for none. With a trace, every row goes through every layer, so that all intermediates can be compared.
/// The rewards are bitwise the same.
/// </param>
/// <param name="ReadsHidden">Whether the hidden states that the head reads are read back too.</param>
internal sealed record ForwardOptions(ComputeMode Compute, ITrace? Trace = null, bool ReadsHidden = false);
