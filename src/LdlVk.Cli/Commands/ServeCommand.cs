using System.CommandLine;
using System.Globalization;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Server;
using Microsoft.Extensions.Logging;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk serve</c>: serves scores over HTTP.</summary>
internal static class ServeCommand
{
    private const string KeyVariable = "LDLVK_API_KEY";

    private const string Notes = """
        Endpoints, all POST:
          /v1/rewards, /v1/compare          LdlVk
          /get_reward                       OpenRLHF (--remote_rm_url)
          /classify, /pooling, /score       vLLM, as verl uses it
          /classify, /v1/embeddings         SGLang, as verl uses it
          /predict, /rerank                 text-embeddings-inference
          /v1/score/evaluation              LLaMA-Factory
        and GET / (a page), /openapi.json, /v1/models, /info, /health, /ready, /metrics (Prometheus).
        On SIGTERM or Ctrl-C, /ready is 503, requests in progress finish, and the exit code is 0.
        OTEL_EXPORTER_OTLP_ENDPOINT enables the export of traces over OTLP.
        """;

    private static readonly ServerOptions Defaults = new();

    public static Command Create(Terminal terminal)
    {
        ModelFlags model = new();
        Option<string[]> urls = new("--urls")
        {
            Description = $"URL to listen on; http://*:8000 accepts requests from other machines [default: {Defaults.Urls[0]}].",
            HelpName = "URL",
            AllowMultipleArgumentsPerToken = true,
        };
        Option<string?> name = new("--model-name")
        {
            Description = "The model's name in answers [default: the folder's]. Requests may name any model.",
            HelpName = "NAME",
        };
        Option<string?> keyFile = new("--api-key-file")
        {
            Description =
                $"File with an API key that requests must have (Authorization: Bearer, or X-API-Key). "
                + $"The environment variable {KeyVariable} sets the key too.",
            HelpName = "FILE",
        };
        Option<string> format = new("--log-format")
        {
            Description = "Format of messages on standard error: lines of text, or one JSON object per line.",
            HelpName = $"{ServeLog.Text}|{ServeLog.Json}",
            DefaultValueFactory = _ => ServeLog.Text,
        };
        Option<string> special = new("--special-tokens")
        {
            Description =
                "How special tokens in messages are read: as ordinary text, or as tokens, with which the author of a message can end "
                + "a turn. Texts that already contain the template keep their special tokens.",
            HelpName = "text|tokens",
            DefaultValueFactory = _ => "text",
        };
        Option<int?> healthPort = new("--health-port")
        {
            Description = "Port at which /health and /ready are answered on a thread of their own, whatever happens at the other ports.",
            HelpName = "N",
        };
        Option<int> maxConnections = Number(
            "--max-connections",
            "Maximum number of connections; for another one, that which has been idle for longest is closed.",
            Defaults.MaxConnections);
        Option<int> maxPerClient = Number(
            "--max-connections-per-client", "Maximum number of connections of one address.", Defaults.MaxConnectionsPerClient);
        Option<int> maxQueue = Number(
            "--max-queue", "Maximum number of waiting texts; further requests get 429 and Retry-After.", Defaults.MaxQueue);
        Option<int> maxQueueTokens = Number(
            "--max-queue-tokens", "Maximum number of waiting tokens, also of a single request.", Defaults.MaxQueueTokens);
        Option<int> maxTexts = Number("--max-texts", "Maximum number of texts of a request.", Defaults.MaxTexts);
        Option<int> maxBody = Number("--max-body", "Maximum size of a request body in bytes.", Defaults.MaxBodyBytes);
        Option<int> maxWait = Number(
            "--max-wait-ms",
            "Maximum time in milliseconds that an idle device waits for more texts; "
            + "never more than a twentieth of the time that the waiting texts take.",
            (int)Defaults.MaxWait.TotalMilliseconds);
        Option<int> drain = Number(
            "--drain-seconds",
            "Time in seconds to finish the requests in progress when the server stops.",
            (int)Defaults.DrainTime.TotalSeconds);
        Command command = new NotedCommand("serve", "Serve scores over HTTP, in the protocols of trainers and tools.", Notes);
        Option[] options =
        [
            urls, name, keyFile, special, healthPort, maxConnections, maxPerClient, maxQueue, maxQueueTokens, maxTexts, maxBody, maxWait,
            drain, format,
        ];
        foreach (Option option in options)
            command.Options.Add(option);
        model.AddTo(command);
        command.SetAction(async (call, cancellationToken) =>
        {
            if (model.ShowPlan(call, terminal)) return ExitCode.Success;
            string given = call.GetValue(format)!;
            if (given is not (ServeLog.Text or ServeLog.Json))
                throw new UsageException($"--log-format {given}: there is only {ServeLog.Text}, {ServeLog.Json}.");
            using ILoggerFactory log = ServeLog.Create(given, terminal, call.GetValue(model.Quiet));
            if (given == ServeLog.Text) return await ServeAsync(call, log, terminal, cancellationToken).ConfigureAwait(false);
            try
            {
                Terminal messages = ServeLog.TerminalInto(log, terminal, LogLevel.Information);
                return await ServeAsync(call, log, messages, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception e)
            {
                // Collectors of a log read its format alone.
                return CommandLine.Report(e, ServeLog.TerminalInto(log, terminal, LogLevel.Critical), cancellationToken);
            }
        });
        return command;

        async Task<int> ServeAsync(ParseResult call, ILoggerFactory log, Terminal messages, CancellationToken cancellationToken)
        {
            ServerOptions options = new()
            {
                Urls = Urls(call.GetValue(urls)),
                ModelName = call.GetValue(name)
                    ?? Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(call.GetValue(model.Model)!))),
                Word = FlagWording.Word,
                ApiKey = ReadKey(call.GetValue(keyFile)),
                SpecialTokens = call.GetValue(special) switch
                {
                    "text" => SpecialTokens.Text,
                    "tokens" => SpecialTokens.Tokens,
                    { } other => throw new UsageException($"--special-tokens {other}: there is only text, tokens."),
                    null => Defaults.SpecialTokens,
                },
                HealthPort = call.GetValue(healthPort),
                MaxConnections = call.GetValue(maxConnections),
                MaxConnectionsPerClient = call.GetValue(maxPerClient),
                MaxQueue = call.GetValue(maxQueue),
                MaxQueueTokens = call.GetValue(maxQueueTokens),
                MaxTexts = call.GetValue(maxTexts),
                MaxBodyBytes = call.GetValue(maxBody),
                MaxWait = TimeSpan.FromMilliseconds(call.GetValue(maxWait)),
                DrainTime = TimeSpan.FromSeconds(call.GetValue(drain)),
                LoggerFactory = log,
            };
            // The pool would add a thread only every half second; health checks would wait for that while others compute.
            ThreadPool.SetMinThreads(Math.Max(16, 4 * Environment.ProcessorCount), 16);
            // Cheap checks come first, so that a typing error is reported before a model is loaded.
            options.Check();
            (_, RewardModel loaded) = await ScoringRun.LoadAsync(call, model, messages, cancellationToken).ConfigureAwait(false);
            using (loaded)
            {
                await using RewardServer server = await RewardServer.StartAsync(loaded, options, cancellationToken).ConfigureAwait(false);
                await Task.Delay(Timeout.Infinite, cancellationToken)
                    .ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default)
                    .ConfigureAwait(false);
                await server.StopAsync().ConfigureAwait(false);
                return ExitCode.Success;
            }
        }
    }

    private static Option<int> Number(string name, string description, int value) =>
        new(name)
        {
            Description = description + string.Create(CultureInfo.InvariantCulture, $" [default: {value}]"),
            HelpName = "N",
            DefaultValueFactory = _ => value,
        };

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

        if (file is not null && key!.Length == 0) throw new UsageException($"{file} contains no API key.");
        return string.IsNullOrEmpty(key) ? null : key;
    }
}
