using System.Text;
using LdlVk.Cli.Output;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;

namespace LdlVk.Cli.Commands;

/// <summary>The log of <c>ldlvk serve</c> on standard error: each message is a line of text, or one line of JSON. Thread-safe.</summary>
internal sealed class ServeLog : ILoggerProvider
{
    public const string Text = "text", Json = "json";

    private const string OwnCategory = "LdlVk.Cli";

    private readonly Terminal _terminal;
    private readonly ConsoleFormatter? _json;

    private ServeLog(Terminal terminal, ConsoleFormatter? json) => (_terminal, _json) = (terminal, json);

    /// <summary>Creates the loggers of a format.</summary>
    /// <param name="format"><see cref="Text"/> or <see cref="Json"/>.</param>
    /// <param name="terminal">The terminal that receives the lines.</param>
    /// <param name="quiet">Whether to log only warnings and errors.</param>
    public static ILoggerFactory Create(string format, Terminal terminal, bool quiet) => LoggerFactory.Create(logging =>
    {
        logging.AddProvider(new ServeLog(terminal, format == Json ? JsonFormatter() : null));
        logging.SetMinimumLevel(quiet ? LogLevel.Warning : LogLevel.Information);
        logging.AddFilter(OwnCategory, LogLevel.Information);
        // In text format, this program reports failures itself; ASP.NET Core would repeat them with stack traces.
        logging.AddFilter("Microsoft", format == Json ? LogLevel.Warning : LogLevel.None);
    });

    /// <summary>Returns a terminal whose messages go to a log, so that every line of standard error has the log's format.</summary>
    public static Terminal TerminalInto(ILoggerFactory log, Terminal terminal, LogLevel level) =>
        new() { In = terminal.In, Out = terminal.Out, Error = new LogWriter(log.CreateLogger(OwnCategory), level) };

    public ILogger CreateLogger(string categoryName) => new Category(this, categoryName);

    public void Dispose()
    {
    }

    private static ConsoleFormatter JsonFormatter()
    {
        ServiceCollection services = new();
        services.AddLogging(logging => logging.AddJsonConsole(options =>
        {
            options.UseUtcTimestamp = true;
            options.TimestampFormat = "O";
        }));
        return services.BuildServiceProvider().GetServices<ConsoleFormatter>()
            .Single(formatter => formatter.Name == ConsoleFormatterNames.Json);
    }

    private sealed class Category(ServeLog log, string name) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (log._json is null)
            {
                log._terminal.Say((logLevel == LogLevel.Warning ? "WARNING: " : "") + formatter(state, exception));
                return;
            }

            // Writes whole lines, because the formatter writes in parts and other threads log too.
            using StringWriter line = new();
            log._json.Write(new LogEntry<TState>(logLevel, name, eventId, state, exception, formatter), null, line);
            log._terminal.Error.Write(line.ToString());
        }
    }

    /// <summary>Logs each line that is written to it.</summary>
    private sealed class LogWriter(ILogger log, LogLevel level) : TextWriter
    {
        private const string Prefix = "ldlvk: ";

        public override Encoding Encoding => Encoding.UTF8;

        public override void WriteLine(string? value)
        {
            string text = value ?? "";
            log.Log(
                level,
                default,
                text.StartsWith(Prefix, StringComparison.Ordinal) ? text[Prefix.Length..] : text,
                null,
                static (line, _) => line);
        }
    }
}
