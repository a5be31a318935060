using System.Reflection;
using System.Text.Json;
using LdlVk.Server.Http;
using LdlVk.Server.Http.Connections;
using LdlVk.Server.OpenApi;
using LdlVk.Server.Protocols;
using LdlVk.Server.Protocols.Bodies;
using LdlVk.Server.Telemetry;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace LdlVk.Server;

/// <content>The endpoints, and the checks before each request.</content>
public sealed partial class RewardServer
{
    private void Map(RewardModel model, Guard guard)
    {
        if (_proxies.Forwarding() is { } forwarding) _app.UseForwardedHeaders(forwarding);
        _app.Use(next => http => CheckedAsync(http, next, guard));
        foreach (Protocol protocol in Protocols)
        {
            RequestDelegate score = http => _scoring.HandleAsync(http, protocol);
            IEnumerable<int> errors = ErrorStatuses
                .SelectMany(status => protocol.Alternatives.Append(protocol).Select(p => p.StatusOf(new RequestException(status, ""))))
                .Distinct();
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
            "/v1/models/{**id}", // names may have slashes
            "getModel",
            "Get the model if its name is the one asked for",
            http => ((string?)http.Request.RouteValues["id"])?.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase) == _options.ModelName
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
        Page("/compare.js", "getPageComparison", "Get the page's script for comparisons", "compare.js", "text/javascript");
        Page("/page.css", "getPageStyle", "Get the page's style", "page.css", "text/css");

        Task ReadyAsync(HttpContext http) => StatusAsync(http, IsReady ? 200 : 503, State);

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
        // A client that keeps its connection would not look for another server.
        http.Response.OnStarting(() =>
        {
            if (_isStopping) headers.Connection = "close";
            return Task.CompletedTask;
        });
        Endpoint? endpoint = http.GetEndpoint();
        Protocol? protocol = endpoint?.Metadata.GetMetadata<Protocol>();
        ConnectionTable.Entry? connection = http.Features.Get<ConnectionTable.Entry>();
        if (connection is not null) _connections.TrySet(connection, ConnectionState.Answering);
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
        catch (Exception e) when (!ScoringEndpoint.HasLeft(e, http))
        {
            _log.InternalError(ServerLog.Reason(e, _options));
            await Replies.ErrorAsync(
                http.Response, new RequestException(500, "Internal error; the server's log says more."), protocol).ConfigureAwait(false);
        }
        catch (Exception)
        {
            // The client has disconnected.
        }
        finally
        {
            if (connection is not null) _connections.TrySet(connection, ConnectionState.Idle);
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
}
