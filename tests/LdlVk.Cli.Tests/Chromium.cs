using System.Diagnostics;
using System.Net;

namespace LdlVk.Cli.Tests;

/// <summary>Headless Chromium, where it is installed.</summary>
internal static class Chromium
{
    private static readonly string[] Places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

    /// <summary>Opens a page inside a frame of another, which looks at it.</summary>
    /// <param name="page">The page's markup.</param>
    /// <param name="look">JavaScript: the body of a function of the page's <c>window</c> and <c>document</c> that returns what is to be known.</param>
    /// <param name="width">Width of the page.</param>
    /// <returns>What it returned, as JSON, and what the browser's console said.</returns>
    public static async Task<(string Result, string Console)> LookAsync(string page, string look, int width = 1000)
    {
        string? browser = Places.FirstOrDefault(File.Exists);
        if (browser is null) Assert.Skip("Needs Chromium: apt-get install chromium.");
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
        ProcessStartInfo start = new(browser) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string flag in (string[])["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", $"--user-data-dir={temp["profile"]}", "--enable-logging=stderr", "--virtual-time-budget=3000", "--dump-dom", $"file://{outside}"]) start.ArgumentList.Add(flag);
        // The browser asks for Vulkan too; what the validation layer says of it is no concern of these tests.
        start.Environment.Remove("VK_INSTANCE_LAYERS");
        using Process process = Process.Start(start)!;
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
