using LdlVk.Server.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace LdlVk.Server;

/// <summary>How a <see cref="RewardServer"/> listens, and how much it takes on. The defaults suit most.</summary>
public sealed record ServerOptions
{
    /// <summary>What to listen on, as <c>http://127.0.0.1:8000</c>; port 0 is any that is free.</summary>
    public IReadOnlyList<string> Urls { get; init; } = ["http://127.0.0.1:8000"];

    /// <summary>The model's name in answers. Requests may ask for any.</summary>
    public string ModelName { get; init; } = "ldl-reward";

    /// <summary>What requests must show, as <c>Authorization: Bearer KEY</c> or <c>X-API-Key: KEY</c>; null for nothing.</summary>
    public string? ApiKey { get; init; }

    /// <summary>Texts that wait at most; a request that finds no room is told to come again (429).</summary>
    public int MaxQueue { get; init; } = 4096;

    /// <summary>Tokens that wait at most, those of one request included: they bound the memory.</summary>
    public int MaxQueueTokens { get; init; } = 4 << 20;

    /// <summary>Texts of one request at most.</summary>
    public int MaxTexts { get; init; } = 1024;

    /// <summary>Bytes of a request's body at most.</summary>
    public int MaxBodyBytes { get; init; } = 16 << 20;

    /// <summary>
    /// How long a text waits for company at most while a device is idle, and never for more than a twentieth of the time that it takes
    /// itself. With enough texts for a batch none waits.
    /// </summary>
    public TimeSpan MaxWait { get; init; } = TimeSpan.FromMilliseconds(2);

    /// <summary>How long <see cref="RewardServer.StopAsync"/> waits for requests that are under way.</summary>
    public TimeSpan DrainTime { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>
    /// What special tokens are that stand in a message, unless a request says: here, where messages come from anybody, text.
    /// </summary>
    public SpecialTokens SpecialTokens { get; init; } = SpecialTokens.Text;

    /// <summary>How the log and the server's state name options: as properties, unless your users know them by other names.</summary>
    public OptionWording Word { get; init; } = Notice.AsProperty;

    /// <summary>
    /// Creates the loggers of the server and of ASP.NET Core below it. The default logs nothing. Give your program's own, so that its
    /// providers and filters apply. No text of a request is ever logged.
    /// </summary>
    public ILoggerFactory LoggerFactory { get; init; } = NullLoggerFactory.Instance;

    /// <summary>What the time that batches take is told by: a test's own does not depend on what else a machine does.</summary>
    internal TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>Throws if a value makes no sense: before a model is loaded.</summary>
    /// <exception cref="UsageException">One does not.</exception>
    public void Check()
    {
        foreach (string url in Urls) ListenAddress.Parse(url);
        if (Urls.Count == 0) throw new UsageException("No URL to listen on. Give one, such as http://127.0.0.1:8000.");
        if (MaxQueue < 1 || MaxQueueTokens < 1 || MaxTexts < 1)
            throw new UsageException("The queue's and the requests' limits are 1 or more.");
        if (MaxBodyBytes is < 1024 or > 1 << 30)
            throw new UsageException($"Bodies of at most {MaxBodyBytes} bytes are impossible; use 1024 to {1 << 30}.");
        if (MaxWait < TimeSpan.Zero || MaxWait > TimeSpan.FromSeconds(1))
            throw new UsageException("Texts wait for company for 0 to 1000 ms.");
        if (ApiKey is { Length: < 8 })
            throw new UsageException("An API key of fewer than 8 characters is none. Make one with: openssl rand -hex 32");
    }
}
