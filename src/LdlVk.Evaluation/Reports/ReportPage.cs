using System.Text;

namespace LdlVk.Evaluation.Reports;

/// <summary>
/// A report as one HTML file that needs nothing else: no script, no font, no picture, no network. Its own policy forbids them, so that even
/// markup that slipped in could do nothing.
/// </summary>
internal sealed class ReportPage(string title, string subtitle)
{
    private const string Style = """
        :root { color-scheme: light dark; --paper: #fbfaf8; --card: #fff; --ink: #1c2430; --soft: #5d6878; --faint: #e6e3dd; --grid: #eceae5;
          --good: #2f6fb3; --good-soft: #bcd5ee; --bad: #d1662a; --bad-soft: #f4cdb4; --text-good: #25598f; --text-bad: #a84c18; }
        @media (prefers-color-scheme: dark) { :root { --paper: #14171c; --card: #1c2128; --ink: #e7ebf0; --soft: #98a4b3; --faint: #303843;
          --grid: #2a313a; --good: #6aa9e6; --good-soft: #2f4d6d; --bad: #f0915a; --bad-soft: #6d4329; --text-good: #8bbfF2; --text-bad: #f5a97d; } }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif; }
        main { max-width: 1020px; margin: 0 auto; padding: 40px 24px 64px; }
        h1 { font-size: 30px; line-height: 1.2; margin: 0 0 4px; letter-spacing: -.015em; overflow-wrap: anywhere; }
        h2 { font-size: 20px; margin: 44px 0 4px; letter-spacing: -.01em; }
        h3 { font-size: 14px; margin: 0 0 6px; font-weight: 600; overflow-wrap: anywhere; }
        p { margin: 0 0 14px; max-width: 76ch; }
        .lead, .note { color: var(--soft); } .lead { overflow-wrap: anywhere; } .note { font-size: 14px; }
        .card { background: var(--card); border: 1px solid var(--faint); border-radius: 12px; padding: 20px 22px; margin: 12px 0 0; break-inside: avoid; }
        .facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); gap: 12px; margin: 26px 0 0; }
        .facts .card { margin: 0; padding: 14px 18px; }
        .facts b { display: block; font-size: 28px; line-height: 1.25; font-weight: 640; letter-spacing: -.02em; font-variant-numeric: tabular-nums; }
        .facts span { color: var(--soft); font-size: 13px; display: block; }
        svg { display: block; width: 100%; height: auto; overflow: visible; }
        svg text { fill: var(--ink); font-size: 13px; font-variant-numeric: tabular-nums; } svg .soft { fill: var(--soft); font-size: 12px; }
        svg .strong { font-weight: 640; } svg .end { text-anchor: end; } svg .mid { text-anchor: middle; }
        .bar, .good { fill: var(--good); } .bad { fill: var(--bad); } .section { fill: var(--ink); } .track { fill: var(--grid); }
        .line { stroke: var(--grid); stroke-width: 1; fill: none; } .axis { stroke: var(--soft); stroke-width: 1; fill: none; }
        .whisker { stroke: var(--ink); stroke-width: 1.5; fill: none; opacity: .75; } .ideal { stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 5 4; fill: none; }
        .mean { stroke: var(--ink); stroke-width: 2; }
        .two { display: grid; grid-template-columns: 1fr 1fr; gap: 12px; } .two > * { min-width: 0; }
        .attributes { display: grid; grid-template-columns: repeat(auto-fill, minmax(280px, 1fr)); gap: 16px 26px; }
        .attributes > div { break-inside: avoid; min-width: 0; } .attributes h3 { margin: 0; display: flex; justify-content: space-between; gap: 8px; font-size: 13px; }
        .attributes h3 span { color: var(--soft); font-weight: 400; font-variant-numeric: tabular-nums; white-space: nowrap; }
        .key { font-size: 14px; color: var(--soft); display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 0 0 14px; }
        .key i { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 7px; }
        .key .good { background: var(--good); } .key .bad { background: var(--bad); } .key .section { background: var(--ink); }
        .miss header { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 2px 16px; font-size: 14px; color: var(--soft); margin-bottom: 10px; }
        .miss header b { color: var(--ink); overflow-wrap: anywhere; }
        .text { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 14px; line-height: 1.45; max-height: 300px; overflow: auto; unicode-bidi: plaintext; }
        .prompt { border-left: 3px solid var(--faint); padding-left: 12px; margin-bottom: 14px; color: var(--soft); }
        .answer { border-top: 3px solid; padding-top: 8px; } .answer.good-edge { border-color: var(--good); } .answer.bad-edge { border-color: var(--bad); }
        .answer small { display: flex; justify-content: space-between; color: var(--soft); font-size: 13px; margin-bottom: 4px; }
        table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
        .scroll { overflow-x: auto; }
        th { text-align: right; color: var(--soft); font-weight: 500; padding: 4px 10px; vertical-align: bottom; } td { text-align: right; padding: 5px 10px; border-top: 1px solid var(--grid); }
        th:first-child, td:first-child, th.left, td.left { text-align: left; overflow-wrap: anywhere; } th:first-child, td:first-child { padding-left: 0; min-width: 9.5em; }
        td.gained { color: var(--text-good); } td.lost { color: var(--text-bad); }
        footer { margin-top: 48px; color: var(--soft); font-size: 13px; } code { font-family: ui-monospace, "DejaVu Sans Mono", Consolas, monospace; font-size: .92em; overflow-wrap: anywhere; }
        @media (max-width: 720px) { main { padding: 24px 14px 40px; } .two { grid-template-columns: 1fr; } .card { padding: 16px 14px; } }
        @media print { :root { color-scheme: light; --paper: #fff; --card: #fff; --ink: #1c2430; --soft: #5d6878; --faint: #d9d6d0; --grid: #eceae5;
            --good: #2f6fb3; --bad: #d1662a; --text-good: #25598f; --text-bad: #a84c18; }
          body { font-size: 11pt; } main { max-width: none; padding: 0; } .text { max-height: none; } h2 { break-after: avoid; } * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
        """;

