using Microsoft.Extensions.Logging;

namespace LdlVk.Server.Tests;

/// <summary>What the server logs, and that no text of a request is in it.</summary>
public class LogTests(Mini mini)
{
    private const string Secret = "xylophone";

    [Fact]
    public async Task Loggers_of_the_embedding_program_get_fields_of_the_server_and_of_ASP_NET_Core()
    {
        using LogRecorder log = new();
        await using Api api = await Api.StartAsync(mini, Api.Options with { LoggerFactory = log });
        await api.PostAsync("v1/rewards", new { prompt = "p", responses = new[] { "a", "b" } });
        LogRecord serving = Assert.Single(log.Records, r => r.Category == typeof(RewardServer).FullName && r.Level == LogLevel.Information);
        Assert.Equal($"mini on {mini.Model.Devices[0].Name}, fp32 weights, at {api.Server.Urls[0]}", serving.Message);
        Assert.Equal("mini", serving.Fields.First(f => f.Key == "Model").Value);
        for (int i = 0; i < 500 && !log.Records.Any(r => r.Fields.Any(f => f.Key == "Endpoint")); i++) await Task.Delay(10);
        LogRecord answered = Assert.Single(log.Records, r => r.Fields.Any(f => f.Key == "Endpoint"));
        Assert.Equal((LogLevel.Debug, 2, 200), (answered.Level, answered.Fields.First(f => f.Key == "Texts").Value, answered.Fields.First(f => f.Key == "Status").Value));
        Assert.Contains(log.Records, r => r.Category.StartsWith("Microsoft.AspNetCore.", StringComparison.Ordinal));
    }

    [Fact]
    public async Task No_text_of_a_request_is_logged_at_any_level()
    {
        using LogRecorder log = new();
        int calls = 0;
        await using Api api = await Api.StartAsync(mini, (texts, cancellation) => calls++ switch
        {
            0 => throw new DeviceException("the device fell off the bus."),
            1 => throw new InvalidOperationException($"'{Secret}' has no score."),
            _ => mini.Model.ScoreTogether(texts, cancellation),
        }, Api.Options with { LoggerFactory = log, TrialAfter = TimeSpan.FromHours(1) });
        object body = new { prompt = Secret, response = Secret };
        Assert.Equal([503, 500, 200], new[] { await api.PostAsync("v1/rewards", body), await api.PostAsync("v1/rewards", body), await api.PostAsync("v1/rewards", body) }.Select(r => r.Status));
        foreach (var protocol in RewardServer.Protocols)
        {
            foreach (string name in (string[])["prompt", "query", "input", "inputs", "text", "texts", "text_1", "messages", "items"])
            {
                await api.PostAsync(protocol.Path, $"{{\"{name}\":\"{Secret}\",\"{name}\":");
                await api.PostAsync(protocol.Path, $"{{\"{name}\":\"{Secret}\"}}");
                await api.PostAsync(protocol.Path, $"{{\"{name}\":[\"{Secret}\"]}}");
            }
        }

        Assert.Contains(log.Records, r => r is { Level: LogLevel.Error, Message: "A batch of 1 texts failed: the device fell off the bus." });
        Assert.Contains(log.Records, r => r.Level == LogLevel.Error && r.Message.StartsWith("A batch of 1 texts failed: InvalidOperationException in LdlVk.Server.Tests.LogTests", StringComparison.Ordinal));
        Assert.Contains(log.Records, r => r.Level == LogLevel.Error && r.Message.StartsWith("Internal error: InvalidOperationException in ", StringComparison.Ordinal));
        Assert.All(log.Records, r => Assert.DoesNotContain(Secret, $"{r.Message} {r.Exception} {string.Join(' ', r.Fields)}", StringComparison.OrdinalIgnoreCase));
    }
}
