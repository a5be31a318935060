using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Security.Authentication;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Hub;

/// <summary>
/// Reads a repository of a hub. Failures that may pass (a busy server, a cut connection) are tried again, after growing pauses or when the
/// server says. The client follows redirections itself, because the token is for the hub only and not for the hosts to which it redirects.
/// </summary>
public sealed class HubClient : IDisposable
{
    private const int MaxRedirections = 10, MaxAttempts = 8;

    /// <summary>Bytes of a list of files.</summary>
    private const int MaxListBytes = 32 << 20;

    /// <summary>A longer wait is an error: the same call continues later.</summary>
    private static readonly TimeSpan MaxPause = TimeSpan.FromMinutes(10);

    /// <summary>
    /// Bytes of progress after which attempts are counted anew: a server that cuts every answer behind a byte, or always at the same place,
    /// is given up.
    /// </summary>
    private const long MinProgress = 1 << 20;

    /// <summary>Bytes that must come within <see cref="Patience"/>; slower answers count as cut.</summary>
    private const long MinBytes = 16 << 10;

    private readonly Certificates _certificates = new();
    private readonly HttpClient _http;
    private readonly string? _token;

    /// <summary>Makes a client of a repository. Nothing is sent yet.</summary>
    /// <param name="repository">The repository.</param>
    /// <param name="token">The access token of the hub; null for public models.</param>
    /// <exception cref="UsageException">The token would be sent without encryption.</exception>
    public HubClient(HubRepository repository, string? token)
    {
        (Repository, _token) = (repository, token);
        _http = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            ConnectTimeout = TimeSpan.FromSeconds(30),
            SslOptions = { RemoteCertificateValidationCallback = _certificates.Check },
        })
        {
            Timeout = Timeout.InfiniteTimeSpan,
        };
        _http.DefaultRequestHeaders.UserAgent.Add(
            new ProductInfoHeaderValue("ldlvk", typeof(HubClient).Assembly.GetName().Version?.ToString(3)));
        if (token is not null && repository.Endpoint is { Scheme: "http", IsLoopback: false })
            throw new UsageException($"The token would go to {repository.Endpoint.Host} in the clear. Use https, or no token.");
    }

    /// <summary>The repository.</summary>
    public HubRepository Repository { get; }

    /// <summary>Called before each pause with its reason and length.</summary>
    public Action<string> Waiting { get; init; } = _ => { };

    /// <summary>How it waits; tests do not.</summary>
    internal Func<TimeSpan, CancellationToken, Task> Delay { get; init; } = Task.Delay;

    /// <summary>Time without a byte after which a connection counts as cut.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Lists the files of the repository.</summary>
    /// <exception cref="UsageException">The repository does not exist, or may not be read with this token.</exception>
    /// <exception cref="IOException">The hub does not answer.</exception>
    public async Task<HubFiles> ListAsync(CancellationToken cancellationToken)
    {
        using MemoryStream answer = new();
        await ReadAsync(Repository.Listing, 0, null, (_, bytes) =>
        {
            if (answer.Length + bytes.Length > MaxListBytes)
                throw new UsageException(
                    $"{Repository.Endpoint.Host} answers with more than {MaxListBytes >> 20} MiB. Is {HubOption.Endpoint} right?");
            answer.Write(bytes.Span);
            return true;
        }, () => answer.SetLength(0), cancellationToken).ConfigureAwait(false);
        return HubFiles.Parse(Repository, answer.ToArray());
    }

    /// <summary>Reads a file from an offset to its end, or until <paramref name="take"/> has enough.</summary>
    /// <param name="address">The address of the file.</param>
    /// <param name="offset">Offset of the first byte.</param>
    /// <param name="size">Bytes of the whole file; null if that is not known.</param>
    /// <param name="take">Given the offset of bytes and the bytes, in order; returns false to end the reading.</param>
    /// <param name="restart">Called when the file comes again from byte 0, because the server does not give ranges.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    internal async Task ReadAsync(
        Uri address, long offset, long? size, Func<long, ReadOnlyMemory<byte>, bool> take, Action restart,
        CancellationToken cancellationToken)
    {
        byte[] buffer = new byte[1 << 20];
        long furthest = offset, counted = offset;
        for (int attempt = 1; ; attempt++)
        {
            (string why, TimeSpan? pause) = ("", null);
            try
            {
                using CancellationTokenSource patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
                patience.CancelAfter(Patience);
                // A list has no known size; every attempt reads all of it.
                if (size is null) (offset, _) = (0, Restarted(restart));
                using HttpResponseMessage response = await SendAsync(address, offset, patience.Token).ConfigureAwait(false);
                if (MayPass(response.StatusCode))
                {
                    (why, pause) = (
                        $"{response.RequestMessage!.RequestUri!.Host} answers {(int)response.StatusCode}", RetryAfter(response));
                }
                else
                {
                    await CheckAsync(response, address).ConfigureAwait(false);
                    if (offset > 0 && response.StatusCode == HttpStatusCode.OK) (offset, _) = (0, Restarted(restart));
                    CheckRange(response, offset, size);
                    using Stream body = await response.Content.ReadAsStreamAsync(patience.Token).ConfigureAwait(false);
                    (long began, long bytes) = (TimeProvider.System.GetTimestamp(), 0);
                    while (size is null || offset < size)
                    {
                        patience.CancelAfter(Patience);
                        int read;
                        try
                        {
                            read = await body.ReadAsync(buffer, patience.Token).ConfigureAwait(false);
                        }
                        catch (IOException e)
                        {
                            why = e.Message;
                            break;
                        }

                        if (read == 0) break;
                        if (offset + read > size)
                            throw new IOException($"{address.Host} sends more than the {size:N0} bytes of {address.AbsolutePath}.");
                        offset += read;
                        furthest = Math.Max(furthest, offset);
                        if (furthest - counted >= MinProgress) (attempt, counted) = (1, furthest);
                        if (!take(offset - read, buffer.AsMemory(0, read))) return;
                        bytes += read;
                        if (TimeProvider.System.GetElapsedTime(began) < Patience) continue;
                        if (bytes < MinBytes && offset != size)
                        {
                            why = $"only {bytes:N0} bytes came in {Patience.TotalSeconds:F0} s";
                            break;
                        }

                        (began, bytes) = (TimeProvider.System.GetTimestamp(), 0);
                    }

                    if (why.Length == 0 && (size is null || offset == size)) return;
                    if (why.Length == 0) why = "the connection was cut";
                }
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                why = $"nothing came for {Patience.TotalSeconds:F0} s";
            }
            catch (HttpRequestException e) when (WhyNever(e, address) is { } never)
            {
                throw new IOException(never, e);
            }
            catch (Exception e) when (e is HttpRequestException or SocketException)
            {
                why = e.InnerException is { } inner ? $"{e.Message.TrimEnd('.')} ({inner.Message.TrimEnd('.')})" : e.Message;
            }

            if (attempt >= MaxAttempts)
                throw new IOException(
                    $"{address.Host} could not be read after {MaxAttempts} attempts: {why}. What is there is kept; "
                        + "the same command goes on.");
            TimeSpan wait = pause ?? TimeSpan.FromSeconds(Math.Min(60, Math.Pow(2, attempt - 1)));
            if (wait > MaxPause)
                throw new IOException(
                    $"{why} and wants to be asked again in {wait.TotalMinutes:F0} minutes. What is there is kept; "
                        + "run the same command then.");
            Waiting(string.Create(CultureInfo.InvariantCulture, $"{why}; again in {wait.TotalSeconds:F0} s"));
            await Delay(wait, cancellationToken).ConfigureAwait(false);
        }

        static bool Restarted(Action restart)
        {
            restart();
            return true;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();

    /// <summary>Describes a failure that does not pass; null if it may.</summary>
    private string? WhyNever(HttpRequestException e, Uri address) => (e.HttpRequestError, e.InnerException) switch
    {
        (HttpRequestError.SecureConnectionError, AuthenticationException) when _certificates.Refused is { } refused =>
            $"{address.Host} cannot be read: {refused}. If a proxy of your network makes such certificates, add its certificate to the "
            + "system's store, or name a file of trusted certificates in the environment variable SSL_CERT_FILE.",
        (HttpRequestError.SecureConnectionError, AuthenticationException inner) =>
            $"{address.Host} cannot be read: no secure connection comes about ({inner.Message.TrimEnd('.')}). Is the address right?",
        (HttpRequestError.NameResolutionError, SocketException { SocketErrorCode: SocketError.HostNotFound or SocketError.NoData }) =>
            $"There is no host {address.Host}. Check the address, and the connection to the network.",
        (HttpRequestError.ProxyTunnelError, _) => $"{address.Host} cannot be read: the proxy refuses ({e.Message.TrimEnd('.')}).",
        (HttpRequestError.InvalidResponse, _) => $"{address.Host} does not answer as an HTTP server does: {e.Message}",
        _ => null,
    };

    private async Task<HttpResponseMessage> SendAsync(Uri address, long offset, CancellationToken cancellationToken)
    {
        Uri at = address;
        for (int hop = 0; hop <= MaxRedirections; hop++)
        {
            using HttpRequestMessage request = new(HttpMethod.Get, at);
            if (_token is not null && IsHub(at)) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", _token);
            if (offset > 0) request.Headers.Range = new RangeHeaderValue(offset, null);
            HttpResponseMessage response;
            try
            {
                response = await _http.SendAsync(
                    request, HttpCompletionOption.ResponseHeadersRead, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception e) when (e is UriFormatException or ArgumentException or InvalidOperationException or NotSupportedException)
            {
                throw new IOException($"{address.Host} leads to an address that cannot be asked: {e.Message}", e);
            }

            if ((int)response.StatusCode is not (301 or 302 or 303 or 307 or 308)) return response;
            Uri? next = response.Headers.Location;
            response.Dispose();
            if (next is null) throw new IOException($"{at.Host} redirects to nowhere.");
            if (!Uri.TryCreate(at, next, out next) || next.Host.Length == 0) throw new IOException($"{at.Host} redirects to no address.");
            if (next.Scheme is not ("http" or "https") || (at.Scheme == "https" && next.Scheme == "http"))
                throw new IOException($"{at.Host} redirects to {next.Scheme}://{next.Host}, which is not safe to follow.");
            at = next;
        }

        throw new IOException($"{address.Host} redirects more than {MaxRedirections} times.");
    }

    /// <summary>Whether an address is on the hub itself: the same scheme, host and port.</summary>
    private bool IsHub(Uri address) =>
        Uri.Compare(
            address, Repository.Endpoint, UriComponents.SchemeAndServer, UriFormat.SafeUnescaped, StringComparison.OrdinalIgnoreCase) == 0;

    private static bool MayPass(HttpStatusCode status) =>
        status is HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests || (int)status >= 500;

    private static TimeSpan? RetryAfter(HttpResponseMessage response)
    {
        TimeSpan? wait = response.Headers.RetryAfter is { } after ? after.Delta ?? after.Date - DateTimeOffset.UtcNow : null;
        return wait is { } time && time < TimeSpan.FromSeconds(1) ? TimeSpan.FromSeconds(1) : wait;
    }

    private static void CheckRange(HttpResponseMessage response, long offset, long? size)
    {
        ContentRangeHeaderValue? range = response.Content.Headers.ContentRange;
        bool isPart = response.StatusCode == HttpStatusCode.PartialContent;
        bool isRight = !isPart
            || (range is { Unit: "bytes" } && range.From == offset && range.To == size - 1 && (!range.HasLength || range.Length == size));
        if (isPart != offset > 0 || !isRight)
            throw new IOException(
                $"{response.RequestMessage!.RequestUri!.Host} gives bytes {range?.ToString() ?? "of no range"} where those from "
                    + $"{offset:N0} on were asked for, of {size:N0}.");
        if (!isPart && size is not null && response.Content.Headers.ContentLength is { } length && length != size)
            throw new IOException(
                $"{response.RequestMessage!.RequestUri!.Host} has a file of {length:N0} bytes where the hub says {size:N0}. "
                    + "Try again later, or another mirror.");
    }

    private async Task CheckAsync(HttpResponseMessage response, Uri address)
    {
        if (response.IsSuccessStatusCode) return;
        string code = Header("X-Error-Code");
        bool isFile = address != Repository.Listing;
        string host = response.RequestMessage!.RequestUri!.Host, hub = Repository.Endpoint.Host;
        string message = Readable.OneLine(Header("X-Error-Message"), 200);
        string said = message.Length == 0 ? "" : $" {host} says: {message}";
        throw (int)response.StatusCode switch
        {
            401 or 403 when code == "GatedRepo" => new UsageException(
                $"{Repository.Name} is for those who accepted its conditions: do that on {Repository.Page}, then "
                    + (_token is null ? (Notice)$"give your token with {HubOption.Token} or HF_TOKEN."
                        : "use a token of that account that may read it.") + said),
            403 when code == "DisabledRepo" => new UsageException($"{Repository.Name} is disabled at {hub}.{said}"),
            401 or 403 or 404 when code != "RevisionNotFound" && !isFile => new UsageException(
                $"There is no model {Repository.Name} at {hub}, or "
                    + (_token is null ? (Notice)$"it is private or gated: give a token with {HubOption.Token} or HF_TOKEN."
                        : $"the token may not read it: accept the model's conditions on {Repository.Page} with its account, or use "
                            + $"another token.") + said),
            401 or 403 => new UsageException(
                $"{host} refuses {address.AbsolutePath} ({(int)response.StatusCode}). "
                    + (_token is null ? (Notice)$"Give a token with {HubOption.Token} or HF_TOKEN."
                        : $"Accept the model's conditions on {Repository.Page}, or use another token.") + said),
            404 => new UsageException(
                $"{Repository.Name} at {hub} has no {(isFile ? address.AbsolutePath : $"revision {Repository.Revision}")}.{said}"),
            416 => new IOException($"{address.Host} has fewer bytes of {address.AbsolutePath} than the hub says."),
            int status => new IOException(
                $"{host} answers {status} for {address.AbsolutePath}.{said}"),
        };

        string Header(string name) => response.Headers.TryGetValues(name, out IEnumerable<string>? values) ? values.First() : "";
    }
}
