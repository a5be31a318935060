using System.Text;
using LdlVk.Datasets.Lines;
using LdlVk.Evaluation.Benchmarks;
using LdlVk.Testing;

namespace LdlVk.Evaluation.Tests.Benchmarks;

public class PairScorerTests
{
    [Fact]
    public async Task Lines_are_scored_in_their_order_and_failures_are_named_by_field()
    {
        string huge = string.Concat(Enumerable.Repeat("qj ", 9000));
        string lines = $$"""
            {"prompt":"Define \"sea\".","chosen":"A large body of salt water.","rejected":"I cannot help.","id":"a"}
            nonsense
            {"prompt":"a","chosen":["b"],"rejected":["c","{{huge}}"]}
            """;
        using RewardModel model = await RewardModel.LoadAsync(
            Repository.Path("models", "ldl-mini"), new RewardModelOptions { Device = "cpu" }, null, TestContext.Current.CancellationToken);
        List<FailedLine> failed = [];
        List<string> scored = [];
        PairScorer scorer = new() { LineFailed = failed.Add, Scored = (_, example, rewards) => scored.Add($"{example.Id} {rewards.Count}") };
        using LineSource source = LineSource.Of(new MemoryStream(Encoding.UTF8.GetBytes(lines)), TestContext.Current.CancellationToken);
        await scorer.ScoreAsync(model, source, null, TestContext.Current.CancellationToken);
        Assert.Equal(["\"a\" 2"], scored);
        Assert.Equal((1, 2L), (scorer.Examples.Count, scorer.Failed));
        Assert.Equal([1, 2], failed.Select(f => f.Number));
        Assert.Equal(failed, scorer.Failures);
        Assert.StartsWith("rejected[1]: the text has", failed[1].Error, StringComparison.Ordinal);
    }
}
