using LdlVk.Server.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace LdlVk.Server;

/// <summary>Addresses, limits and logging of a <see cref="RewardServer"/>.</summary>
public sealed record ServerOptions
{
    /// <summary>URLs to listen on, such as <c>http://127.0.0.1:8000</c>; port 0 selects a free port.</summary>
    public IReadOnlyList<string> Urls { get; init; } = ["http://127.0.0.1:8000"];

    /// <summary>The model's name in answers. Requests may name any model.</summary>
    public string ModelName { get; init; } = "ldl-reward";

    /// <summary>
    /// The key that requests must have, as <c>Authorization: Bearer KEY</c> or <c>X-API-Key: KEY</c>; null if they need none.
    /// </summary>
    public string? ApiKey { get; init; }

    /// <summary>
    /// Host names under which the server may be asked for, such as that of a proxy: <c>rm.example.com</c>, <c>*.example.com</c>, <c>*</c>.
    /// If it is empty, a server that only this machine reaches answers to this machine's names alone, and any other server to all.
    /// </summary>
    public IReadOnlyList<string> AllowedHosts { get; init; } = [];

    /// <summary>
    /// Addresses and networks of proxies, such as <c>10.0.0.0/8</c>. What they state in <c>X-Forwarded-For</c>, <c>-Proto</c> and
    /// <c>-Host</c> counts, and <see cref="MaxConnectionsPerClient"/> does not apply to them. Nobody else's statements count.
    /// </summary>
    public IReadOnlyList<string> TrustedProxies { get; init; } = [];

    /// <summary>
    /// A port at which a listener of its own answers <c>/health</c> and <c>/ready</c>, at the hosts of <see cref="Urls"/>; null for none.
    /// It answers whatever happens at the other ports. 0 selects a free port.
    /// </summary>
    public int? HealthPort { get; init; }

    /// <summary>
    /// Maximum number of connections. Where there is no room for another, the one that has been idle for longest is closed.
    /// </summary>
    public int MaxConnections { get; init; } = 4096;

    /// <summary>Maximum number of connections of one client's address.</summary>
    public int MaxConnectionsPerClient { get; init; } = 2048;

    /// <summary>Maximum number of waiting texts; a request that does not fit gets status 429 and <c>Retry-After</c>.</summary>
    public int MaxQueue { get; init; } = 1 << 16;

    /// <summary>Maximum number of waiting tokens, also of a single request; it limits the memory.</summary>
    public int MaxQueueTokens { get; init; } = 4 << 20;

    /// <summary>Maximum number of texts of a request.</summary>
    public int MaxTexts { get; init; } = 1 << 16;

    /// <summary>Maximum size of a request body in bytes.</summary>
    public int MaxBodyBytes { get; init; } = 16 << 20;

    /// <summary>
    /// Maximum time that an idle device waits for more texts. It never waits longer than a twentieth of the time that the waiting texts
    /// take, and not at all if they are enough for a batch.
    /// </summary>
    public TimeSpan MaxWait { get; init; } = TimeSpan.FromMilliseconds(2);

    /// <summary>
    /// Time for which <see cref="RewardServer.StopAsync"/> still accepts requests while <c>/ready</c> answers 503, so that a load balancer
    /// sends the next ones elsewhere before any is refused: longer than the balancer needs to notice. The default is none.
    /// </summary>
    public TimeSpan DrainDelay { get; init; } = TimeSpan.Zero;

    /// <summary>Maximum time that <see cref="RewardServer.StopAsync"/> waits for requests in progress.</summary>
    public TimeSpan DrainTime { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>
    /// How special tokens in messages are read, unless a request specifies it. The default is ordinary text, because messages may come
    /// from anyone.
    /// </summary>
    public SpecialTokens SpecialTokens { get; init; } = SpecialTokens.Text;

    /// <summary>How the log and the server's state name options: as properties, unless your users know them by other names.</summary>
    public OptionWording Word { get; init; } = Notice.AsProperty;

    /// <summary>
    /// Creates the loggers of the server and of ASP.NET Core. The default logs nothing. Set the factory of your program to apply its
    /// providers and filters. No text of a request is ever logged.
    /// </summary>
    public ILoggerFactory LoggerFactory { get; init; } = NullLoggerFactory.Instance;

    /// <summary>The clock that measures batches; a test replaces it to be independent of the machine's load.</summary>
    internal TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>
    /// Time after which a text of a batch that failed is tried again if no request comes; doubled each time, up to a minute. A load
    /// balancer that obeys <c>/ready</c> sends no request that would show that the device works again.
    /// </summary>
    internal TimeSpan TrialAfter { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Checks the values, before a model is loaded.</summary>
    /// <exception cref="UsageException">A value is invalid.</exception>
    public void Check()
    {
        foreach (string url in Urls) ListenAddress.Parse(url);
        if (Urls.Count == 0) throw new UsageException("No URL to listen on. Give one, such as http://127.0.0.1:8000.");
        foreach (string host in AllowedHosts) HostNames.Check(host);
        _ = new TrustedProxies(TrustedProxies);
        if (MaxConnections < 1 || MaxConnectionsPerClient < 1)
            throw new UsageException("The limits of connections must be 1 or more.");
        if (HealthPort is < 0 or > 65535) throw new UsageException($"The health port {HealthPort} must be from 0 to 65535.");
        if (Urls.FirstOrDefault(url => HealthPort > 0 && ListenAddress.Parse(url).Port == HealthPort) is { } same)
            throw new UsageException($"The health port {HealthPort} is that of {same}. Use another one.");
        if (MaxQueue < 1 || MaxQueueTokens < 1 || MaxTexts < 1)
            throw new UsageException("The limits of the queue and of requests must be 1 or more.");
        if (MaxBodyBytes is < 1024 or > 1 << 30)
            throw new UsageException($"The body limit of {MaxBodyBytes} bytes is out of range. Use 1024 to {1 << 30}.");
        if (MaxWait < TimeSpan.Zero || MaxWait > TimeSpan.FromSeconds(1))
            throw new UsageException("The maximum wait must be from 0 to 1000 ms.");
        if (DrainDelay < TimeSpan.Zero || DrainDelay > TimeSpan.FromHours(1) || DrainTime < TimeSpan.Zero)
            throw new UsageException("The times of stopping must not be negative, and the delay must be an hour at most.");
        if (ApiKey is { Length: < 8 })
            throw new UsageException("An API key needs at least 8 characters. Make one with: openssl rand -hex 32");
        if (ApiKey?.Any(char.IsControl) == true)
            throw new UsageException(
                "The API key has a line break or another control character, which no request can have. Give one key, on one line.");
    }
}
