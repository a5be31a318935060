namespace LdlVk.Runtime.Model;

/// <summary>How a forward pass computes, and what it gives beside the rewards.</summary>
/// <param name="Compute">How the backbone's matrix products are computed.</param>
/// <param name="Trace">
/// Takes all intermediates; null for none. With a trace every row goes through every layer, so that all intermediates can be compared; the
/// rewards have the same bits.
/// </param>
/// <param name="ReadsHidden">Whether the hidden states that the head reads are read back too.</param>
internal sealed record ForwardOptions(ComputeMode Compute, ITrace? Trace = null, bool ReadsHidden = false);
