using System.Diagnostics.Metrics;
using System.Text;
using LdlVk.Server.Http;
using LdlVk.Server.Http.Connections;
using LdlVk.Server.Scoring;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using OpenTelemetry;
using OpenTelemetry.Metrics;

namespace LdlVk.Server.Telemetry;

/// <summary>
/// The instruments of one server, in the meter <see cref="MeterName"/>, and their exporter for Prometheus. Thread-safe.
/// </summary>
/// <remarks>
/// The names at <c>/metrics</c> are those of the instruments: the exporter appends nothing, because the instruments have no units and the
/// counters' names end in <c>_total</c>. The exporter's additions, <c>target_info</c> and the label <c>otel_scope_name</c>, are off.
/// A histogram appears with its first value, a counter or gauge from the start.
/// </remarks>
internal sealed class ServerMetrics : IDisposable
{
    /// <summary>The meter's name, for listeners in the host program.</summary>
    public const string MeterName = "LdlVk.Server";

    private const string Format = "text/plain; version=0.0.4; charset=utf-8";

    private static readonly InstrumentAdvice<double> Seconds = new()
    {
        HistogramBucketBoundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    };

    private static readonly InstrumentAdvice<int> Texts = new()
    {
        HistogramBucketBoundaries = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024],
    };

    private readonly Meter _meter = new(MeterName);
    private readonly Counter<long> _requests, _tokens, _abandonedTexts;
    private readonly Histogram<double> _requestSeconds, _queueSeconds, _batchSeconds;
    private readonly Histogram<int> _batchTexts;
    private readonly MeterProvider _provider;
    private int _requestsUnderWay;

    /// <param name="queueLength">Returns the number of waiting texts and of their tokens.</param>
    /// <param name="isReady">Returns whether the server can score.</param>
    /// <param name="connections">The open connections.</param>
    /// <param name="foreignMarkers">Returns the number of texts with markers of another template.</param>
    /// <param name="cache">Returns the state of the prompt cache.</param>
    public ServerMetrics(
        Func<(int Texts, long Tokens)> queueLength, Func<bool> isReady, ConnectionTable connections, Func<long> foreignMarkers,
        Func<PromptCacheUse> cache)
    {
        _provider = Sdk.CreateMeterProviderBuilder()
            // The SDK's environment variables configure the export to a collector; OTEL_SDK_DISABLED would leave /metrics empty.
            .ConfigureServices(services => services.AddSingleton<IConfiguration>(new ConfigurationBuilder().Build()))
            .AddMeter(MeterName)
            // The provider finds meters by name, and all servers of this process use the same name.
            .AddView(instrument => ReferenceEquals(instrument.Meter, _meter) ? null : MetricStreamConfiguration.Drop)
            .AddPrometheusExporter(options =>
            {
                options.ScopeInfoEnabled = false;
                options.TargetInfoEnabled = false;
                options.ScrapeResponseCacheDurationMilliseconds = 0;
            })
            .Build();
        _requests = Counter("ldlvk_requests_total", "Requests by endpoint and status.");
        _requestSeconds = _meter.CreateHistogram("ldlvk_request_seconds", null, "Time from a request to its answer.", null, Seconds);
        _queueSeconds = _meter.CreateHistogram(
            "ldlvk_queue_seconds", null, "Time that requests waited until a batch took their first text.", null, Seconds);
        _batchTexts = _meter.CreateHistogram("ldlvk_batch_texts", null, "Texts per batch.", null, Texts);
        _batchSeconds = _meter.CreateHistogram("ldlvk_batch_seconds", null, "Time from forming a batch to its scores.", null, Seconds);
        _tokens = Counter("ldlvk_tokens_total", "Tokens of scored texts; a shared prefix counts for each text.");
        _abandonedTexts = Counter("ldlvk_abandoned_texts_total", "Texts whose caller left before they were scored.");
        _tokens.Add(0);
        _abandonedTexts.Add(0);
        _meter.CreateObservableGauge(
            "ldlvk_requests_under_way", () => RequestsUnderWay, null, "Scoring requests in progress.");
        _meter.CreateObservableCounter(
            "ldlvk_foreign_marker_texts_total", foreignMarkers, null, "Texts with a marker of another model's chat template.");
        _meter.CreateObservableGauge("ldlvk_connections", () => connections.Count, null, "Open connections.");
        _meter.CreateObservableCounter(
            "ldlvk_evicted_connections_total", () => connections.Evicted, null, "Connections that were closed to make room for others.");
        _meter.CreateObservableGauge("ldlvk_queue_texts", () => queueLength().Texts, null, "Texts in the queue.");
        _meter.CreateObservableGauge("ldlvk_queue_tokens", () => queueLength().Tokens, null, "Tokens in the queue.");
        MeasureCache(cache);
        _meter.CreateObservableGauge("ldlvk_ready", () => isReady() ? 1 : 0, null, "1 while the server can score.");
    }

    /// <summary>Number of scoring requests in progress.</summary>
    public int RequestsUnderWay => Volatile.Read(ref _requestsUnderWay);

    /// <summary>Counts a new request.</summary>
    public void RequestBegins() => Interlocked.Increment(ref _requestsUnderWay);

    /// <summary>Counts an answered request.</summary>
    /// <param name="endpoint">The endpoint's path.</param>
    /// <param name="status">The answer's HTTP status.</param>
    /// <param name="time">The time from the request to its answer.</param>
    public void RequestEnds(string endpoint, int status, TimeSpan time)
    {
        Interlocked.Decrement(ref _requestsUnderWay);
        KeyValuePair<string, object?> label = new("endpoint", endpoint);
        _requests.Add(1, label, new("status", status));
        _requestSeconds.Record(time.TotalSeconds, label);
    }

    /// <summary>Records how long a request waited before a batch took the first of its texts.</summary>
    public void RequestWaited(TimeSpan time) => _queueSeconds.Record(time.TotalSeconds);

    /// <summary>Counts texts whose caller left before they were scored.</summary>
    public void TextsAbandoned(int texts) => _abandonedTexts.Add(texts);

    /// <summary>Records a batch that was scored.</summary>
    public void BatchDone(ScoringBatch batch, TimeSpan time)
    {
        _batchTexts.Record(batch.Texts.Count);
        _batchSeconds.Record(time.TotalSeconds);
        _tokens.Add(batch.Tokens);
    }

    private void MeasureCache(Func<PromptCacheUse> cache)
    {
        _meter.CreateObservableCounter(
            "ldlvk_prompt_cache_taken_tokens_total", () => cache().Taken, null,
            "Tokens that were not computed because the prompt cache had them.");
        _meter.CreateObservableCounter(
            "ldlvk_prompt_cache_kept_tokens_total", () => cache().Kept, null, "Tokens that were put into the prompt cache.");
        _meter.CreateObservableCounter(
            "ldlvk_prompt_cache_evicted_tokens_total", () => cache().Evicted, null,
            "Tokens that left the prompt cache's device memory to make room.");
        _meter.CreateObservableGauge("ldlvk_prompt_cache_tokens", () => cache().Stored, null,
            "Tokens in the prompt cache's device memory.");
        _meter.CreateObservableGauge(
            "ldlvk_prompt_cache_bytes", () => cache().Bytes, null, "Device memory of the tokens in the prompt cache.");
        _meter.CreateObservableCounter(
            "ldlvk_prompt_cache_host_taken_tokens_total", () => cache().HostTaken, null,
            "Tokens that came back from host memory to the prompt cache.");
        _meter.CreateObservableCounter(
            "ldlvk_prompt_cache_host_evicted_tokens_total", () => cache().HostEvicted, null,
            "Tokens that left the prompt cache's host memory to make room.");
        _meter.CreateObservableGauge(
            "ldlvk_prompt_cache_host_tokens", () => cache().HostStored, null, "Tokens in the prompt cache's host memory.");
        _meter.CreateObservableGauge(
            "ldlvk_prompt_cache_host_bytes", () => cache().HostBytes, null,
            "Host memory of the tokens that left the prompt cache's device memory.");
    }

    /// <summary>Returns the handler of <c>/metrics</c>.</summary>
    /// <param name="pipeline">An empty pipeline of the application.</param>
    public RequestDelegate Endpoint(IApplicationBuilder pipeline)
    {
        RequestDelegate export = pipeline.UseOpenTelemetryPrometheusScrapingEndpoint(_provider, static _ => true, null, null, null).Build();
        return async http =>
        {
            // In the OpenMetrics format, which Prometheus prefers, the exporter writes bounds as le="1.0". The series would then differ
            // from those stored with le="1".
            http.Request.Headers.Accept = "text/plain;version=0.0.4";
            http.Request.Headers.AcceptEncoding = default;
            Stream body = http.Response.Body;
            using MemoryStream written = new();
            http.Response.Body = written;
            try
            {
                await export(http).ConfigureAwait(false);
            }
            finally
            {
                http.Response.Body = body;
            }

            // Without the scope's label, exporter 1.20.1-beta.1 writes empty braces (name{} 1). Scripts look for "name 1".
            string text = Encoding.UTF8.GetString(
                written.GetBuffer(), 0, (int)written.Length).Replace("{} ", " ", StringComparison.Ordinal);
            await Replies.BytesAsync(http.Response, http.Response.StatusCode, Format, Encoding.UTF8.GetBytes(text)).ConfigureAwait(false);
        };
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _provider.Dispose();
        _meter.Dispose();
    }

    private Counter<long> Counter(string name, string help) => _meter.CreateCounter<long>(name, null, help);
}
