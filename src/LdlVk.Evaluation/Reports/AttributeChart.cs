using LdlVk.Evaluation.Benchmarks;

namespace LdlVk.Evaluation.Reports;

/// <summary>Histogram of the sub-scores of one attribute: chosen responses upwards, rejected ones downwards.</summary>
internal static class AttributeChart
{
    private const int Width = 280, Half = 30;

    /// <summary>Draws the chart with its name and figures.</summary>
    public static Html Draw(string name, AttributeSummary attribute)
    {
        long most = Math.Max(1, Math.Max(attribute.Chosen.Max(), attribute.Rejected.Max()));
        double chosen = attribute.MeanChosen * Width, rejected = attribute.MeanRejected * Width;
        return Html.Of($"""
            <div><h3>{name}<span>{attribute.Agreement * 100:0} % · weight {attribute.MeanWeight:+0.00;−0.00}</span></h3>
            <svg viewBox="0 0 {Width} {(2 * Half) + 20}" role="img" aria-label="{name}">
            {Bars(attribute.Chosen, most, up: true)}{Bars(attribute.Rejected, most, up: false)}
            <line class="axis" x1="0" x2="{Width}" y1="{Half + 2}" y2="{Half + 2}"/>
            <line class="mean" x1="{chosen}" x2="{chosen}" y1="2" y2="{Half + 2}">
            <title>mean of chosen: {attribute.MeanChosen:0.000}</title></line>
            <line class="mean" x1="{rejected}" x2="{rejected}" y1="{Half + 2}" y2="{(2 * Half) + 2}">
            <title>mean of rejected: {attribute.MeanRejected:0.000}</title></line>
            <text class="soft" x="0" y="{(2 * Half) + 17}">0</text><text class="soft end" x="{Width}" y="{(2 * Half) + 17}">1</text>
            </svg></div>

            """);
    }

    private static Html Bars(IReadOnlyList<long> counts, long most, bool up)
    {
        double step = (double)Width / counts.Count;
        return Html.Join(counts.Index().Where(c => c.Item > 0).Select(c =>
        {
            double height = Math.Max(1, (double)c.Item / most * Half), y = up ? Half + 2 - height : Half + 2;
            return Html.Of(
                $"<rect class=\"column {(up ? "good" : "bad")}\" x=\"{(c.Index * step) + 0.5}\" y=\"{y}\" width=\"{step - 1}\" "
                    + $"height=\"{height}\"/>");
        }));
    }
}
