using System.Diagnostics.Metrics;
using System.Text;
using LdlVk.Server.Http;
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
/// The names at <c>/metrics</c> are the instruments' own: without units and with the suffix <c>_total</c> in the counters' names, the
/// exporter has nothing to append. Its additions, <c>target_info</c> and the label <c>otel_scope_name</c>, are switched off.
/// A histogram appears with its first value, a counter or gauge from the start.
/// </remarks>
internal sealed class ServerMetrics : IDisposable
{
    /// <summary>The meter's name, for listeners of the embedding program.</summary>
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

    /// <param name="queueLength">Returns the number of texts that wait, and of their tokens.</param>
    /// <param name="isReady">Returns whether the server can score.</param>
    public ServerMetrics(Func<(int Texts, long Tokens)> queueLength, Func<bool> isReady)
    {
        _provider = Sdk.CreateMeterProviderBuilder()
            // The SDK's environment variables are for what is sent to a collector; one of them (OTEL_SDK_DISABLED) would empty /metrics.
            .ConfigureServices(services => services.AddSingleton<IConfiguration>(new ConfigurationBuilder().Build()))
            .AddMeter(MeterName)
            // The provider finds meters by name; those of other servers in this process have the same.
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
            "ldlvk_queue_seconds", null, "Time that requests waited before a batch took their texts.", null, Seconds);
        _batchTexts = _meter.CreateHistogram("ldlvk_batch_texts", null, "Texts of a batch.", null, Texts);
        _batchSeconds = _meter.CreateHistogram("ldlvk_batch_seconds", null, "Time from forming a batch to its scores.", null, Seconds);
        _tokens = Counter("ldlvk_tokens_total", "Tokens of scored texts; a shared prefix counts for each text.");
        _abandonedTexts = Counter("ldlvk_abandoned_texts_total", "Texts whose caller left before they were scored.");
        _tokens.Add(0);
        _abandonedTexts.Add(0);
        _meter.CreateObservableGauge(
            "ldlvk_requests_under_way", () => RequestsUnderWay, null, "Requests for scores that are not answered yet.");
        _meter.CreateObservableGauge("ldlvk_queue_texts", () => queueLength().Texts, null, "Texts that wait.");
        _meter.CreateObservableGauge("ldlvk_queue_tokens", () => queueLength().Tokens, null, "Tokens that wait.");
        _meter.CreateObservableGauge("ldlvk_ready", () => isReady() ? 1 : 0, null, "1 while the server can score.");
    }

    /// <summary>Requests for scores that are not answered yet.</summary>
    public int RequestsUnderWay => Volatile.Read(ref _requestsUnderWay);

    /// <summary>Counts a request that has come.</summary>
    public void RequestBegins() => Interlocked.Increment(ref _requestsUnderWay);

    /// <summary>Counts a request that is answered.</summary>
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

    /// <summary>Returns what answers a request for <c>/metrics</c>.</summary>
    /// <param name="pipeline">An empty pipeline of the application.</param>
    public RequestDelegate Endpoint(IApplicationBuilder pipeline)
    {
        RequestDelegate export = pipeline.UseOpenTelemetryPrometheusScrapingEndpoint(_provider, static _ => true, null, null, null).Build();
        return async http =>
        {
            // In the format OpenMetrics, which Prometheus prefers, the exporter writes bounds as le="1.0": the series would no longer be
            // those that are stored as le="1".
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

            // 1.20.1-beta.1 writes braces around no labels (name{} 1) once the label of the scope is off; scripts that look for "name 1"
            // know none.
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
