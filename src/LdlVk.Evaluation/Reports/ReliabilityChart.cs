using LdlVk.Evaluation.Statistics;

namespace LdlVk.Evaluation.Reports;

/// <summary>Reliability diagram: the accuracy over the confidence, with the number of pairs.</summary>
internal static class ReliabilityChart
{
    private const int Left = 56, Top = 12, Side = 330, Gap = 26, Strip = 70;

    /// <summary>Draws the chart.</summary>
    public static Html Draw(Calibration calibration)
    {
        CalibrationBin[] bins = [.. calibration.Bins.Where(b => b.Count > 0)];
        long most = bins.Length == 0 ? 1 : bins.Max(b => b.Count);
        Html grid = Html.Join(((double[])[0, 0.25, 0.5, 0.75, 1]).Select(y => Html.Of($"""
            <line class="line" x1="{Left}" x2="{Left + Side}" y1="{Y(y)}" y2="{Y(y)}"/>
            <text class="soft end" x="{Left - 8}" y="{Y(y) + 4}">{y * 100:0} %</text>

            """)));
        Html ticks = Html.Join(((double[])[0.5, 0.6, 0.7, 0.8, 0.9, 1]).Select(x => Html.Of(
            $"<text class=\"soft mid\" x=\"{X(x)}\" y=\"{Floor + 18}\">{x * 100:0} %</text>")));
        return Html.Of($"""
            <svg class="medium" viewBox="0 0 440 {Top + Side + Gap + Strip + 44}" role="img" aria-label="Reliability diagram">
            {grid}
            <path class="ideal" d="M{X(0.5)} {Y(0.5)}L{X(1)} {Y(1)}"/>
            {Html.Join(bins.Select(Point))}
            <line class="axis" x1="{Left}" x2="{Left + Side}" y1="{Y(0)}" y2="{Y(0)}"/>
            {Html.Join(bins.Select(Count))}
            <line class="axis" x1="{Left}" x2="{Left + Side}" y1="{Floor}" y2="{Floor}"/>
            <text class="soft end" x="{Left - 8}" y="{Floor - Strip + 10}">{most:#,0}</text>
            <text class="soft end" x="{Left - 8}" y="{Floor}">pairs</text>
            {ticks}
            <text class="soft mid" x="{Left + (Side / 2)}" y="{Floor + 38}">confidence: σ(score difference)</text>
            </svg>
            """);

        Html Point(CalibrationBin bin)
        {
            Interval range = Interval.Wilson(bin.Correct, bin.Count);
            double x = X(bin.Confidence);
            return Html.Of(
                $"<path class=\"whisker\" d=\"M{x} {Y(range.Low)}V{Y(range.High)}\"/><circle class=\"good point\" cx=\"{x}\" "
                    + $"cy=\"{Y(bin.Accuracy)}\" r=\"5.5\"><title>{bin.Confidence * 100:0.0} % sure, {bin.Accuracy * 100:0.0} % right, "
                    + $"{bin.Count} pairs</title></circle>\n");
        }

        Html Count(CalibrationBin bin)
        {
            double height = Math.Max(1, (double)bin.Count / most * Strip);
            return Html.Of(
                $"<rect class=\"column good\" x=\"{X(bin.From) + 1.5}\" y=\"{Floor - height}\" "
                    + $"width=\"{X(bin.To) - X(bin.From) - 3}\" height=\"{height}\" rx=\"2\"><title>{bin.Count} pairs</title></rect>\n");
        }
    }

    private static double Floor => Top + Side + Gap + Strip;

    private static double X(double sure) => Left + ((sure - 0.5) * 2 * Side);

    private static double Y(double share) => Top + (Side * (1 - share));
}
