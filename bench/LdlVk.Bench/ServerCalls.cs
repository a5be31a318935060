using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text.Json;

namespace LdlVk.Bench;

/// <summary>What the benchmarks of the server have in common: their flags, requests and lines.</summary>
internal static class ServerCalls
{
    /// <summary>The value behind a flag.</summary>
    public static string Value(string[] flags, string name, string otherwise) =>
        Array.IndexOf(flags, name) is var i && i >= 0 && i + 1 < flags.Length ? flags[i + 1] : otherwise;

    /// <summary>The number behind a flag.</summary>
    public static double Number(string[] flags, string name, double otherwise) =>
        Value(flags, name, "") is { Length: > 0 } value ? double.Parse(value, CultureInfo.InvariantCulture) : otherwise;

    /// <summary>Asks for the scores of responses.</summary>
    public static async Task<float[]> AskAsync(
        HttpClient client, IEnumerable<(string Prompt, string Response)> texts, string? trace = null, CancellationToken cancellation = default)
    {
        using ByteArrayContent content = new(JsonSerializer.SerializeToUtf8Bytes(new { items = texts.Select(t => new { prompt = t.Prompt, response = t.Response }) }));
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        using HttpRequestMessage request = new(HttpMethod.Post, "v1/rewards") { Content = content };
        if (trace is not null) request.Headers.Add("traceparent", trace);
        using HttpResponseMessage response = await client.SendAsync(request, cancellation);
        response.EnsureSuccessStatusCode();
        using JsonDocument json = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync(cancellation));
        return [.. json.RootElement.GetProperty("data").EnumerateArray().Select(d => d.GetProperty("score").GetSingle())];
    }

    /// <summary>Waits until so many seconds have gone by since <paramref name="begun"/>.</summary>
    public static async Task UntilAsync(long begun, double seconds)
    {
        TimeSpan early = TimeSpan.FromSeconds(seconds) - Stopwatch.GetElapsedTime(begun);
        if (early > TimeSpan.FromMilliseconds(1)) await Task.Delay(early);
    }

    /// <summary>The time to the next of events that come at random.</summary>
    public static double Pause(Random random, double rate) => -Math.Log(1 - random.NextDouble()) / rate;

    public static double Quantile(IReadOnlyCollection<double> values, double q) => values.Order().ElementAt(Math.Min(values.Count - 1, (int)(q * values.Count)));

    /// <summary>Median and 99th percentile.</summary>
    public static string Shown(IReadOnlyCollection<double> seconds) => string.Create(CultureInfo.InvariantCulture, $"{1e3 * Quantile(seconds, 0.5):F1} and {1e3 * Quantile(seconds, 0.99):F1} ms");

    /// <summary>What else the machine does, where the system says: figures of a busy one are not the server's.</summary>
    public static string Load() => File.Exists("/proc/loadavg") ? $"load average {File.ReadAllText("/proc/loadavg").Split(' ')[0]} on {Environment.ProcessorCount} cores" : $"{Environment.ProcessorCount} cores";

    public static void Say(FormattableString text) => Console.WriteLine(text.ToString(CultureInfo.InvariantCulture));
}
