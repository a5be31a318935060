using System.CommandLine;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Server;
using Microsoft.Extensions.Logging;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk serve</c>: serves scores over HTTP.</summary>
internal static class ServeCommand
{
    private const string Notes = """
        Endpoints, all POST:
          /v1/rewards, /v1/compare, /render       LdlVk
          /get_reward                             OpenRLHF (--remote_rm_url)
          /classify, /pooling, /score, /rerank    vLLM, Jina, Cohere; also under /v1
          /tokenize, /detokenize                  vLLM
          /classify, /v1/embeddings               SGLang, as verl uses it
          /v1/chat/completions                    OpenAI's clients: the content is reward:SCORE
          /predict, /rerank                       text-embeddings-inference
          /, /invocations                         SageMaker: any of these, as the fields say
          /v1/score/evaluation                    LLaMA-Factory
        and GET / (a page), /openapi.json, /v1/models, /info, /health, /ready, /metrics (Prometheus).
        On SIGTERM or Ctrl-C, /ready is 503, requests in progress finish, and the exit code is 0.
        OTEL_EXPORTER_OTLP_ENDPOINT enables the export of traces over OTLP.
        """;

    public static Command Create(Terminal terminal)
    {
        ModelFlags model = new();
        ServeFlags flags = new();
        Command command = new NotedCommand("serve", "Serve scores over HTTP, in the protocols of trainers and tools.", Notes);
        flags.AddTo(command);
        model.AddTo(command);
        // A timeline is written at the end of a run, which a server has not.
        command.Options.Remove(model.TraceEvents);
        command.SetAction(async (call, cancellationToken) =>
        {
            if (model.ShowPlan(call, terminal)) return ExitCode.Success;
            string given = flags.LogFormat(call);
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
            ServerOptions options = flags.Read(call, model, log);
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
}
