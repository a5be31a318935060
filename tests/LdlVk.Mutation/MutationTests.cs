namespace LdlVk.Mutation;

/// <summary>
/// Some thousand mutants of each reader, the same each time. The project's program makes any number of them:
/// <c>dotnet run --project tests/LdlVk.Mutation -c Release -- --mutants 400000</c>.
/// </summary>
[Trait("Duration", "Long")]
public sealed class MutationTests
{
    private const int Mutants = 4_000;

    private static readonly TimeSpan MaxTime = TimeSpan.FromSeconds(3);

    public static TheoryData<string> All => [.. Readers.Names];

    [Theory]
    [MemberData(nameof(All))]
    public void No_mutant_ends_in_an_internal_error_or_takes_long(string name)
    {
        using Reader reader = Readers.Create(name);
        MutationResult result = MutationRun.Of(reader, seed: 17, Mutants, MaxTime);
        TestContext.Current.TestOutputHelper?.WriteLine($"{MutationRun.Header}\n{result}");
        Assert.True(result.Failures.Count == 0, string.Join('\n', result.Failures));
        Assert.True(result.Mutants > 0);
    }
}
