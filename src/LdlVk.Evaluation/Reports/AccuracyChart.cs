namespace LdlVk.Evaluation.Reports;

/// <summary>Accuracies as bars, with whiskers for their intervals.</summary>
internal static class AccuracyChart
{
    private const int Left = 210, Track = 520, Row = 26, Top = 26;

    /// <summary>Draws the chart.</summary>
    /// <param name="bars">The bars, from top to bottom.</param>
    /// <param name="chance">The accuracy of guessing; null if it differs between bars.</param>
    public static Html Draw(IReadOnlyList<AccuracyBar> bars, double? chance)
    {
        int height = Top + (Row * bars.Count) + 4;
        Html grid = Html.Join(((double[])[0, 0.25, 0.5, 0.75, 1]).Select(x => Html.Of($"""
            <line class="line" x1="{X(x)}" x2="{X(x)}" y1="{Top - 6}" y2="{height}"/>
            <text class="soft mid" x="{X(x)}" y="12">{x * 100:0} %</text>

            """)));
        Html guessing = chance is { } c
            ? Html.Of($"<line class=\"ideal\" x1=\"{X(c)}\" x2=\"{X(c)}\" y1=\"{Top - 6}\" y2=\"{height}\"><title>guessing</title></line>")
            : Html.Empty;
        return Html.Of($"""
            <svg viewBox="0 0 920 {height}" role="img" aria-label="Accuracy">
            {grid}
            <text class="soft end" x="918" y="12">lines</text>
            {Html.Join(bars.Select(Bar))}
            {guessing}
            </svg>
            """);
    }

    private static Html Bar(AccuracyBar bar, int i)
    {
        double y = Top + (i * Row), share = double.IsNaN(bar.Share) ? 0 : Math.Clamp(bar.Share, 0, 1);
        string strong = bar.IsSection ? "strong" : "", kind = bar.IsSection ? "section" : "";
        string name = bar.Name.Length <= 30
            ? bar.Name
            : string.Concat(bar.Name.AsSpan(0, char.IsHighSurrogate(bar.Name[28]) ? 28 : 29), "…");
        Html whisker = bar.Interval is { } range
            ? Html.Of(
                $"<path class=\"whisker\" d=\"M{X(range.Low)} {y + 6}v10M{X(range.Low)} {y + 11}H{X(range.High)}M{X(range.High)} "
                    + $"{y + 6}v10\"><title>95 %: {Figures.Percent(range.Low)} to {Figures.Percent(range.High)}</title></path>")
            : Html.Empty;
        return Html.Of($"""
            <text class="end {strong}" x="{Left - 12}" y="{y + 16}">{name}<title>{bar.Name}</title></text>
            <rect class="track" x="{Left}" y="{y + 3}" width="{Track}" height="16" rx="3"/>
            <rect class="bar {kind}" x="{Left}" y="{y + 3}" width="{share * Track}" height="16" rx="3"/>{whisker}
            <text class="{strong}" x="{Left + Track + 18}" y="{y + 16}">{Figures.Percent(bar.Share)}</text>
            <text class="soft end" x="918" y="{y + 16}">{bar.Note}</text>

            """);
    }

    private static double X(double share) => Left + (Track * share);
}
