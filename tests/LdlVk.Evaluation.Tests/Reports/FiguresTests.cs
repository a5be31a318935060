using LdlVk.Evaluation.Reports;
using LdlVk.Evaluation.Statistics;

namespace LdlVk.Evaluation.Tests.Reports;

public sealed class FiguresTests
{
    /// <summary>Without a line to compare no figure exists.</summary>
    [Fact]
    public void A_figure_that_does_not_exist_is_a_dash()
    {
        Assert.Equal("–", Figures.Percent(double.NaN));
        Assert.Equal("–", Figures.Change(double.NaN));
        Assert.Equal("–", Figures.Signed(double.NaN, "0.0"));
        Assert.Equal("–", Figures.Range(new Interval(double.NaN, double.NaN), "0.0"));
    }

    [Fact]
    public void Changes_have_their_sign()
    {
        Assert.Equal("+1.3 %", Figures.Change(0.0125));
        Assert.Equal("−1.3 %", Figures.Change(-0.0125));
        Assert.Equal("0.0 %", Figures.Change(0));
        Assert.Equal("12.5 to 50.0", Figures.Range(new Interval(0.125, 0.5), "0.0"));
    }
}
