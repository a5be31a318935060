using System.Globalization;
using LdlVk.Evaluation.Statistics;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Evaluation.Reports;

/// <summary>
/// A histogram as columns, drawn wide and for a phone, and as a table. Values below zero can have the color of errors.
/// </summary>
internal static class HistogramChart
{
    private const int Right = 10, Top = 12, Plot = 200;

    /// <summary>Draws the chart.</summary>
    /// <param name="histogram">The counts.</param>
    /// <param name="axis">The label of the axis.</param>
    /// <param name="negativeIsBad">Whether values below zero are misses.</param>
    public static Html Draw(Histogram histogram, string axis, bool negativeIsBad) => Html.Join([
        Draw(histogram, axis, negativeIsBad, isNarrow: false), Draw(histogram, axis, negativeIsBad, isNarrow: true),
        ReportPage.Values([axis, "count"], histogram.Counts.Index().Where(bin => bin.Item > 0).Select(bin => (Html[])[
            ReportPage.Cell(Range(histogram, bin.Index)), ReportPage.Cell(Readable.Count(bin.Item))]))]);

    private static Html Draw(Histogram histogram, string axis, bool negativeIsBad, bool isNarrow)
    {
        int width = isNarrow ? 340 : 920, left = isNarrow ? 40 : 48;
        long highest = Math.Max(1, histogram.Counts.Max());
        double step = (double)(width - left - Right) / histogram.Counts.Length, from = histogram.Edge(0),
            to = histogram.Edge(histogram.Counts.Length);
        double tick = Histogram.RoundWidth((to - from) / (isNarrow ? 4 : 9));
        IEnumerable<double> ticks = Enumerable.Range(0, 24).Select(i => (Math.Ceiling(from / tick) + i) * tick)
            .TakeWhile(t => t <= to + (tick * 1e-6));
        Html grid = Html.Join(((double[])[0, 1]).Select(share => Html.Of($"""
            <line class="line" x1="{left}" x2="{width - Right}" y1="{Y(share)}" y2="{Y(share)}"/>
            <text class="soft end" x="{left - 8}" y="{Y(share) + 4}">{share * highest:#,0}</text>

            """)));
        Html labels = Html.Join(ticks.Select(t => Html.Of(
            $"<text class=\"soft mid\" x=\"{X(t)}\" y=\"{Y(0) + 18}\">{(Math.Abs(t) < tick / 2 ? 0 : t):0.######}</text>")));
        Html zero = from < 0 && to > 0
            ? Html.Of($"<line class=\"ideal\" x1=\"{X(0)}\" x2=\"{X(0)}\" y1=\"{Top - 4}\" y2=\"{Y(0)}\"/>")
            : Html.Empty;
        // A long label has no room on a phone; the table's head has it.
        Html label = isNarrow && axis.Length > 44
            ? Html.Empty
            : Html.Of($"<text class=\"soft mid\" x=\"{(width + left - Right) / 2}\" y=\"{Y(0) + 40}\">{axis}</text>");
        return Html.Of($"""
            <svg class="{(isNarrow ? "narrow" : "wide")}" viewBox="0 0 {width} {Top + Plot + 46}" role="img" aria-label="{axis}">
            {grid}
            {Html.Join(histogram.Counts.Index().Where(b => b.Item > 0).Select(Column))}
            <line class="axis" x1="{left}" x2="{width - Right}" y1="{Y(0)}" y2="{Y(0)}"/>
            {labels}
            {zero}
            {label}
            </svg>
            """);

        double X(double value) => left + ((value - from) / (to - from) * (width - left - Right));

        double Y(double share) => Top + (Plot * (1 - share));

        Html Column((int Index, long Item) bin)
        {
            double share = (double)bin.Item / highest, height = Math.Max(1, share * Plot);
            string kind = negativeIsBad && histogram.Edge(bin.Index) < -1e-12 ? "bad" : "good";
            return Html.Of(
                $"<rect class=\"column {kind}\" x=\"{left + (bin.Index * step) + (step * 0.06)}\" y=\"{Top + Plot - height}\" "
                    + $"width=\"{step * 0.88}\" height=\"{height}\" "
                    + $"rx=\"{Math.Min(2, step / 4)}\"><title>{Range(histogram, bin.Index)}: {bin.Item}</title></rect>\n");
        }
    }

    private static string Range(Histogram histogram, int bin) => string.Create(
        CultureInfo.InvariantCulture, $"{histogram.Edge(bin):0.######} to {histogram.Edge(bin + 1):0.######}");
}
