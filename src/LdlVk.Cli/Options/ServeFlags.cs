using System.CommandLine;
using System.Globalization;
using LdlVk.Cli.Commands;
using LdlVk.Server;
using Microsoft.Extensions.Logging;

namespace LdlVk.Cli.Options;

/// <summary>The flags of <c>ldlvk serve</c> beside those of the model.</summary>
internal sealed class ServeFlags
{
    private const string KeyVariable = "LDLVK_API_KEY";

    private static readonly ServerOptions Defaults = new();

    private readonly Option<string[]> _urls = new("--urls")
    {
        Description = $"URL to listen on; http://*:8000 accepts requests from other machines [default: {Defaults.Urls[0]}].",
        HelpName = "URL",
        AllowMultipleArgumentsPerToken = true,
    };

    private readonly Option<string?> _name = new("--model-name")
    {
        Description = "The model's name in answers [default: the folder's]. Requests may name any model.",
        HelpName = "NAME",
    };

    private readonly Option<string?> _keyFile = new("--api-key-file")
    {
        Description =
            $"File with an API key that requests must have (Authorization: Bearer, or X-API-Key). "
            + $"The environment variable {KeyVariable} sets the key too.",
        HelpName = "FILE",
    };

    private readonly Option<string> _format = new("--log-format")
    {
        Description = "Format of messages on standard error: lines of text, or one JSON object per line.",
        HelpName = $"{ServeLog.Text}|{ServeLog.Json}",
        DefaultValueFactory = _ => ServeLog.Text,
    };

    private readonly Option<string> _special = new("--special-tokens")
    {
        Description =
            "How special tokens in messages are read: as ordinary text, or as tokens, with which the author of a message can end "
            + "a turn. Texts that already contain the template keep their special tokens.",
        HelpName = "text|tokens",
        DefaultValueFactory = _ => "text",
    };

    private readonly Option<string[]> _hosts = new("--allowed-hosts")
    {
        Description = "Names under which the server may be asked for, such as that of a proxy; *.example.com for all of a domain.",
        HelpName = "NAME",
        AllowMultipleArgumentsPerToken = true,
    };

    private readonly Option<string[]> _proxies = new("--trusted-proxies")
    {
        Description = "Addresses or networks of proxies, whose X-Forwarded-For, -Proto and -Host count.",
        HelpName = "ADDRESS",
        AllowMultipleArgumentsPerToken = true,
    };

    private readonly Option<int?> _healthPort = new("--health-port")
    {
        Description = "Port at which /health and /ready are answered on a thread of their own, whatever happens at the other ports.",
        HelpName = "N",
    };

    private readonly Option<int> _maxConnections = Number(
        "--max-connections",
        "Maximum number of connections; for another one, that which has been idle for longest is closed.",
        Defaults.MaxConnections);

    private readonly Option<int> _maxPerClient = Number(
        "--max-connections-per-client", "Maximum number of connections of one address.", Defaults.MaxConnectionsPerClient);

    private readonly Option<int> _maxQueue = Number(
        "--max-queue", "Maximum number of waiting texts; further requests get 429 and Retry-After.", Defaults.MaxQueue);

    private readonly Option<int> _maxQueueTokens = Number(
        "--max-queue-tokens", "Maximum number of waiting tokens, also of a single request.", Defaults.MaxQueueTokens);

    private readonly Option<int> _maxTexts = Number("--max-texts", "Maximum number of texts of a request.", Defaults.MaxTexts);

    private readonly Option<int> _maxBody = Number("--max-body", "Maximum size of a request body in bytes.", Defaults.MaxBodyBytes);

    private readonly Option<int> _maxWait = Number(
        "--max-wait-ms",
        "Maximum time in milliseconds that an idle device waits for more texts; "
        + "never more than a twentieth of the time that the waiting texts take.",
        (int)Defaults.MaxWait.TotalMilliseconds);

    private readonly Option<int> _drainDelay = Number(
        "--drain-delay-seconds",
        "Time in seconds for which a stopping server still accepts requests while /ready is 503, until load balancers have noticed.",
        (int)Defaults.DrainDelay.TotalSeconds);

