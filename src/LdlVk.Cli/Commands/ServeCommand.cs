using System.CommandLine;
using System.Globalization;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Server;
using Microsoft.Extensions.Logging;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk serve</c>: scores over HTTP, until it is told to stop.</summary>
internal static class ServeCommand
{
    private const string KeyVariable = "LDLVK_API_KEY";

    private const string Notes = """
        Endpoints, all POST:
          /v1/rewards, /v1/compare          our own
          /get_reward                       OpenRLHF (--remote_rm_url)
          /classify, /pooling, /score       vLLM, as verl uses it
          /classify, /v1/embeddings         SGLang, as verl uses it
          /predict, /rerank                 text-embeddings-inference
          /v1/score/evaluation              LLaMA-Factory
        and GET / (a page), /openapi.json, /v1/models, /info, /health, /ready, /metrics (Prometheus).
        SIGTERM or Ctrl-C: /ready says 503, what is under way is answered, then it ends with code 0.
        Traces go out by OTLP if OTEL_EXPORTER_OTLP_ENDPOINT says where to.
        """;

    private static readonly ServerOptions Defaults = new();

    public static Command Create(Terminal terminal)
    {
        ModelFlags model = new();
        Option<string[]> urls = new("--urls")
        {
            Description = $"What to listen on; other machines reach it only if you say so, as http://*:8000 [default: {Defaults.Urls[0]}].",
            HelpName = "URL",
            AllowMultipleArgumentsPerToken = true,
        };
        Option<string?> name = new("--model-name")
        {
            Description = "The model's name in answers [default: the folder's]. Requests may ask for any.",
            HelpName = "NAME",
        };
        Option<string?> keyFile = new("--api-key-file")
        {
            Description =
                $"File with a key that requests must show (Authorization: Bearer, or X-API-Key); "
                + $"so does the environment variable {KeyVariable}.",
            HelpName = "FILE",
        };
        Option<string> format = new("--log-format")
        {
            Description = "How messages on standard error look: lines of text, or JSON objects, one a line.",
            HelpName = $"{ServeLog.Text}|{ServeLog.Json}",
            DefaultValueFactory = _ => ServeLog.Text,
        };
        Option<string> special = new("--special-tokens")
        {
            Description =
                "What special tokens in messages are: text like any other, or the tokens, "
                + "with which who writes a message can end their turn. Texts with the template in them keep theirs.",
            HelpName = "text|tokens",
            DefaultValueFactory = _ => "text",
        };
        Option<int> maxQueue = Number(
            "--max-queue", "Texts that wait at most; requests beyond get 429 and Retry-After.", Defaults.MaxQueue);
        Option<int> maxQueueTokens = Number(
            "--max-queue-tokens", "Tokens that wait at most, those of one request included.", Defaults.MaxQueueTokens);
        Option<int> maxTexts = Number("--max-texts", "Texts of one request at most.", Defaults.MaxTexts);
        Option<int> maxBody = Number("--max-body", "Bytes of a request's body at most.", Defaults.MaxBodyBytes);
        Option<int> maxWait = Number(
            "--max-wait-ms",
            "Milliseconds that a text waits for company at most while a device is idle; "
            + "never more than a twentieth of what it takes itself.",
            (int)Defaults.MaxWait.TotalMilliseconds);
        Option<int> drain = Number(
            "--drain-seconds",
            "Seconds that requests under way have when the server is told to stop.",
            (int)Defaults.DrainTime.TotalSeconds);
        Command command = new NotedCommand("serve", "Serve scores over HTTP, in the protocols of trainers and tools.", Notes);
        Option[] options = [urls, name, keyFile, special, maxQueue, maxQueueTokens, maxTexts, maxBody, maxWait, drain, format];
        foreach (Option option in options)
            command.Options.Add(option);
        model.AddTo(command);
        command.SetAction(async (call, cancellation) =>
        {
            if (model.ShowPlan(call, terminal)) return ExitCode.Success;
            string given = call.GetValue(format)!;
            if (given is not (ServeLog.Text or ServeLog.Json))
                throw new UsageException($"--log-format {given}: there is only {ServeLog.Text}, {ServeLog.Json}.");
            using ILoggerFactory log = ServeLog.Create(given, terminal, call.GetValue(model.Quiet));
            if (given == ServeLog.Text) return await ServeAsync(call, log, terminal, cancellation).ConfigureAwait(false);
            try
            {
                Terminal messages = ServeLog.TerminalInto(log, terminal, LogLevel.Information);
                return await ServeAsync(call, log, messages, cancellation).ConfigureAwait(false);
            }
            catch (Exception e)
            {
                // Collectors of a log read its format alone.
                return CommandLine.Report(e, ServeLog.TerminalInto(log, terminal, LogLevel.Critical), cancellation);
            }
        });
        return command;

        async Task<int> ServeAsync(ParseResult call, ILoggerFactory log, Terminal messages, CancellationToken cancellation)
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
                MaxQueue = call.GetValue(maxQueue),
                MaxQueueTokens = call.GetValue(maxQueueTokens),
                MaxTexts = call.GetValue(maxTexts),
                MaxBodyBytes = call.GetValue(maxBody),
                MaxWait = TimeSpan.FromMilliseconds(call.GetValue(maxWait)),
                DrainTime = TimeSpan.FromSeconds(call.GetValue(drain)),
                LoggerFactory = log,
            };
            // What is cheap to check comes first: a typing error should not cost the loading of a model.
            options.Check();
            (_, RewardModel loaded) = await ScoringRun.LoadAsync(call, model, messages, cancellation).ConfigureAwait(false);
            using (loaded)
            {
                await using RewardServer server = await RewardServer.StartAsync(loaded, options, cancellation).ConfigureAwait(false);
                await Task.Delay(Timeout.Infinite, cancellation)
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
        string? key = file is null ? Environment.GetEnvironmentVariable(KeyVariable) : File.ReadAllText(file);
        key = key?.Trim();
        if (file is not null && key!.Length == 0) throw new UsageException($"{file} holds no API key.");
        return string.IsNullOrEmpty(key) ? null : key;
    }
}
