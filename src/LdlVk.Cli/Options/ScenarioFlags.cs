using System.CommandLine;
using LdlVk.Benchmarking;

namespace LdlVk.Cli.Options;

/// <summary>The flags that specify the texts of a benchmark.</summary>
internal sealed class ScenarioFlags
{
    private readonly Option<string?> _tokens = new("--tokens")
    {
        Description = "Lengths of single texts [default: 128,512, unless --batch or --best-of is given].",
        HelpName = "N,…",
    };
    private readonly Option<string?> _batch = new("--batch")
    {
        Description = "Batches of texts: 4x512 is 4 texts of 512 tokens.",
        HelpName = "TEXTSxN,…",
    };
    private readonly Option<string?> _bestOf = new("--best-of")
    {
        Description = "Answers to one prompt, with and without sharing it: 16x1000+100 is 16 answers of 100 tokens to a prompt of 1000.",
        HelpName = "ANSWERSxPROMPT+ANSWER,…",
    };

    /// <summary>Refuses flags that would change nothing beside another one.</summary>
    /// <exception cref="UsageException">One of them is given.</exception>
    public static void RefuseUnused(ParseResult call, Option beside, Option[] unused)
    {
        if (unused.FirstOrDefault(option => call.GetResult(option) is { Implicit: false }) is { } given)
            throw new UsageException($"{given.Name} changes nothing with {beside.Name}. Leave it out.");
    }

    /// <summary>All flags.</summary>
    public IEnumerable<Option> All => [_tokens, _batch, _bestOf];

    /// <summary>Reads the scenarios.</summary>
    /// <param name="call">The call.</param>
    /// <param name="shape">The model, whose positions limit the texts.</param>
    /// <param name="batchTokens">Tokens of a micro-batch.</param>
    /// <exception cref="UsageException">A list is malformed.</exception>
    public ScenarioPlan Read(ParseResult call, BenchShape shape, int batchTokens)
    {
        string? tokens = call.GetValue(_tokens), batch = call.GetValue(_batch), bestOf = call.GetValue(_bestOf);
        if (tokens is null && batch is null && bestOf is null) tokens = "128,512";
        return new ScenarioPlan(
            [
                .. Read(_tokens, tokens, list => ScenarioList.ReadTexts(list, shape.Config)),
                .. Read(_batch, batch, list => ScenarioList.ReadPacked(list, shape.Config))],
            Read(_bestOf, bestOf, list => ScenarioList.ReadBestOf(list, shape.Config, batchTokens)));

        static IReadOnlyList<T> Read<T>(Option option, string? list, Func<string, IReadOnlyList<T>> read) =>
            list is null ? [] : FlagValue.Read(option.Name, list, read);
    }
}

/// <summary>The scenarios of a benchmark.</summary>
/// <param name="Singles">Scenarios that are measured independently.</param>
/// <param name="Shared">Answers to one prompt, with and without a shared computation of the prompt.</param>
internal sealed record ScenarioPlan(IReadOnlyList<Scenario> Singles, IReadOnlyList<(Scenario Full, Scenario Shared)> Shared)
{
    /// <summary>All scenarios, in the order of measurement.</summary>
    public IEnumerable<Scenario> All => Singles.Concat(Shared.SelectMany(s => (Scenario[])[s.Full, s.Shared]));
}
