using System.Diagnostics;
using System.Net.Sockets;
using System.Reflection;
using System.Text.Json;
using LdlVk.Runtime.Formatting;
using LdlVk.Server.Http;
using LdlVk.Server.OpenApi;
using LdlVk.Server.Protocols;
using LdlVk.Server.Protocols.Bodies;
using LdlVk.Server.Scoring;
using LdlVk.Server.Telemetry;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
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
public sealed class RewardServer : IAsyncDisposable
{
    /// <summary>The scoring endpoints.</summary>
    internal static IReadOnlyList<Protocol> Protocols { get; } =
    [
        new Rewards(), new Compare(), new OpenRlhf(), new Classify(), new VllmPooling(), new VllmScore(), new Embeddings(),
        new TeiPredict(), new TeiRerank(), new Rerank(), new LlamaFactory(),
        new Alias(new VllmScore(), "/v1/score"), new Alias(new Classify(), "/v1/classify"), new Alias(new VllmPooling(), "/v1/pooling"),
        new Alias(new Rerank(), "/v2/rerank"),
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

    private RewardServer(RewardModel model, ScoreTexts score, ServerOptions options, IReadOnlyList<ListenAddress> addresses)
    {
        _options = options;
        _log = options.LoggerFactory.CreateLogger<RewardServer>();
        _metrics = new ServerMetrics(() => Waiting, () => IsReady);
        _queue = new ScoringQueue(score, model.Plan, options, _metrics);
        _scoring = new ScoringEndpoint(model, options, _queue, _metrics);
        _tracing = Tracing.Start();
        _app = Build(addresses);
        bool onlyLoopback = addresses.All(a => a.IsLoopback);
        if (!onlyLoopback && options.ApiKey is null) _log.NoApiKey();
        Map(model, new Guard(options.ApiKey, onlyLoopback));
    }

    /// <summary>The URLs that the server listens on.</summary>
    public IReadOnlyList<string> Urls =>
        [.. _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses];

    /// <summary>Whether the server can score: the last batch succeeded, and the server is not stopping.</summary>
    internal bool IsReady => !_scoring.IsDraining && _queue.Failure is null;

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
        try
        {
            await server._app.StartAsync(cancellationToken).ConfigureAwait(false);
            string devices = string.Join(", ", model.Devices.Select(d => d.Name));
            server._log.Serving(options.ModelName, devices, Readable.Name(model.Weights), string.Join(" and ", server.Urls));
            return server;
        }
        catch (Exception e)
        {
            await server.DisposeAsync().ConfigureAwait(false);
            SocketException? socket = e as SocketException ?? e.InnerException as SocketException
                ?? e.InnerException?.InnerException as SocketException;
            if (WhyNot(socket?.SocketErrorCode) is not { } why) throw;
            throw new IOException($"The server cannot listen at {string.Join(" and ", options.Urls)}: {why}", e);
        }
    }

    /// <summary>Says why an address cannot be listened at, and the way on; null for other errors.</summary>
    private static string? WhyNot(SocketError? error) => error switch
    {
        SocketError.AddressAlreadyInUse => "it is in use by another program. Stop that, or use another port.",
        SocketError.AccessDenied => "this user may not. Ports below 1024 are for administrators: use another port.",
        SocketError.AddressNotAvailable => "this machine has no such address.",
        _ => null,
    };

    /// <summary>
    /// Stops the server gracefully. It refuses new scoring requests and answers <c>/ready</c> with 503. It then waits up to
    /// <see cref="ServerOptions.DrainTime"/> for the requests in progress, and stops listening.
    /// </summary>
    public async Task StopAsync()
    {
        _scoring.Drain();
        long begun = Stopwatch.GetTimestamp();
        while (_metrics.RequestsUnderWay > 0 && Stopwatch.GetElapsedTime(begun) < _options.DrainTime)
            await Task.Delay(10).ConfigureAwait(false);
        using CancellationTokenSource now = new(TimeSpan.FromSeconds(2)); // for idle keep-alive connections
        await _app.StopAsync(now.Token).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _scoring.Drain();
        _queue.Dispose();
        await _app.DisposeAsync().ConfigureAwait(false);
        _metrics.Dispose();
        _tracing?.Dispose();
    }

