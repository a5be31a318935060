using System.Diagnostics;
using System.Net.Sockets;
using LdlVk.Runtime.Formatting;
using LdlVk.Server.Http;
using LdlVk.Server.Http.Connections;
using LdlVk.Server.OpenApi;
using LdlVk.Server.Protocols;
using LdlVk.Server.Scoring;
using LdlVk.Server.Telemetry;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace LdlVk.Server;

/// <summary>
/// Serves a reward model over HTTP, in the protocols of OpenRLHF, vLLM, SGLang, text-embeddings-inference and LLaMA-Factory and in its
/// own, with a web page at <c>/</c>. The texts of all requests share batches. The caller disposes the model, after the server.
/// </summary>
public sealed partial class RewardServer : IAsyncDisposable
{
    /// <summary>The scoring endpoints.</summary>
    internal static IReadOnlyList<Protocol> Protocols { get; } =
    [
        new Rewards(), new Compare(), new OpenRlhf(), new Classify(), new VllmPooling(), new VllmScore(), new Embeddings(),
        new TeiPredict(), new TeiRerank(), new Rerank(), new LlamaFactory(),
        new Alias(new VllmScore(), "/v1/score"), new Alias(new Classify(), "/v1/classify"), new Alias(new VllmPooling(), "/v1/pooling"),
        new Alias(new Rerank(), "/v2/rerank"), new ChatCompletions(), new Tokenize(), new Detokenize(), new Render(),
        new Invocations("/"), new Invocations("/invocations"),
    ];

    /// <summary>Error statuses of scoring requests, before a protocol translates them into its own.</summary>
    private static readonly int[] ErrorStatuses = [400, 401, 403, 413, 422, 429, 500, 503];

    private readonly ServerOptions _options;
    private readonly ILogger _log;
    private readonly ServerMetrics _metrics;
    private readonly ScoringQueue _queue;
    private readonly ScoringEndpoint _scoring;
    private readonly WebApplication _app;
    private readonly IDisposable? _tracing;
    private readonly ConnectionTable _connections;
    private readonly TrustedProxies _proxies;
    private readonly List<HealthListener> _health = [];
    private volatile bool _isStopping;

    private RewardServer(RewardModel model, ScoreTexts score, ServerOptions options, IReadOnlyList<ListenAddress> addresses)
    {
        _options = options;
        _log = options.LoggerFactory.CreateLogger<RewardServer>();
        _proxies = new TrustedProxies(options.TrustedProxies);
        int connections = FileHandles.Connections(options.MaxConnections);
        _connections = new ConnectionTable(connections, options.MaxConnectionsPerClient, _proxies.Contain);
        _metrics = new ServerMetrics(() => Waiting, () => IsReady, _connections, () => model.TextsWithForeignMarkers,
            () => model.PromptCache);
        _queue = new ScoringQueue(score, model.Plan, options, _metrics);
        _scoring = new ScoringEndpoint(model, options, _queue, _metrics, _connections);
        _tracing = Tracing.Start();
        _app = Build(addresses);
        bool onlyLoopback = addresses.All(a => a.IsLoopback);
        if (!onlyLoopback && options.ApiKey is null) _log.NoApiKey();
        Map(model, new Guard(options.ApiKey, new HostNames(options.AllowedHosts, onlyLoopback)));
    }

    /// <summary>The URLs that the server listens on.</summary>
    public IReadOnlyList<string> Urls =>
        [.. _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses];

    /// <summary>The URLs of the listeners that answer <c>/health</c> and <c>/ready</c> alone; empty if there are none.</summary>
    public IReadOnlyList<string> HealthUrls => [.. _health.Select(listener => $"http://{listener.EndPoint}")];

    /// <summary>The open connections.</summary>
    internal ConnectionTable Connections => _connections;

    /// <summary>Whether the server can score: the last batch succeeded, and the server is not stopping.</summary>
    internal bool IsReady => !_isStopping && _queue.Failure is null;

    /// <summary>The server's state in a word, or the reason why it cannot score.</summary>
    private string State => IsReady ? "ready" : _isStopping ? "stopping" : _queue.Failure!;

    /// <summary>The endpoints, for the OpenAPI description.</summary>
    internal IEnumerable<EndpointDataSource> Endpoints => ((IEndpointRouteBuilder)_app).DataSources;

    /// <summary>Number of texts and of tokens in the queue.</summary>
    internal (int Texts, long Tokens) Waiting => _queue.Waiting;

    /// <summary>Starts a server.</summary>
    /// <param name="model">The model; it must outlive the server.</param>
    /// <param name="options">Addresses and limits; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the start.</param>
    /// <exception cref="UsageException">An option is invalid.</exception>
    /// <exception cref="IOException">An address cannot be listened at.</exception>
    public static Task<RewardServer> StartAsync(
        RewardModel model, ServerOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        return StartAsync(model, model.ScoreTogether, options ?? new ServerOptions(), cancellationToken);
    }

