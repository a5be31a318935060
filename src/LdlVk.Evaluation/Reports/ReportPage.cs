using System.Text;

namespace LdlVk.Evaluation.Reports;

/// <summary>
/// A report as one self-contained HTML file without scripts, fonts, images or network access. Its content security policy forbids them, so
/// that even injected markup would be harmless.
/// </summary>
internal sealed class ReportPage(string title, string subtitle)
{
    private static readonly string Style = ReadStyle();

    private readonly List<Html> _parts = [];

    /// <summary>Adds a part.</summary>
    public void Add(Html part) => _parts.Add(part);

    /// <summary>Adds a heading with an explanation of the section.</summary>
    public void Section(string heading, string explanation) => Add(Html.Of($"<h2>{heading}</h2>\n<p class=\"note\">{explanation}</p>\n"));

    /// <summary>Adds something on a card.</summary>
    public void Card(Html content) => Add(Html.Of($"<div class=\"card\">{content}</div>\n"));

    /// <summary>Adds large figures with their descriptions.</summary>
    public void Facts(IEnumerable<(string Value, string Meaning)> facts)
    {
        Html cards = Html.Join(facts.Select(f => Html.Of($"<div class=\"card\"><b>{f.Value}</b><span>{f.Meaning}</span></div>")));
        Add(Html.Of($"<div class=\"facts\">{cards}</div>\n"));
    }

    /// <summary>Adds a table; the first column has names, the others have numbers.</summary>
    public void Table(IEnumerable<string> heads, IEnumerable<IEnumerable<Html>> rows)
    {
        Card(Scroll(heads, rows));
    }

    /// <summary>
    /// The values of a chart as a table, which opens by mouse or keyboard: for what a chart says by color, height and hover.
    /// </summary>
    public static Html Values(IEnumerable<string> heads, IEnumerable<IEnumerable<Html>> rows) =>
        Html.Of($"<details class=\"values\"><summary>Values as a table</summary>{Scroll(heads, rows)}</details>");

    private static Html Scroll(IEnumerable<string> heads, IEnumerable<IEnumerable<Html>> rows)
    {
        Html head = Html.Join(heads.Select(h => Html.Of($"<th>{h}</th>")));
        Html body = Html.Join(rows.Select(r => Html.Of($"<tr>{Html.Join(r)}</tr>\n")));
        // In the order of the keyboard, so that its arrows scroll it.
        return Html.Of($"""
            <div class="scroll" tabindex="0" role="region" aria-label="table"><table><thead><tr>{head}</tr></thead>
            <tbody>{body}</tbody></table></div>
            """);
    }

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

    private static string ReadStyle()
    {
        using StreamReader reader = new(typeof(ReportPage).Assembly.GetManifestResourceStream("report.css")!);
        return reader.ReadToEnd().TrimEnd();
    }
}
