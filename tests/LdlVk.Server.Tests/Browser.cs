using System.Diagnostics;
using System.Net.WebSockets;
using System.Text.Json;
using System.Text.RegularExpressions;
using LdlVk.Testing;

namespace LdlVk.Server.Tests;

/// <summary>Headless Chromium, spoken to in its DevTools protocol.</summary>
internal sealed partial class Browser : IAsyncDisposable
{
    private readonly Process _process;
    private readonly string _profile;
    private readonly ClientWebSocket _socket = new();
    private int _calls;

    private Browser(Process process, string profile) => (_process, _profile) = (process, profile);

    /// <summary>What the page wrote to its console, errors above all.</summary>
    public List<string> Console { get; } = [];

    /// <summary>Starts a browser with an empty page; skips the test where there is none.</summary>
    public static async Task<Browser> StartAsync()
    {
        if (HeadlessChromium.Program is null) Assert.Skip(HeadlessChromium.Missing);
        string profile = Directory.CreateTempSubdirectory("ldlvk-chromium-").FullName;
        Browser browser = new(HeadlessChromium.Start(profile, "--hide-scrollbars", "--remote-debugging-port=0", "about:blank"), profile);
        using CancellationTokenSource late = new(TimeSpan.FromSeconds(60));
        string? line;
        do line = await browser._process.StandardError.ReadLineAsync(late.Token); while (line is not null && !line.Contains("DevTools listening on", StringComparison.Ordinal));
        Assert.True(line is not null, "Chromium ended at once.");
        _ = browser._process.StandardError.ReadToEndAsync(CancellationToken.None);
        int port = int.Parse(Port().Match(line!).Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture);
        using HttpClient client = new();
        JsonElement page = Api.Json(await client.GetStringAsync($"http://127.0.0.1:{port}/json/list", late.Token)).EnumerateArray().First(p => p.GetProperty("type").GetString() == "page");
        await browser._socket.ConnectAsync(new Uri(page.GetProperty("webSocketDebuggerUrl").GetString()!), late.Token);
        foreach (string domain in (string[])["Page", "Runtime", "Log"]) await browser.CallAsync($"{domain}.enable", new { });
        return browser;
    }

    /// <summary>Calls a method of the protocol.</summary>
    public async Task<JsonElement> CallAsync(string method, object parameters)
    {
        using CancellationTokenSource late = new(TimeSpan.FromSeconds(60));
        int id = ++_calls;
        await _socket.SendAsync(JsonSerializer.SerializeToUtf8Bytes(new { id, method, @params = parameters }), WebSocketMessageType.Text, true, late.Token);
        while (true)
        {
            using MemoryStream message = new();
            byte[] buffer = new byte[1 << 16];
            ValueWebSocketReceiveResult part;
            do
            {
                part = await _socket.ReceiveAsync(buffer.AsMemory(), late.Token);
                message.Write(buffer, 0, part.Count);
            }
            while (!part.EndOfMessage);
            JsonElement json = Api.Json(System.Text.Encoding.UTF8.GetString(message.ToArray()));
            if (json.TryGetProperty("method", out JsonElement said) && said.GetString() is "Runtime.exceptionThrown" or "Log.entryAdded" or "Runtime.consoleAPICalled") Console.Add(json.GetRawText());
            if (!json.TryGetProperty("id", out JsonElement answered) || answered.GetInt32() != id) continue;
            Assert.False(json.TryGetProperty("error", out JsonElement error), error.ValueKind == JsonValueKind.Undefined ? "" : error.GetRawText());
            return json.GetProperty("result");
        }
    }

    /// <summary>The value of an expression in the page.</summary>
    public async Task<JsonElement> EvaluateAsync(string expression)
    {
        JsonElement result = await CallAsync("Runtime.evaluate", new { expression, returnByValue = true, awaitPromise = true });
        Assert.False(result.TryGetProperty("exceptionDetails", out _), result.GetRawText());
        return result.GetProperty("result").TryGetProperty("value", out JsonElement value) ? value : default;
    }

    /// <summary>Waits until an expression is true.</summary>
    public async Task UntilAsync(string expression)
    {
        for (long begun = Stopwatch.GetTimestamp(); (await EvaluateAsync(expression)).ValueKind != JsonValueKind.True; await Task.Delay(20))
            Assert.True(Stopwatch.GetElapsedTime(begun) < TimeSpan.FromSeconds(30), $"Not so: {expression}. {string.Join('\n', Console)}");
    }

    /// <summary>Types text where the focus is.</summary>
    public Task TypeAsync(string text) => CallAsync("Input.insertText", new { text });

    /// <summary>Presses a key.</summary>
    public async Task PressAsync(string key, int code, int modifiers = 0)
    {
        await CallAsync("Input.dispatchKeyEvent", new { type = "rawKeyDown", key, code = key, windowsVirtualKeyCode = code, modifiers });
        await CallAsync("Input.dispatchKeyEvent", new { type = "keyUp", key, code = key, windowsVirtualKeyCode = code, modifiers });
    }

    /// <summary>Keeps a picture of the whole page where LDLVK_SCREENSHOTS names a folder, for people to look at.</summary>
    public async Task PictureAsync(string name)
    {
        if (Environment.GetEnvironmentVariable("LDLVK_SCREENSHOTS") is not { Length: > 0 } folder) return;
        string data = (await CallAsync("Page.captureScreenshot", new { captureBeyondViewport = true })).GetProperty("data").GetString()!;
        await File.WriteAllBytesAsync(Path.Combine(folder, name + ".png"), Convert.FromBase64String(data));
    }

    public async ValueTask DisposeAsync()
    {
        _socket.Dispose();
        if (!_process.HasExited) _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
        _process.Dispose();
        try
        {
            Directory.Delete(_profile, recursive: true);
        }
        catch (IOException)
        {
            // A child of the browser was still writing.
        }
    }

    [GeneratedRegex(@"ws://[^:]+:(\d+)/")]
    private static partial Regex Port();
}
