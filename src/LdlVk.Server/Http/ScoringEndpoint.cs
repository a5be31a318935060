using System.Diagnostics;
using System.Text.Json;
using LdlVk.Server.Http.Connections;
using LdlVk.Server.Protocols;
using LdlVk.Server.Scoring;
using LdlVk.Server.Telemetry;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace LdlVk.Server.Http;

/// <summary>
/// Handles scoring requests of all protocols: reads the body, tokenizes the texts, waits for the scores and answers. Thread-safe.
/// </summary>
internal sealed class ScoringEndpoint : IDisposable
{
    /// <summary>Memory limit of all bodies and answers in progress, as a multiple of the largest body.</summary>
    private const int Together = 8;

    private readonly ByteBudget _memory;
    private readonly RequestBody _body;
    private readonly RewardModel _model;
    private readonly ServerOptions _options;
    private readonly ScoringQueue _queue;
    private readonly ServerMetrics _metrics;
    private readonly ConnectionTable _connections;
    private readonly ILogger _log;
    private volatile bool _draining;

    public ScoringEndpoint(
        RewardModel model, ServerOptions options, ScoringQueue queue, ServerMetrics metrics, ConnectionTable connections)
    {
        (_model, _options, _queue, _metrics, _connections) = (model, options, queue, metrics, connections);
        _log = options.LoggerFactory.CreateLogger<ScoringEndpoint>();
        _memory = new ByteBudget((long)Together * options.MaxBodyBytes);
        _body = new RequestBody(options, _memory);
    }

    /// <summary>Refuses new requests from now on.</summary>
    public void Drain() => _draining = true;

