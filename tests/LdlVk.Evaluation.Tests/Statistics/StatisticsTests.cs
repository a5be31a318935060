using System.Text.Json;
using CsCheck;
using LdlVk.Evaluation.Statistics;

namespace LdlVk.Evaluation.Tests.Statistics;

/// <summary>Intervals, tests, ranks, calibration and histograms against values computed by other ways (tests/data/evaluation).</summary>
public class StatisticsTests
{
    private static JsonElement[] Cases(string name) => [.. Expected.Of(name).EnumerateArray()];

    private static void AssertInterval(JsonElement expected, Interval actual, double tolerance)
    {
        Assert.Equal(expected.GetProperty("interval")[0].GetDouble(), actual.Low, tolerance);
        Assert.Equal(expected.GetProperty("interval")[1].GetDouble(), actual.High, tolerance);
    }

    [Fact]
    public void Wilson()
    {
        foreach (JsonElement c in Cases("wilson")) AssertInterval(c, Interval.Wilson(Expected.Number(c, "successes"), c.GetProperty("count").GetInt64()), 1e-9);
        // Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        Assert.Equal((0.2553, 0.3662), Rounded(Interval.Wilson(81, 263)));
        Assert.Equal((0.0624, 0.1605), Rounded(Interval.Wilson(15, 148)));
        Assert.Equal((0.0, 0.1611), Rounded(Interval.Wilson(0, 20)));
        Assert.Equal((0.0061, 0.1718), Rounded(Interval.Wilson(1, 29)));
        Assert.Equal(new Interval(0, 1), Interval.Wilson(0, 0));

        static (double, double) Rounded(Interval i) => (Math.Round(i.Low, 4), Math.Round(i.High, 4));
    }

    [Fact]
    public void Change_of_accuracy()
    {
        foreach (JsonElement c in Cases("paired_difference"))
            AssertInterval(c, Interval.PairedDifference(c.GetProperty("gained").GetInt64(), c.GetProperty("lost").GetInt64(), c.GetProperty("count").GetInt64()), 2e-6);
        Assert.Equal(new Interval(-1, 1), Interval.PairedDifference(0, 0, 0));
    }

    [Fact]
    public void The_interval_of_a_change_mirrors_with_its_sign_and_holds_the_estimate() =>
        Gen.Select(Gen.Int[0, 50], Gen.Int[0, 50], Gen.Int[1, 300]).Sample((gained, lost, unchanged) =>
        {
            int n = gained + lost + unchanged;
            Interval there = Interval.PairedDifference(gained, lost, n), back = Interval.PairedDifference(lost, gained, n);
            double estimate = (double)(gained - lost) / n;
            return Math.Abs(there.Low + back.High) < 1e-9 && Math.Abs(there.High + back.Low) < 1e-9 && there.Low < estimate && estimate < there.High;
        });

    [Fact]
    public void McNemar_exact()
    {
        foreach (JsonElement c in Cases("mcnemar")) Assert.Equal(Expected.Number(c, "p"), McNemar.PValue(c.GetProperty("gained").GetInt64(), c.GetProperty("lost").GetInt64()), 1e-9);
        Assert.InRange(McNemar.PValue(100_000, 100_400), 0.3, 0.4);
    }

    [Fact]
    public void Rank_agreement()
    {
        foreach (JsonElement c in Cases("ranks"))
        {
            float[] a = Expected.Floats(c, "a"), b = Expected.Floats(c, "b");
            Assert.Equal(Expected.Number(c, "spearman"), RankAgreement.Spearman(a, b), 1e-12);
            Assert.Equal(Expected.Number(c, "kendall"), RankAgreement.KendallTauB(a, b), 1e-12);
        }

        Assert.Equal((1.0, -1.0), (RankAgreement.KendallTauB([1, 2, 3], [5, 6, 9]), RankAgreement.Spearman([1, 2, 3], [3, 2, 1])));
        Assert.True(double.IsNaN(RankAgreement.Spearman([1, 1], [1, 2])) && double.IsNaN(RankAgreement.KendallTauB([1, 1], [1, 2])));
    }

    [Fact]
    public void Kendall_is_what_counting_all_pairs_gives() =>
        Gen.Select(Gen.Int[0, 5], Gen.Int[0, 5]).Array[2, 40].Sample(points =>
        {
            float[] a = [.. points.Select(p => (float)p.Item1)], b = [.. points.Select(p => (float)p.Item2)];
            double same = 0, unequalA = 0, unequalB = 0;
            for (int i = 0; i < a.Length; i++)
            {
                for (int j = 0; j < i; j++)
                {
                    int s = a[i].CompareTo(a[j]), t = b[i].CompareTo(b[j]);
                    (same, unequalA, unequalB) = (same + (s * t), unequalA + (s * s), unequalB + (t * t));
                }
            }

            double expected = same / Math.Sqrt(unequalA * unequalB), actual = RankAgreement.KendallTauB(a, b);
            return double.IsNaN(expected) ? double.IsNaN(actual) : Math.Abs(expected - actual) < 1e-12;
        });

    [Fact]
    public void Score_errors()
    {
        ScoreError error = ScoreError.Between([0, 2, 4, 6], [1, 2, 2, 6]);
        Assert.Equal((4, -0.25, 0.75, 2.0), (error.Texts, error.Bias, error.Mean, error.Largest));
        Assert.Equal(Math.Sqrt(5.0 / 4), error.Rms, 1e-12);
        Assert.Equal(Math.Sqrt(5), error.Spread, 1e-12);
        Assert.Equal(0.5, error.Relative, 1e-12);
    }

    [Fact]
    public void Calibration_of_pairs()
    {
        JsonElement c = Expected.Of("calibration");
        Calibration actual = Calibration.Of(c.GetProperty("margins").EnumerateArray().Select(m => m.GetDouble()));
        Assert.Equal(c.GetProperty("counts").EnumerateArray().Select(n => n.GetInt64()), actual.Bins.Select(b => b.Count));
        Assert.Equal(Expected.Number(c, "expected_error"), actual.ExpectedError, 1e-12);
        Assert.Equal(Expected.Number(c, "brier"), actual.Brier, 1e-12);
        Assert.Equal(Expected.Number(c, "log_loss"), actual.LogLoss, 1e-12);
        // A margin that overflows exp costs what it is.
        Assert.Equal(5000, Calibration.Of([-5000]).LogLoss, 1e-9);
        Assert.Equal(0, Calibration.Of([5000]).LogLoss);
    }

    [Fact]
    public void A_histogram_has_round_edges_zero_among_them_and_every_value()
    {
        Histogram three = Histogram.Of([-0.3, 0, 2.9], most: 4);
        Assert.Equal((-1.0, 1.0), (three.First, three.Width));
        Assert.Equal([1, 1, 0, 1], three.Counts);
        Gen.Double[-1e6, 1e6].List[1, 50].Sample(values =>
        {
            Histogram h = Histogram.Of(values);
            double zero = h.First / h.Width;
            return h.Counts.Sum() == values.Count && h.Counts.Length <= 50 && Math.Abs(zero - Math.Round(zero)) < 1e-6 && h.Edge(0) <= values.Min() && h.Edge(h.Counts.Length) >= values.Max();
        });
        Assert.Equal([2], Histogram.Of([7, 7]).Counts);
        Assert.Equal([0], Histogram.Of([]).Counts);
    }
}