    private readonly Option<int> _drain = Number(
        "--drain-seconds",
        "Time in seconds to finish the requests in progress when the server stops.",
        (int)Defaults.DrainTime.TotalSeconds);

    /// <summary>Adds the flags to the command.</summary>
    public void AddTo(Command command)
    {
        Option[] options =
        [
            _urls, _name, _keyFile, _special, _hosts, _proxies, _healthPort, _maxConnections, _maxPerClient,
            _maxQueue, _maxQueueTokens, _maxTexts, _maxBody, _maxWait, _drainDelay, _drain, _format,
        ];
        foreach (Option option in options) command.Options.Add(option);
    }

    /// <summary>The format of the log.</summary>
    /// <exception cref="UsageException">There is no such format.</exception>
    public string LogFormat(ParseResult call)
    {
        string given = call.GetValue(_format)!;
        return given is ServeLog.Text or ServeLog.Json
            ? given
            : throw new UsageException($"--log-format {given}: there is only {ServeLog.Text}, {ServeLog.Json}.");
    }

    /// <summary>The options of the server.</summary>
    /// <exception cref="UsageException">A value is invalid.</exception>
    public ServerOptions Read(ParseResult call, ModelFlags model, ILoggerFactory log) => new()
    {
        Urls = Urls(call.GetValue(_urls)),
        ModelName = call.GetValue(_name)
            ?? Path.GetFileName(Path.TrimEndingDirectorySeparator(
                Path.GetFullPath(call.GetValue(model.Adapter) ?? call.GetValue(model.Model)!))),
        Word = FlagWording.Word,
        ApiKey = ReadKey(call.GetValue(_keyFile)),
        SpecialTokens = call.GetValue(_special) switch
        {
            "text" => SpecialTokens.Text,
            "tokens" => SpecialTokens.Tokens,
            { } other => throw new UsageException($"--special-tokens {other}: there is only text, tokens."),
            null => Defaults.SpecialTokens,
        },
        AllowedHosts = Split(call.GetValue(_hosts)),
        TrustedProxies = Split(call.GetValue(_proxies)),
        HealthPort = call.GetValue(_healthPort),
        MaxConnections = call.GetValue(_maxConnections),
        MaxConnectionsPerClient = call.GetValue(_maxPerClient),
        MaxQueue = call.GetValue(_maxQueue),
        MaxQueueTokens = call.GetValue(_maxQueueTokens),
        MaxTexts = call.GetValue(_maxTexts),
        MaxBodyBytes = call.GetValue(_maxBody),
        MaxWait = TimeSpan.FromMilliseconds(call.GetValue(_maxWait)),
        DrainDelay = TimeSpan.FromSeconds(call.GetValue(_drainDelay)),
        DrainTime = TimeSpan.FromSeconds(call.GetValue(_drain)),
        LoggerFactory = log,
    };

    private static Option<int> Number(string name, string description, int value) =>
        new(name)
        {
            Description = description + string.Create(CultureInfo.InvariantCulture, $" [default: {value}]"),
            HelpName = "N",
            DefaultValueFactory = _ => value,
        };

    private static string[] Split(string[]? given) =>
        [.. (given ?? []).SelectMany(g => g.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))];

    private static IReadOnlyList<string> Urls(string[]? given) =>
        given is { Length: > 0 } ? [.. given.SelectMany(u => u.Split(';', StringSplitOptions.RemoveEmptyEntries))] : Defaults.Urls;

    private static string? ReadKey(string? file)
    {
        string? key;
        try
        {
            key = (file is null ? Environment.GetEnvironmentVariable(KeyVariable) : File.ReadAllText(file))?.Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"--api-key-file {file} cannot be read: {e.Message}", e);
        }

        if (key is { Length: > 0 } or null) return key;
        // A server without a key is open to all: what was meant to hold one must not be taken for none.
        throw new UsageException(file is not null ? $"{file} contains no API key."
            : $"The environment variable {KeyVariable} is empty. Set it to a key, or unset it to serve without one.");
    }
}
