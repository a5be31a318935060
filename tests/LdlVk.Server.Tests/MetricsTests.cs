using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace LdlVk.Server.Tests;

/// <summary>The metrics at <c>/metrics</c>. Dashboards and alerts of users know their names and labels.</summary>
public partial class MetricsTests(Mini mini)
{
    /// <summary>Each metric with its type and the label names of its samples, as they were before the exporter of OpenTelemetry wrote them.</summary>
    internal static readonly string[] Known =
    [
        "counter ldlvk_abandoned_texts_total",
        "counter ldlvk_evicted_connections_total",
        "counter ldlvk_foreign_marker_texts_total",
        "counter ldlvk_prompt_cache_evicted_tokens_total",
        "counter ldlvk_prompt_cache_host_evicted_tokens_total",
        "counter ldlvk_prompt_cache_host_taken_tokens_total",
        "counter ldlvk_prompt_cache_kept_tokens_total",
        "counter ldlvk_prompt_cache_taken_tokens_total",
        "counter ldlvk_requests_total endpoint,status",
        "counter ldlvk_tokens_total",
        "gauge ldlvk_connections",
        "gauge ldlvk_prompt_cache_bytes",
        "gauge ldlvk_prompt_cache_host_bytes",
        "gauge ldlvk_prompt_cache_host_tokens",
        "gauge ldlvk_prompt_cache_tokens",
        "gauge ldlvk_queue_texts",
        "gauge ldlvk_queue_tokens",
        "gauge ldlvk_ready",
        "gauge ldlvk_requests_under_way",
        "histogram ldlvk_batch_seconds le",
        "histogram ldlvk_batch_texts le",
        "histogram ldlvk_queue_seconds le",
        "histogram ldlvk_request_seconds endpoint,le",
    ];

    private static readonly string[] Seconds = ["0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30", "60", "+Inf"];

    private static readonly string[] Texts = ["1", "2", "4", "8", "16", "32", "64", "128", "256", "512", "1024", "+Inf"];