    private WebApplication Build(IReadOnlyList<ListenAddress> addresses)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(
            new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        // The caller's loggers replace those of the builder, which write to the console.
        builder.Services.AddSingleton(_options.LoggerFactory);
        // The process handles signals. A second lifetime would stop listening before the requests in progress are answered.
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.WebHost.UseKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            // RequestBody limits the size. With a limit of its own, Kestrel would close the connection during the upload, and the client
            // would often see a broken pipe instead of the error. Now Kestrel discards the rest of a refused body, for 5 s at most.
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Limits.MaxConcurrentConnections = 4096;
            kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(10);
            // The number of connections is limited, so idle and very slow ones are closed soon.
            kestrel.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(30);
            kestrel.Limits.MinRequestBodyDataRate = new MinDataRate(1024, TimeSpan.FromSeconds(5));
            kestrel.Limits.MinResponseDataRate = new MinDataRate(16384, TimeSpan.FromSeconds(5));
            foreach (ListenAddress address in addresses) address.Listen(kestrel);
        });
        ApiDocument.AddTo(builder.Services);
        return builder.Build();
    }

    private void Map(RewardModel model, Guard guard)
    {
        _app.Use(next => http => CheckedAsync(http, next, guard));
        foreach (Protocol protocol in Protocols)
        {
            RequestDelegate score = http => _scoring.HandleAsync(http, protocol);
            IEnumerable<int> errors = ErrorStatuses.Select(status => protocol.StatusOf(new RequestException(status, ""))).Distinct();
            ApiDocument.Describe(
                _app.MapPost(protocol.Path, score).WithMetadata(protocol), score, protocol.Operation with { ErrorStatuses = [.. errors] });
        }

        Facts facts = new(model, _options);
        ApiDocument document = new(_app.Services);
        RequestDelegate metrics = _metrics.Endpoint(((IEndpointRouteBuilder)_app).CreateApplicationBuilder());
        Get(
            "/v1/models",
            "listModels",
            "Get the model and its attributes' names in vLLM's format",
            http => Replies.JsonAsync(http.Response, 200, facts.Models, BodyJson.Own.ModelList),
            typeof(ModelList));
        Get(
            "/v1/models/{id}",
            "getModel",
            "Get the model if its name is the one asked for",
            http => (string?)http.Request.RouteValues["id"] == _options.ModelName
                ? Replies.JsonAsync(http.Response, 200, facts.Models.Data[0], BodyJson.Own.ModelEntry)
                : throw new RequestException(404, $"There is no such model. This server has {_options.ModelName}."),
            typeof(ModelEntry));
        Get(
            "/get_model_info",
            "getModelInfo",
            "Get the model in SGLang's format",
            http => Replies.JsonAsync(http.Response, 200, facts.SgLang, BodyJson.Own.SgLangModelInfo),
            typeof(SgLangModelInfo));
        Get(
            "/info",
            "getInfo",
            "Get the model and the limits in the format of text-embeddings-inference",
            http => Replies.JsonAsync(http.Response, 200, facts.Info, BodyJson.Own.ServerInfo),
            typeof(ServerInfo));
        Get("/metrics", "getMetrics", "Get metrics for Prometheus", metrics, media: "text/plain");
        Open("/health", "getHealth", "Check that the process is running", http => StatusAsync(http, 200, "ok"), typeof(ServerStatus));
        Open("/ping", "ping", "Check that the process is running, as vLLM's clients do",
            http => StatusAsync(http, 200, "ok"), typeof(ServerStatus));
        Open("/version", "getVersion", "Get the server's version in vLLM's format",
            http => Replies.JsonAsync(http.Response, 200, facts.Version, BodyJson.Own.ServerVersion), typeof(ServerVersion));
        Open("/ready", "getReadiness", "Check whether the server can score", ReadyAsync, typeof(ServerStatus));
        Open("/health_generate", "getHealthOfScoring", "Check whether the server can score, as SGLang's clients do",
            ReadyAsync, typeof(ServerStatus));
        Open("/openapi.json", "getDescription", "Get this description",
            async http =>
            {
                byte[] json = await document.Json.ConfigureAwait(false);
                await Replies.BytesAsync(http.Response, 200, "application/json", json).ConfigureAwait(false);
            },
            typeof(JsonElement));
        Page("/", "getPage", "Get a page to try the server", "index.html", "text/html");
        Page("/page.js", "getPageScript", "Get the page's script", "page.js", "text/javascript");
        Page("/page.css", "getPageStyle", "Get the page's style", "page.css", "text/css");

        Task ReadyAsync(HttpContext http) => IsReady
            ? StatusAsync(http, 200, "ready")
            : StatusAsync(http, 503, _scoring.IsDraining ? "stopping" : _queue.Failure!);

        void Get(string path, string id, string summary, RequestDelegate answer, Type? type = null, string media = "application/json") =>
            MapGet(
                path,
                answer,
                new Operation(id, "server", summary) { Answer = type ?? typeof(string), AnswerType = media, ErrorStatuses = [401, 403] });

        void Open(string path, string id, string summary, RequestDelegate answer, Type? type = null, string media = "application/json") =>
            MapGet(path, answer, new Operation(id, "server", summary)
            {
                Answer = type ?? typeof(string),
                AnswerType = media,
                ErrorStatuses = [403],
                NeedsKey = false,
            });

        void Page(string path, string id, string summary, string file, string media) =>
            Open(path, id, summary, http => ResourceAsync(http, file, $"{media}; charset=utf-8"), media: media);
    }

    /// <summary>Maps an endpoint that answers GET, and HEAD, which monitors often use; Kestrel omits the body of HEAD.</summary>
    private void MapGet(string path, RequestDelegate answer, Operation operation)
    {
        IEndpointConventionBuilder endpoint = _app.MapMethods(path, [HttpMethods.Get, HttpMethods.Head], answer);
        ApiDocument.Describe(endpoint, answer, operation);
        if (path is "/ready" or "/health_generate")
            endpoint.WithMetadata(new ProducesResponseTypeMetadata(503, typeof(ServerStatus), ["application/json"]));
    }

    /// <summary>Checks that the request is allowed, runs the rest of the pipeline, and adds a body to errors that have none.</summary>
    private async Task CheckedAsync(HttpContext http, RequestDelegate next, Guard guard)
    {
        IHeaderDictionary headers = http.Response.Headers;
        headers.XContentTypeOptions = "nosniff";
        headers.CacheControl = "no-store";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        headers["Referrer-Policy"] = "no-referrer";
        headers.ContentSecurityPolicy =
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
            + "form-action 'none'; frame-ancestors 'none'";
        Endpoint? endpoint = http.GetEndpoint();
        Protocol? protocol = endpoint?.Metadata.GetMetadata<Protocol>();
        try
        {
            guard.Check(http.Request, endpoint?.Metadata.GetMetadata<Operation>()?.NeedsKey ?? true);
            await next(http).ConfigureAwait(false);
            if (http.Response.HasStarted || http.Response.ContentLength is not null) return;
            if (http.Response.StatusCode == 404)
                throw new RequestException(404, "There is no such endpoint. GET /openapi.json lists the endpoints.");
            if (http.Response.StatusCode == 405)
                throw new RequestException(405, $"This endpoint accepts only {http.Response.Headers.Allow}.");
        }
        catch (RequestException e)
        {
            await Replies.ErrorAsync(http.Response, e, protocol).ConfigureAwait(false);
        }
        catch (Exception e) when (!http.RequestAborted.IsCancellationRequested)
        {
            _log.InternalError(ServerLog.Reason(e, _options));
            await Replies.ErrorAsync(
                http.Response, new RequestException(500, "Internal error; the server's log says more."), protocol).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // The client has disconnected.
        }
    }

    private static Task StatusAsync(HttpContext http, int status, string text) =>
        Replies.JsonAsync(http.Response, status, new ServerStatus { Status = text }, BodyJson.Own.ServerStatus);

    private static async Task ResourceAsync(HttpContext http, string name, string type)
    {
        using Stream resource = Assembly.GetExecutingAssembly().GetManifestResourceStream(name)!;
        using MemoryStream bytes = new();
        await resource.CopyToAsync(bytes, http.RequestAborted).ConfigureAwait(false);
        await Replies.BytesAsync(http.Response, 200, type, bytes.ToArray()).ConfigureAwait(false);
    }

    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