    private readonly List<Html> _parts = [];

    /// <summary>Adds a part.</summary>
    public void Add(Html part) => _parts.Add(part);

    /// <summary>Adds a heading with a sentence that says how to read what follows.</summary>
    public void Section(string heading, string explanation) => Add(Html.Of($"<h2>{heading}</h2>\n<p class=\"note\">{explanation}</p>\n"));

    /// <summary>Adds something on a card.</summary>
    public void Card(Html content) => Add(Html.Of($"<div class=\"card\">{content}</div>\n"));

    /// <summary>Adds large figures, each with what it is.</summary>
    public void Facts(IEnumerable<(string Value, string Meaning)> facts) => Add(Html.Of(
        $"<div class=\"facts\">{Html.Join(facts.Select(f => Html.Of($"<div class=\"card\"><b>{f.Value}</b><span>{f.Meaning}</span></div>")))}</div>\n"));

    /// <summary>Adds a table; the first column is of names, the rest of numbers.</summary>
    public void Table(IEnumerable<string> heads, IEnumerable<IEnumerable<Html>> rows) => Card(Html.Of(
        $"<div class=\"scroll\"><table><thead><tr>{Html.Join(heads.Select(h => Html.Of($"<th>{h}</th>")))}</tr></thead><tbody>{Html.Join(rows.Select(r => Html.Of($"<tr>{Html.Join(r)}</tr>\n")))}</tbody></table></div>"));

    /// <summary>A cell of <see cref="Table"/>.</summary>
    public static Html Cell(string text, string kind = "") => Html.Of($"<td class=\"{kind}\">{text}</td>");

    /// <summary>Writes the page as UTF-8.</summary>
    public void Write(Stream output)
    {
        Html page = Html.Of($"""
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="referrer" content="no-referrer">
            <title>{title}</title>
            <link rel="icon" href="data:,">
            <style>
            {Html.Verbatim(Style)}
            </style>
            </head>
            <body>
            <main>
            <h1>{title}</h1>
            <p class="lead">{subtitle}</p>
            {Html.Join(_parts)}
            </main>
            </body>
            </html>

            """);
        output.Write(Encoding.UTF8.GetBytes(page.ToString()));
    }
}