    /// <summary>Answers a request.</summary>
    public async Task HandleAsync(HttpContext http, Protocol protocol)
    {
        _metrics.RequestBegins();
        long begun = Stopwatch.GetTimestamp();
        int count = 0;
        Protocol endpoint = protocol;
        bool left = false;
        try
        {
            // Checked after the request is counted: the drain waits until that count is zero.
            if (_draining) throw new RequestException(503, "The server is about to stop.") { RetryAfter = TimeSpan.FromSeconds(1) };
            _queue.CheckRoom();
            TextIntake texts = new(_model, _options, http.RequestAborted);
            Take(http, ConnectionState.Reading);
            Answer answer = await ReadAsync(http, Read, texts).ConfigureAwait(false);
            Take(http, ConnectionState.Waiting);
            count = texts.Texts.Count;
            await AnswerAsync(http, protocol, texts, answer).ConfigureAwait(false);
        }
        catch (Exception e) when (HasLeft(e, http))
        {
            // For the metrics and the log only: the client has disconnected.
            if (!http.Response.HasStarted) http.Response.StatusCode = StatusCodes.Status499ClientClosedRequest;
            left = true;
        }
        catch (Exception e)
        {
            await Replies.ErrorAsync(http.Response, Translate(e, protocol), protocol).ConfigureAwait(false);
        }
        finally
        {
            TimeSpan time = Stopwatch.GetElapsedTime(begun);
            int status = left ? StatusCodes.Status499ClientClosedRequest : http.Response.StatusCode;
            _metrics.RequestEnds(endpoint.Path, status, time);
            _log.Answered(endpoint.Path, count, status, time.TotalMilliseconds);
        }

        Answer Read(JsonElement body, TextIntake texts)
        {
            protocol = endpoint.For(body);
            if (protocol.TextFieldsUsed is { } used) TextFields.Refuse(body, used);
            TextFields.RefuseSettings(body, protocol.ScoreFieldsUsed);
            texts.SpecialTokens = SpecialTokensOf(body) ?? texts.SpecialTokens;
            return protocol.Read(body, texts);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _body.Dispose();

    /// <summary>Whether an exception means that the client has left: it closed the connection, or reset it while it was read.</summary>
    internal static bool HasLeft(Exception e, HttpContext http) => e switch
    {
        ConnectionResetException or ConnectionAbortedException => true,
        BadHttpRequestException { StatusCode: 400 } => e.Message.Contains("end of request content", StringComparison.Ordinal),
        OperationCanceledException or IOException => http.RequestAborted.IsCancellationRequested,
        _ => false,
    };

    /// <summary>Notes what the connection does.</summary>
    /// <exception cref="RequestException">Too many others wait already.</exception>
    private void Take(HttpContext http, ConnectionState state)
    {
        if (http.Features.Get<ConnectionTable.Entry>() is not { } entry || _connections.TrySet(entry, state)) return;
        throw new RequestException(429, "Too many requests wait for their answers. Try again.") { RetryAfter = TimeSpan.FromSeconds(1) };
    }

    private async Task<Answer> ReadAsync(HttpContext http, Func<JsonElement, TextIntake, Answer> read, TextIntake texts)
    {
        using Activity? span = Tracing.Source.StartActivity("read texts");
        Answer answer = await _body.ReadAsync(http.Request, json => read(json, texts)).ConfigureAwait(false);
        span?.SetTag("ldlvk.texts", texts.Texts.Count);
        return answer;
    }

    private async Task AnswerAsync(HttpContext http, Protocol protocol, TextIntake texts, Answer answer)
    {
        if (answer is Answer.WithoutScores ready)
        {
            await SendAsync(http.Response, ready.Write).ConfigureAwait(false);
            return;
        }

        TextError[] errors = Errors(protocol, texts.Texts.Select(t => t.Error));
        if (errors.Length > 0 && (answer is Answer.OfAll || errors.Length == texts.Texts.Count))
            throw RequestException.For(errors, texts.Texts.Count);
        using Activity? span = Tracing.Source.StartActivity("score texts");
        ScoreResult[] results = await ScoreAsync(texts, http.RequestAborted).ConfigureAwait(false);
        switch (answer)
        {
            case Answer.OfEach each:
                await SendAsync(http.Response, json => each.Write(json, results)).ConfigureAwait(false);
                break;
            case Answer.OfAll all:
                TextError[] failed = Errors(protocol, results.Select(r => r.Error));
                if (failed.Length > 0) throw new RequestException(500, RequestException.For(failed, results.Length).Message, failed);
                Reward[] rewards = [.. results.Select(r => r.Reward!)];
                await SendAsync(http.Response, json => all.Write(json, rewards)).ConfigureAwait(false);
                break;
        }
    }

    /// <summary>Waits for the scores. What a request keeps of its body meanwhile counts against the memory budget.</summary>
    private async Task<ScoreResult[]> ScoreAsync(TextIntake texts, CancellationToken cancellationToken)
    {
        long kept = texts.KeptBytes;
        _memory.Take(kept, own: 0);
        try
        {
            return await _queue.ScoreAsync(texts.Texts, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _memory.Return(kept);
        }
    }

    /// <summary>
    /// Sends an answer. Its bytes count against the memory budget until they are sent, because a client may fetch them slowly.
    /// </summary>
    private async Task SendAsync(HttpResponse response, Action<Utf8JsonWriter> write)
    {
        using PooledBuffer json = new(_memory);
        Replies.Json(json, write);
        response.StatusCode = 200;
        response.ContentType = "application/json";
        response.ContentLength = json.Length;
        await json.CopyToAsync(response.Body, response.HttpContext.RequestAborted).ConfigureAwait(false);
    }

    private static TextError[] Errors(Protocol protocol, IEnumerable<Notice?> errors) =>
        [.. errors.Index().Where(e => e.Item is not null).Select(e => new TextError(e.Index, e.Item!.Say(protocol.Word)))];

    private RequestException Translate(Exception e, Protocol protocol)
    {
        switch (e)
        {
            case RequestException known:
                return known;
            case BadHttpRequestException bad:
                return new RequestException(
                    bad.StatusCode, bad.StatusCode == 408 ? "The body arrived too slowly." : "The request is not valid HTTP.");
            case DeviceException or CheckpointException:
                return new RequestException(503, $"The model cannot score now: {ServerLog.ReasonForClients(e, protocol.Word)}")
                {
                    RetryAfter = e is DeviceException ? TimeSpan.FromSeconds(10) : null,
                };
            case OperationCanceledException or ObjectDisposedException:
                return new RequestException(503, "The server is about to stop.") { RetryAfter = TimeSpan.FromSeconds(1) };
            default:
                _log.InternalError(ServerLog.Reason(e, _options));
                return new RequestException(500, "Internal error; the server's log says more.");
        }
    }
}
