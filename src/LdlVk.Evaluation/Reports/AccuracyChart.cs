namespace LdlVk.Evaluation.Reports;

/// <summary>
/// Accuracies as bars, with whiskers for their intervals: drawn wide and, with each name above its bar, for a phone; and as a table.
/// </summary>
internal static class AccuracyChart
{
    private static readonly Layout Wide = new(920, 210, 520, 26, 26, 26, IsNarrow: false);
    private static readonly Layout Narrow = new(340, 4, 328, 44, 26, 30, IsNarrow: true);

    /// <summary>Draws the chart.</summary>
    /// <param name="bars">The bars, from top to bottom.</param>
    /// <param name="chance">The accuracy of guessing; null if it differs between bars.</param>
    public static Html Draw(IReadOnlyList<AccuracyBar> bars, double? chance) => Html.Join([
        Draw(bars, chance, Wide), Draw(bars, chance, Narrow),
        ReportPage.Values(["", "accuracy", "95 %", "lines"], bars.Select(bar => (Html[])[
            ReportPage.Cell(bar.Name), ReportPage.Cell(Figures.Percent(bar.Share)),
            ReportPage.Cell(bar.Interval is { } range ? $"{Figures.Percent(range.Low)} to {Figures.Percent(range.High)}" : ""),
            ReportPage.Cell(bar.Note)]))]);

    private static Html Draw(IReadOnlyList<AccuracyBar> bars, double? chance, Layout layout)
    {
        int height = layout.Top + (layout.Row * bars.Count) + 4;
        double[] marks = layout.IsNarrow ? [0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1];
        Html grid = Html.Join(marks.Select(x => Html.Of($"""
            <line class="line" x1="{layout.X(x)}" x2="{layout.X(x)}" y1="{layout.Top - 6}" y2="{height}"/>
            <text class="soft {Anchor(layout, x)}" x="{layout.X(x)}" y="12">{x * 100:0} %</text>

            """)));
        Html guessing = chance is { } c
            ? Html.Of(
                $"<line class=\"ideal\" x1=\"{layout.X(c)}\" x2=\"{layout.X(c)}\" y1=\"{layout.Top - 6}\" y2=\"{height}\">"
                    + $"<title>guessing</title></line>")
            : Html.Empty;
        Html head = layout.IsNarrow ? Html.Empty : Html.Of($"<text class=\"soft end\" x=\"918\" y=\"12\">lines</text>");
        return Html.Of($"""
            <svg class="{(layout.IsNarrow ? "narrow" : "wide")}" viewBox="0 0 {layout.Width} {height}" role="img" aria-label="Accuracy">
            {grid}
            {head}
            {Html.Join(bars.Select((bar, i) => Bar(bar, i, layout)))}
            {guessing}
            </svg>
            """);
    }

    private static Html Bar(AccuracyBar bar, int i, Layout layout)
    {
        double top = layout.Top + (i * layout.Row), y = layout.IsNarrow ? top + 20 : top;
        double share = double.IsNaN(bar.Share) ? 0 : Math.Clamp(bar.Share, 0, 1);
        string strong = bar.IsSection ? "strong" : "", kind = bar.IsSection ? "section" : "";
        int most = layout.Letters;
        string name = bar.Name.Length <= most
            ? bar.Name
            : string.Concat(bar.Name.AsSpan(0, char.IsHighSurrogate(bar.Name[most - 2]) ? most - 2 : most - 1), "…");
        Html whisker = bar.Interval is { } range
            ? Html.Of(
                $"<path class=\"whisker\" d=\"M{layout.X(range.Low)} {y + 6}v10M{layout.X(range.Low)} {y + 11}H{layout.X(range.High)}"
                    + $"M{layout.X(range.High)} {y + 6}v10\">"
                    + $"<title>95 %: {Figures.Percent(range.Low)} to {Figures.Percent(range.High)}</title></path>")
            : Html.Empty;
        Html words = layout.IsNarrow
            ? Html.Of($"""
                <text class="{strong}" x="{layout.Left}" y="{top + 17}">{name}<title>{bar.Name}</title></text>
                <text class="end {strong}" x="{layout.Left + layout.Track}" y="{top + 17}">{Figures.Percent(bar.Share)}</text>
                """)
            : Html.Of($"""
                <text class="end {strong}" x="{layout.Left - 12}" y="{y + 16}">{name}<title>{bar.Name}</title></text>
                <text class="{strong}" x="{layout.Left + layout.Track + 18}" y="{y + 16}">{Figures.Percent(bar.Share)}</text>
                <text class="soft end" x="918" y="{y + 16}">{bar.Note}</text>
                """);
        return Html.Of($"""
            <rect class="track" x="{layout.Left}" y="{y + 3}" width="{layout.Track}" height="16" rx="3"/>
            <rect class="bar {kind}" x="{layout.Left}" y="{y + 3}" width="{share * layout.Track}" height="16" rx="3"/>{whisker}
            {words}

            """);
    }

    private static string Anchor(Layout layout, double x) => !layout.IsNarrow || x is > 0 and < 1 ? "mid" : x == 0 ? "" : "end";

    /// <summary>Where the chart's parts are.</summary>
    private sealed record Layout(int Width, int Left, int Track, int Row, int Top, int Letters, bool IsNarrow)
    {
        public double X(double share) => Left + (Track * share);
    }
}
