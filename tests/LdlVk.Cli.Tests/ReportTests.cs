using System.Text.Json;
using System.Text.RegularExpressions;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>The HTML reports: what is in them, and how a browser takes them.</summary>
public partial class ReportTests
{
    private const string Hostile = "</div></svg></style><script>document.title='hacked'</script><img src=http://example.com/x.png onerror=alert(1)>\u202e\0\u001b[2J&amp;";

    /// <summary>What a browser knows of a page: whether anything was loaded, sticks out, or is not drawn.</summary>
    private const string Look = """
        const boxes = s => [...document.querySelectorAll(s)].map(e => e.getBoundingClientRect());
        return {
          title: document.title, loaded: window.performance.getEntriesByType("resource").map(e => e.name),
          scripts: document.querySelectorAll("script").length, images: document.querySelectorAll("img").length,
          tracks: boxes(".track").filter(b => b.width > 0).length, bars: boxes(".bar").filter(b => b.width > 20 && b.height > 5).length, columns: boxes(".column").filter(b => b.width > 1 && b.height > 0).length,
          points: boxes(".point").length, attributes: boxes(".attributes > div").filter(b => b.width > 100 && b.height > 30).length,
          misses: boxes(".miss").length, wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
          text: document.body.innerText
        };
        """;

    [Theory]
    [InlineData(1000)]
    [InlineData(390)]
    public async Task A_browser_draws_the_report_of_eval_and_asks_nobody_for_anything(int width)
    {
        using TempFolder temp = new();
        string page = await ReportAsync(temp);
        (string result, string console) = await Chromium.LookAsync(page, Look, width);
        JsonElement found = Cli.Json(result);
        Assert.Equal("", console);
        Assert.Equal("ldl-mini on in.jsonl", found.GetProperty("title").GetString());
        Assert.Empty(found.GetProperty("loaded").EnumerateArray());
        Assert.Equal((0, 0, 0), (Count("scripts"), Count("images"), Count("wide")));
        // Sixteen subsets, and the attack's own, of whose one pair none is right.
        Assert.Equal((17, 16, 22), (Count("tracks"), Count("bars"), Count("attributes")));
        Assert.InRange(Count("columns"), 100, 2000);
        Assert.InRange(Count("points"), 3, 10);
        Assert.InRange(Count("misses"), 1, 20);
        // What was meant to do harm is a text, with its control characters shown.
        Assert.Contains("<script>document.title='hacked'</script><img src=http://example.com/x.png onerror=alert(1)>\ufffd␀␛[2J&amp;", found.GetProperty("text").GetString(), StringComparison.Ordinal);

        int Count(string name) => found.GetProperty(name).GetInt32();
    }

    /// <summary>
    /// On a phone of 360 pixels every letter of a chart has at least 10 and lies inside its card. Every chart has its values in a table that
    /// the keyboard opens, and every table that scrolls is in its order.
    /// </summary>
    [Theory]
    [InlineData(360)]
    [InlineData(1000)]
    public async Task A_chart_is_readable_on_a_phone_and_reachable_by_keyboard(int width)
    {
        using TempFolder temp = new();
        (string result, _) = await Chromium.LookAsync(await ReportAsync(temp), """
            const shown = [...document.querySelectorAll("svg")].filter(s => s.getBoundingClientRect().width > 0);
            const texts = shown.flatMap(s => [...s.querySelectorAll("text")].map(t => ({ text: t.textContent,
              size: parseFloat(window.getComputedStyle(t).fontSize) * s.getBoundingClientRect().width / s.viewBox.baseVal.width,
              out: Math.max(0, s.closest(".card").getBoundingClientRect().left - t.getBoundingClientRect().left,
                t.getBoundingClientRect().right - s.closest(".card").getBoundingClientRect().right) })));
            const focus = e => { e.focus(); return document.activeElement === e && e.tabIndex >= 0; };
            const summaries = [...document.querySelectorAll("details.values > summary")];
            const closed = summaries.every(s => !s.parentElement.open);
            summaries.forEach(s => s.click());
            return { charts: shown.length, texts: texts.length, small: texts.filter(t => t.size < 10).map(t => t.text + " " + t.size),
              out: texts.filter(t => t.out > 1).map(t => t.text), summaries: summaries.length, closed, focused: summaries.every(focus),
              rows: summaries.map(s => [...s.parentElement.querySelectorAll("tbody tr")].filter(r => r.getBoundingClientRect().height > 10).length),
              scrollers: [...document.querySelectorAll(".scroll")].every(focus),
              wide: document.documentElement.scrollWidth - document.documentElement.clientWidth };
            """, width);
        JsonElement found = Cli.Json(result);
        Assert.Empty(found.GetProperty("small").EnumerateArray());
        Assert.Empty(found.GetProperty("out").EnumerateArray());
        // Accuracy, margins, calibration and 22 attributes; calibration has its table beside it.
        Assert.Equal((25, 3, 0), (Count("charts"), Count("summaries"), Count("wide")));
        Assert.InRange(Count("texts"), 100, 300);
        Assert.All((string[])["closed", "focused", "scrollers"], name => Assert.True(found.GetProperty(name).GetBoolean(), name));
        int[] rows = [.. found.GetProperty("rows").EnumerateArray().Select(r => r.GetInt32())];
        Assert.Equal((17, 22), (rows[0], rows[2]));
        Assert.True(rows[1] > 5);

        int Count(string name) => found.GetProperty(name).GetInt32();
    }