    [Fact]
    public async Task They_count_what_happened()
    {
        await using Api api = await Api.StartAsync(mini);
        await using Api other = await Api.StartAsync(mini); // whose metrics are its own
        await api.PostAsync("v1/rewards", new { prompt = "p", responses = new[] { "x", "y" } });
        await api.PostAsync("v1/rewards", "{");
        await other.PostAsync("v1/rewards", new { prompt = "p", responses = new[] { "x", "y", "z" } });
        string text = (await api.GetAsync("metrics")).Text;
        Assert.Contains("ldlvk_requests_total{endpoint=\"/v1/rewards\",status=\"200\"} 1\n", text, StringComparison.Ordinal);
        Assert.Contains("ldlvk_requests_total{endpoint=\"/v1/rewards\",status=\"400\"} 1\n", text, StringComparison.Ordinal);
        Assert.Contains("ldlvk_batch_texts_sum 2\n", text, StringComparison.Ordinal);
        Assert.Contains("ldlvk_ready 1\n", text, StringComparison.Ordinal);
        Assert.Contains("ldlvk_requests_under_way 0\n", text, StringComparison.Ordinal);
        // Every line is a comment or a sample of Prometheus' text format.
        foreach (string line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
            Assert.Matches("^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\\{[a-z]+=\"[^\"]*\"(,[a-z]+=\"[^\"]*\")*\\})? [-+.0-9eE]+)$", line);
    }

    /// <summary>Answers to one prompt in requests of their own: the prompt is kept from the first on, or from the second where
    /// other tests asked for many that did not come again: the model is theirs too.</summary>
    [Fact]
    public async Task Tokens_of_the_prompt_cache_are_counted()
    {
        await using Api api = await Api.StartAsync(mini);
        string prompt = string.Join(' ', Enumerable.Range(0, 30).Select(i => $"metric{i}"));
        long[] cached = new long[3];
        for (int i = 0; i < cached.Length; i++)
        {
            Reply reply = await api.PostAsync("v1/rewards", new { prompt, response = $"{i}" });
            cached[i] = JsonDocument.Parse(reply.Text).RootElement.GetProperty("usage").GetProperty("prompt_tokens_details")
                .GetProperty("cached_tokens").GetInt64();
        }

        Assert.Equal(0, cached[0]);
        Assert.True(cached[1] == 0 || cached[1] == cached[2]);
        Assert.InRange(cached[2], 60, 1000);
        string text = (await api.GetAsync("metrics")).Text;
        // The model is that of other tests too.
        Assert.InRange(Value("ldlvk_prompt_cache_taken_tokens_total"), cached[2], int.MaxValue);
        Assert.InRange(Value("ldlvk_prompt_cache_kept_tokens_total"), cached[2] - 16, int.MaxValue);
        Assert.InRange(Value("ldlvk_prompt_cache_bytes"), 1000 * Value("ldlvk_prompt_cache_tokens"), long.MaxValue);

        long Value(string name) => long.Parse(Regex.Match(text, $"^{name} ([0-9]+)$", RegexOptions.Multiline).Groups[1].Value, CultureInfo.InvariantCulture);
    }

    /// <summary>Also for a scraper that prefers OpenMetrics, as Prometheus does.</summary>
    [Theory]
    [InlineData("*/*")]
    [InlineData("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1")]
    public async Task Their_names_types_labels_and_bounds_stay(string accept)
    {
        await using Api api = await Api.StartAsync(mini);
        await api.PostAsync("v1/rewards", new { prompt = "p", response = "x" });
        Reply reply = await api.GetAsync("metrics", ("Accept", accept));
        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", reply.Response.Content.Headers.ContentType!.ToString());
        string[] lines = reply.Text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        var types = lines.Where(l => l.StartsWith("# TYPE ", StringComparison.Ordinal)).Select(l => l.Split(' ')).ToDictionary(w => w[2], w => w[3]);
        Assert.Equal(types.Keys.Order(), lines.Where(l => l.StartsWith("# HELP ", StringComparison.Ordinal)).Select(l => l.Split(' ')[2]).Order());
        (string Name, string Labels)[] samples = [.. lines.Where(l => l[0] != '#').Select(Parse)];
        Assert.Equal(Known, types.Select(t => $"{t.Value} {t.Key} {LabelsOf(t.Key, t.Value == "histogram")}".TrimEnd()).Order(StringComparer.Ordinal));
        foreach (string name in (string[])["ldlvk_request_seconds", "ldlvk_queue_seconds", "ldlvk_batch_seconds"]) Assert.Equal(Seconds, Bounds(name));
        Assert.Equal(Texts, Bounds("ldlvk_batch_texts"));

        string LabelsOf(string metric, bool isHistogram)
        {
            // A histogram's sum and count have the labels of its buckets less the bound.
            string[] names = isHistogram ? [metric + "_bucket", metric + "_sum", metric + "_count"] : [metric];
            string[] labels = [.. names.Select(n => string.Join(',', Label().Matches(samples.First(s => s.Name == n).Labels).Select(m => m.Groups[1].Value).Order()))];
            if (isHistogram) Assert.All(labels[1..], l => Assert.Equal(labels[0].Replace("le", "").TrimEnd(','), l));
            return labels[0];
        }

        IEnumerable<string> Bounds(string metric) => samples.Where(s => s.Name == metric + "_bucket").Select(s => Label().Matches(s.Labels).First(m => m.Groups[1].Value == "le").Groups[2].Value);

        static (string, string) Parse(string line) => line.Split(' ')[0].Split('{') is [var name, var labels] ? (name, labels) : (line.Split(' ')[0], "");
    }

    [Fact]
    public async Task Before_the_first_request_all_that_have_a_value_are_there()
    {
        await using Api api = await Api.StartAsync(mini);
        string text = (await api.GetAsync("metrics")).Text;
        foreach (string name in (string[])["abandoned_texts_total", "tokens_total", "queue_texts", "queue_tokens", "requests_under_way"])
            Assert.Contains($"ldlvk_{name} 0\n", text, StringComparison.Ordinal);
    }

    [GeneratedRegex("([a-z]+)=\"([^\"]*)\"")]
    private static partial Regex Label();
}
