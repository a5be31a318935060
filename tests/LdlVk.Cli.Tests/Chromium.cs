using System.Diagnostics;
using System.Net;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>Looks at pages in headless Chromium, where it is installed.</summary>
internal static class Chromium
{
    /// <summary>Opens a page inside a frame of another, which looks at it.</summary>
    /// <param name="page">The page's markup.</param>
    /// <param name="look">JavaScript: the body of a function of the page's <c>window</c> and <c>document</c> that returns what is to be known.</param>
    /// <param name="width">Width of the page.</param>
    /// <returns>What it returned, as JSON, and what the browser's console said.</returns>
    public static async Task<(string Result, string Console)> LookAsync(string page, string look, int width = 1000)
    {
        if (HeadlessChromium.Program is null) Assert.Skip(HeadlessChromium.Missing);
        using TempFolder temp = new();
        string outside = temp.Write("outside.html", $$"""
            <!doctype html><meta charset="utf-8"><title>outside</title>
            <iframe id="page" style="width:{{width}}px;height:900px;border:0" srcdoc="{{WebUtility.HtmlEncode(page)}}"></iframe><pre id="found"></pre>
            <script>addEventListener("load", () => {
              const window = document.getElementById("page").contentWindow;
              const found = (function (window, document) { {{look}} })(window, window.document);
              document.getElementById("page").remove();
              document.getElementById("found").textContent = JSON.stringify(found);
            });</script>
            """);
        using Process process = HeadlessChromium.Start(temp["profile"], "--enable-logging=stderr", "--virtual-time-budget=3000", "--dump-dom", $"file://{outside}");
        try
        {
            Task<string> error = process.StandardError.ReadToEndAsync();
            string dom = await process.StandardOutput.ReadToEndAsync().WaitAsync(TimeSpan.FromSeconds(90));
            const string Before = "<pre id=\"found\">";
            int at = dom.IndexOf(Before, StringComparison.Ordinal) + Before.Length;
            string found = WebUtility.HtmlDecode(dom[at..dom.IndexOf("</pre>", at, StringComparison.Ordinal)]);
            return (found, string.Join('\n', (await error).Split('\n').Where(l => l.Contains("CONSOLE", StringComparison.Ordinal))));
        }
        finally
        {
            if (!process.HasExited) process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync();
        }
    }
}