    /// <summary>Starts a server that scores batches with a function of the caller; for tests.</summary>
    internal static async Task<RewardServer> StartAsync(
        RewardModel model, ScoreTexts score, ServerOptions options, CancellationToken cancellationToken = default)
    {
        options.Check();
        RewardServer server = new(model, score, options, [.. options.Urls.Select(ListenAddress.Parse)]);
        string place = string.Join(" and ", options.Urls);
        try
        {
            await server._app.StartAsync(cancellationToken).ConfigureAwait(false);
            place = $"the health port {options.HealthPort}";
            server.StartHealth();
            string devices = string.Join(", ", model.Devices.Select(d => d.Name));
            string urls = string.Join(" and ", server.Urls.Concat(server.HealthUrls));
            server._log.Serving(options.ModelName, devices, Readable.Name(model.Weights), urls);
            return server;
        }
        catch (Exception e)
        {
            await server.DisposeAsync().ConfigureAwait(false);
            SocketException? socket = e as SocketException ?? e.InnerException as SocketException
                ?? e.InnerException?.InnerException as SocketException;
            if (WhyNot(socket?.SocketErrorCode) is not { } why) throw;
            throw new IOException($"The server cannot listen at {place}: {why}", e);
        }
    }

    /// <summary>Says why an address cannot be listened at, and the way on; null for other errors.</summary>
    private static string? WhyNot(SocketError? error) => error switch
    {
        SocketError.TooManyOpenSockets => "this process has no file handles left. Raise their limit (ulimit -n 4096).",
        SocketError.AddressAlreadyInUse => "it is in use by another program. Stop that, or use another port.",
        SocketError.AccessDenied => "this user may not. Ports below 1024 are for administrators: use another port.",
        SocketError.AddressNotAvailable => "this machine has no such address.",
        _ => null,
    };

    /// <summary>
    /// Stops the server gracefully. It answers <c>/ready</c> with 503 and closes each connection after its answer. It accepts requests for
    /// <see cref="ServerOptions.DrainDelay"/>, then refuses new ones. It waits up to <see cref="ServerOptions.DrainTime"/> for those in
    /// progress, and stops listening.
    /// </summary>
    public async Task StopAsync()
    {
        _isStopping = true;
        await Task.Delay(_options.DrainDelay).ConfigureAwait(false);
        _scoring.Drain();
        long begun = Stopwatch.GetTimestamp();
        while (_metrics.RequestsUnderWay > 0 && Stopwatch.GetElapsedTime(begun) < _options.DrainTime)
            await Task.Delay(10).ConfigureAwait(false);
        if (_metrics.RequestsUnderWay is > 0 and var left) _log.CutOff(left, _options.DrainTime.TotalSeconds);
        using CancellationTokenSource now = new(TimeSpan.FromSeconds(2)); // for idle keep-alive connections
        await _app.StopAsync(now.Token).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _isStopping = true;
        _scoring.Drain();
        foreach (HealthListener listener in _health) listener.Dispose();
        _queue.Dispose();
        _scoring.Dispose();
        await _app.DisposeAsync().ConfigureAwait(false);
        _metrics.Dispose();
        _tracing?.Dispose();
    }

    private WebApplication Build(IReadOnlyList<ListenAddress> addresses)
    {
        // Empty: others read environment variables and appsettings.json, which could add addresses to those that were checked.
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(
            new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.Services.AddRouting();
        // The caller's loggers replace those of the builder, which write to the console.
        builder.Services.AddSingleton(_options.LoggerFactory);
        // The process handles signals. A second lifetime would stop listening before the requests in progress are answered.
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            // RequestBody limits the size. With a limit of its own, Kestrel would close the connection during the upload, and the client
            // would often see a broken pipe instead of the error. Now Kestrel discards the rest of a refused body, for 5 s at most.
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(10);
            // What Kestrel reads ahead on each connection.
            kestrel.Limits.MaxRequestHeadersTotalSize = 1 << 14;
            kestrel.Limits.MaxRequestBufferSize = 1 << 15;
            // The number of connections is limited, so idle and very slow ones are closed soon.
            kestrel.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(30);
            kestrel.Limits.MinRequestBodyDataRate = new MinDataRate(1024, TimeSpan.FromSeconds(5));
            kestrel.Limits.MinResponseDataRate = new MinDataRate(16384, TimeSpan.FromSeconds(5));
            foreach (ListenAddress address in addresses) address.Listen(kestrel, Track);
        });
        builder.Services.AddSingleton<IConnectionListenerFactory>(new BoundedTransport(_connections, _options.LoggerFactory));
        ApiDocument.AddTo(builder.Services);
        return builder.Build();
    }

    private void StartHealth()
    {
        if (_options.HealthPort is not { } port) return;
        foreach (ListenAddress address in _options.Urls.Select(ListenAddress.Parse).DistinctBy(address => address.Address))
            _health.Add(new HealthListener(address with { Port = port }, () => (IsReady, State)));
    }

    /// <summary>Takes a connection off the table when it is closed.</summary>
    private void Track(ListenOptions listen) => listen.Use(next => async connection =>
    {
        try
        {
            await next(connection).ConfigureAwait(false);
        }
        finally
        {
            if (connection.Features.Get<ConnectionTable.Entry>() is { } entry) _connections.Close(entry);
        }
    });

    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
