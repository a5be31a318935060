using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>The README's sample is the program that is built.</summary>
public sealed class ReadmeTests
{
    [Fact]
    public void TheSampleIsTheProgramInSamples()
    {
        string readme = File.ReadAllText(Repository.Path("README.md"));
        string sample = File.ReadAllText(Repository.Path("samples", "Quickstart", "Program.cs"));
        Assert.Contains($"```csharp\n{sample}```", readme, StringComparison.Ordinal);
        Assert.InRange(sample.Split('\n').Length, 1, 36);
    }
}
