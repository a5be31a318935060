using LdlVk.SelfTest;
using Xunit;

namespace LdlVk.Testing;

/// <summary>Comparisons that fail a test and say where: the worst element, what was got, wanted, and allowed.</summary>
public static class Check
{
    /// <summary>Every element within its own bound. A result that is not finite passes only if the same was wanted.</summary>
    public static void Close(string what, Matrix got, double[] wanted, double[] bounds)
    {
        if (ErrorBounds.Close(got, wanted, bounds).Fault is { } fault) Assert.Fail($"{what}: {fault}");
    }

    /// <summary>The same bits.</summary>
    public static void SameBits(string what, Matrix got, Matrix wanted)
    {
        if (ErrorBounds.SameBits(got, wanted) is { } fault) Assert.Fail($"{what}: {fault}");
    }
}