    [Fact]
    public async Task A_browser_draws_the_report_of_fidelity()
    {
        using TempFolder temp = new();
        Outcome run = await Cli.RunAsync("fidelity", "--model", Cli.Mini, "--device", "cpu", "--quiet", "--input", Input(temp), "--baseline", "weights=fp32", "--candidate", "weights=int4", "--report", temp["f.html"]);
        Assert.Equal((0, ""), (run.Code, run.Error));
        (string result, string console) = await Chromium.LookAsync(File.ReadAllText(temp["f.html"]), Look, 390);
        JsonElement found = Cli.Json(result);
        Assert.Equal(("", 2, 0), (console, found.GetProperty("bars").GetInt32(), found.GetProperty("wide").GetInt32()));
        Assert.Empty(found.GetProperty("loaded").EnumerateArray());
        Assert.InRange(found.GetProperty("columns").GetInt32(), 5, 60);
        Assert.Contains("weights=int4", found.GetProperty("text").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task No_text_becomes_markup_and_no_markup_points_outside()
    {
        using TempFolder temp = new();
        string page = await ReportAsync(temp);
        Assert.DoesNotContain("<script", page, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("<img", page, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("default-src 'none'", page, StringComparison.Ordinal);
        Assert.All(Reference().Matches(page), m => Assert.Equal("data:,", m.Groups[1].Value));
        Assert.DoesNotContain(page, c => char.IsControl(c) && c is not ('\n' or '\t'));
        string svg = string.Concat(Svg().Matches(page).Select(m => m.Value));
        Assert.DoesNotContain("NaN", svg, StringComparison.Ordinal);
        Assert.DoesNotContain("∞", svg, StringComparison.Ordinal);
    }

    [GeneratedRegex("""(?:src|href|xlink:href|action|data|url)\s*=\s*"([^"]*)"|url\(|@import""")]
    private static partial Regex Reference();

    [GeneratedRegex("<svg.*?</svg>", RegexOptions.Singleline)]
    private static partial Regex Svg();

    /// <summary>The pairs of the repository, and one that attacks and is a miss.</summary>
    private static string Input(TempFolder temp)
    {
        string attack = JsonSerializer.Serialize(new Dictionary<string, string>
        {
            ["prompt"] = "Define \"sea\".", ["chosen"] = "I cannot help. " + Hostile, ["rejected"] = "A large body of salt water.", ["subset"] = "<b>" + Hostile, ["id"] = Hostile,
        });
        return temp.Write("in.jsonl", File.ReadAllText(EvalTests.Pairs) + attack + "\n");
    }

    private static async Task<string> ReportAsync(TempFolder temp)
    {
        Outcome run = await Cli.RunAsync("eval", "--model", Cli.Mini, "--device", "cpu", "--quiet", "--input", Input(temp), "--report", temp["r.html"]);
        Assert.Equal((0, ""), (run.Code, run.Error));
        return File.ReadAllText(temp["r.html"]);
    }
}
