using LdlVk.Evaluation.Benchmarks;

namespace LdlVk.Evaluation.Tests.Benchmarks;

public class SettingRunsTests
{
    [Fact]
    public void Lines_that_one_setting_could_not_score_count_under_none()
    {
        SettingRuns all = SettingRuns.Of([Run(0, 1, 2, 3), Run(0, 2, 3), Run(1, 2, 3)]);
        Assert.Equal(2, all.Lines);
        Assert.All(all.Runs, r => Assert.Equal([2, 3], r.Examples.Select(e => e.Line)));
        Assert.Throws<IOException>(() => SettingRuns.Of([Run(0, 1), Run(0, 1) with { Input = "other" }]));
        Assert.Throws<IOException>(() => SettingRuns.Of([Run(0, 1), Run() with { Input = "none" }]));

        static SettingRun Run(params long[] lines) => new("a", "", [.. lines.Select(Line)], [], "same");

        static Example Line(long line) => new(line, $"{line}", "s", false, null, [1], [0]);
    }
}
