using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary><c>ldlvk serve</c> as a process: it listens, answers, and ends when it is told to.</summary>
[Trait("Duration", "Long")]
public class ServeTests
{
    [Theory]
    [InlineData("TERM")]
    [InlineData("INT")]
    public async Task It_serves_and_ends_with_code_0_after_answering(string signal)
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("Signals are sent with kill.");
        using Process process = Cli.Start(null, "serve", "--model", Cli.Mini, "--device", "cpu", "--urls", "http://127.0.0.1:0");
        try
        {
            string line = await process.StandardError.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60)) ?? "";
            Assert.Matches("^ldlvk: ldl-mini on .+ at http://127.0.0.1:[0-9]+$", line);
            using HttpClient client = new() { BaseAddress = new Uri(line[line.IndexOf("http", StringComparison.Ordinal)..]) };
            Outcome alone = await Cli.RunAsync("score", "--model", Cli.Mini, "--device", "cpu", "--prompt", "Define \"sea\".", "--response", "Water.");
            string score = alone.Lines[0].GetProperty("score").GetRawText();
            const string body = """{"prompt":"Define \"sea\".","response":"Water."}""";
            Task<HttpResponseMessage>[] asked = [.. Enumerable.Range(0, 20).Select(_ => client.PostAsync("v1/rewards", new StringContent(body, Encoding.UTF8, "application/json")))];
            await asked[0];
            await Process.Start("/bin/sh", ["-c", $"kill -{signal} {process.Id}"]).WaitForExitAsync();
            foreach (Task<HttpResponseMessage> ask in asked)
            {
                using HttpResponseMessage answer = await ask;
                JsonElement json = Cli.Json(await answer.Content.ReadAsStringAsync());
                // One that came too late is told so.
                if ((int)answer.StatusCode == 503) continue;
                Assert.Equal(score, json.GetProperty("data")[0].GetProperty("score").GetRawText());
            }

            await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(20));
            Assert.Equal((0, "", ""), (process.ExitCode, await process.StandardOutput.ReadToEndAsync(), await process.StandardError.ReadToEndAsync()));
        }
        finally
        {
            if (!process.HasExited) process.Kill();
        }
    }

    [Theory]
    [InlineData("--urls", "https://127.0.0.1:0")]
    [InlineData("--max-queue", "0")]
    [InlineData("--max-wait-ms", "5000")]
    [InlineData("--special-tokens", "none")]
    [InlineData("--log-format", "xml")]
    public async Task A_wrong_flag_is_told_before_the_model_is_loaded(string flag, string value)
    {
        Outcome run = await Cli.RunAsync("serve", "--model", "/nonexistent", "--device", "cpu", flag, value);
        Assert.Equal(2, run.Code);
        Assert.DoesNotContain("nonexistent", run.Error, StringComparison.Ordinal);
    }

    /// <summary>With JSON every line of standard error is an object, also those that are written while the model is loaded.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_log_is_JSON_where_that_is_asked_for(bool quiet)
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("Signals are sent with kill.");
        // Port 0 of all addresses: the warning of the missing key is logged too.
        using Process process = Cli.Start(
            null, ["serve", "--model", Cli.Mini, "--device", "cpu", "--urls", "http://*:0", "--log-format", "json", .. quiet ? ["--quiet"] : Array.Empty<string>()]);
        List<JsonElement> lines = [];
        try
        {
            while (lines.Count < (quiet ? 1 : 2)) lines.Add(Cli.Json(await process.StandardError.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60)) ?? ""));
            // The warning comes before the server listens; it ends well only once it does.
            await Task.Delay(quiet ? 2000 : 0);
            await Process.Start("/bin/sh", ["-c", $"kill -TERM {process.Id}"]).WaitForExitAsync();
            await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(20));
            Assert.Equal((0, "", ""), (process.ExitCode, await process.StandardOutput.ReadToEndAsync(), await process.StandardError.ReadToEndAsync()));
        }
        finally
        {
            if (!process.HasExited) process.Kill();
        }

        Assert.Equal(("Warning", "LdlVk.Server.RewardServer"), (lines[0].GetProperty("LogLevel").GetString(), lines[0].GetProperty("Category").GetString()));
        if (quiet) return;
        JsonElement serving = lines[1];
        Assert.Equal(("Information", "ldl-mini"), (serving.GetProperty("LogLevel").GetString(), serving.GetProperty("State").GetProperty("Model").GetString()));
        Assert.Matches("^ldl-mini on .+ weights, at http://.+:[0-9]+$", serving.GetProperty("Message").GetString());
        Assert.Equal(TimeSpan.Zero, DateTimeOffset.Parse(serving.GetProperty("Timestamp").GetString()!, System.Globalization.CultureInfo.InvariantCulture).Offset);
    }

    /// <summary>Also the last line, by which a person learns why the server did not start, and also with --quiet.</summary>
    [Theory]
    [InlineData("--model", "/nonexistent", 2, "There is no folder /nonexistent")]
    [InlineData("--api-key-file", "/nonexistent/key", 1, "/nonexistent/key")]
    public async Task An_error_is_JSON_where_that_is_asked_for(string flag, string value, int code, string message)
    {
        string[] model = flag == "--model" ? [] : ["--model", Cli.Mini];
        Outcome run = await Cli.RunAsync(["serve", .. model, "--device", "cpu", "--log-format", "json", "--quiet", flag, value]);
        Assert.Equal(code, run.Code);
        JsonElement line = Cli.Json(Assert.Single(run.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries)));
        Assert.Equal("Critical", line.GetProperty("LogLevel").GetString());
        Assert.Contains(message, line.GetProperty("Message").GetString(), StringComparison.Ordinal);
    }

    /// <summary>Spans go to the collector that OpenTelemetry's variables name, in the caller's trace, at the latest when the server ends.</summary>
    [Fact]
    public async Task Traces_go_out_by_OTLP()
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("Signals are sent with kill.");
        const string trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        using Collector collector = new();
        using Process process = Cli.Start(
            new Dictionary<string, string> { ["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.Url, ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf", ["OTEL_SERVICE_NAME"] = "judge" },
            "serve", "--model", Cli.Mini, "--device", "cpu", "--urls", "http://127.0.0.1:0");
        try
        {
            string line = await process.StandardError.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60)) ?? "";
            using HttpClient client = new() { BaseAddress = new Uri(line[line.IndexOf("http", StringComparison.Ordinal)..]) };
            client.DefaultRequestHeaders.Add("traceparent", $"00-{trace}-00f067aa0ba902b7-01");
            using HttpResponseMessage answer = await client.PostAsync("v1/rewards", new StringContent("""{"prompt":"a","response":"b"}""", Encoding.UTF8, "application/json"));
            Assert.True(answer.IsSuccessStatusCode);
            await Process.Start("/bin/sh", ["-c", $"kill -TERM {process.Id}"]).WaitForExitAsync();
            await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(20));
            Assert.Equal((0, "", ""), (process.ExitCode, await process.StandardOutput.ReadToEndAsync(), await process.StandardError.ReadToEndAsync()));
        }
        finally
        {
            if (!process.HasExited) process.Kill();
        }

        byte[] sent = collector.Sent("/v1/traces");
        foreach (string text in (string[])["judge", "http.request.method", "/v1/rewards", "read texts", "score texts", "score batch"])
            Assert.True(sent.AsSpan().IndexOf(Encoding.UTF8.GetBytes(text)) >= 0, $"{text} is in no span.");
        // The request's span and its children, and the batch's.
        Assert.Equal(4, sent.AsSpan().Count(Convert.FromHexString(trace)));
    }

    [Fact]
    public async Task A_key_file_without_a_key_is_an_error()
    {
        using TempFolder temp = new();
        (await Cli.RunAsync("serve", "--model", Cli.Mini, "--device", "cpu", "--api-key-file", temp.Write("empty", "\n"))).Fails(2, "contains no API key");
        (await Cli.RunAsync("serve", "--model", Cli.Mini, "--device", "cpu", "--api-key-file", temp.Write("short", "abc\n"))).Fails(2, "at least 8 characters");
    }

    /// <summary>A variable that was meant to hold a key, as where a secret is missing: a server without a key would be open to all.</summary>
    [Theory]
    [InlineData("")]
    [InlineData(" \n")]
    public async Task An_empty_variable_is_not_taken_for_no_key(string key)
    {
        if (OperatingSystem.IsWindows() && key.Length == 0) Assert.Skip("Windows has no empty variables.");
        Dictionary<string, string> environment = new() { ["LDLVK_API_KEY"] = key };
        (await Cli.RunProcessAsync(environment, "serve", "--model", Cli.Mini, "--device", "cpu")).Fails(2, "LDLVK_API_KEY is empty", "unset it");
    }

    [Fact]
    public async Task An_address_in_use_is_the_machine_s_failure()
    {
        using TcpListener taken = new(IPAddress.Loopback, 0);
        taken.Start();
        int port = ((IPEndPoint)taken.LocalEndpoint).Port;
        (await Cli.RunAsync("serve", "--model", Cli.Mini, "--device", "cpu", "--quiet", "--urls", $"http://127.0.0.1:{port}")).Fails(1, "in use");
    }

    /// <summary>Takes what is posted to it on a free port, as an OpenTelemetry collector does.</summary>
    private sealed class Collector : IDisposable
    {
        private readonly HttpListener _listener = new();
        private readonly ConcurrentQueue<(string Path, byte[] Body)> _posts = new();

        public Collector()
        {
            using (TcpListener free = new(IPAddress.Loopback, 0))
            {
                free.Start();
                Url = $"http://127.0.0.1:{((IPEndPoint)free.LocalEndpoint).Port}";
            }

            _listener.Prefixes.Add(Url + "/");
            _listener.Start();
            _ = TakeAsync();
        }

        public string Url { get; }

        /// <summary>All that was posted to a path.</summary>
        public byte[] Sent(string path) => [.. _posts.Where(p => p.Path == path).SelectMany(p => p.Body)];

        public void Dispose() => _listener.Close();

        private async Task TakeAsync()
        {
            try
            {
                while (true)
                {
                    HttpListenerContext context = await _listener.GetContextAsync();
                    using MemoryStream body = new();
                    await context.Request.InputStream.CopyToAsync(body);
                    _posts.Enqueue((context.Request.Url!.AbsolutePath, body.ToArray()));
                    context.Response.Close();
                }
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
            {
                // The test is over.
            }
        }
    }
}
