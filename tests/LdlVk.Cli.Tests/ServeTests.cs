using System.Diagnostics;
using System.Text;
using System.Text.Json;

namespace LdlVk.Cli.Tests;

/// <summary><c>ldlvk serve</c> as a process: it listens, answers, and ends when it is told to.</summary>
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
            string? line = await process.StandardError.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60));
            Assert.Matches("^ldlvk: ldl-mini on .+ at http://127.0.0.1:[0-9]+$", line);
            using HttpClient client = new() { BaseAddress = new Uri(line!.Split(' ')[^1]) };
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
    public async Task A_wrong_flag_is_told_before_the_model_is_loaded(string flag, string value)
    {
        Outcome run = await Cli.RunAsync("serve", "--model", "/nonexistent", "--device", "cpu", flag, value);
        Assert.Equal(2, run.Code);
        Assert.DoesNotContain("nonexistent", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_file_without_a_key_is_an_error()
    {
        using TempFolder temp = new();
        (await Cli.RunAsync("serve", "--model", Cli.Mini, "--device", "cpu", "--api-key-file", temp.Write("empty", "\n"))).Fails(2, "holds no API key");
        (await Cli.RunAsync("serve", "--model", Cli.Mini, "--device", "cpu", "--api-key-file", temp.Write("short", "abc\n"))).Fails(2, "fewer than 8 characters");
    }

    [Fact]
    public async Task An_address_in_use_is_the_machine_s_failure()
    {
        using System.Net.Sockets.TcpListener taken = new(System.Net.IPAddress.Loopback, 0);
        taken.Start();
        int port = ((System.Net.IPEndPoint)taken.LocalEndpoint).Port;
        (await Cli.RunAsync("serve", "--model", Cli.Mini, "--device", "cpu", "--quiet", "--urls", $"http://127.0.0.1:{port}")).Fails(1, "in use");
    }
}
