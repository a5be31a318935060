namespace LdlVk.SelfTest;

/// <summary>One check of one op.</summary>
/// <param name="Op">The op.</param>
/// <param name="Variant">What of it: a format, a shape, or what must not change the result.</param>
/// <param name="Run">Computes it; gives the largest error as a multiple of its bound, and what is wrong in words, or null.</param>
internal sealed record OpCheck(string Op, string Variant, Func<Operands, (double Worst, string? Fault)> Run);

/// <summary>What a check found.</summary>
/// <param name="Op">The op.</param>
/// <param name="Variant">What of it.</param>
/// <param name="Seconds">How long it took, the compilation of its kernels included.</param>
/// <param name="Worst">
/// The largest error as a multiple of its bound, which is that of an fp32 computation in any order; 0 where bits are compared.
/// </param>
/// <param name="Fault">What is wrong, in words; null if nothing is.</param>
/// <param name="Hangs">Whether the check has not ended; see <see cref="DeviceSelfTest.Close"/>.</param>
public sealed record CheckResult(string Op, string Variant, double Seconds, double Worst, string? Fault, bool Hangs = false);
