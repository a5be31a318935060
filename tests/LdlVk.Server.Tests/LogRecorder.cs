using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace LdlVk.Server.Tests;

/// <summary>Keeps all that is logged, of every level, as a program that embeds the server may.</summary>
internal sealed class LogRecorder : ILoggerFactory
{
    private readonly ConcurrentQueue<LogRecord> _records = new();

    public IReadOnlyList<LogRecord> Records => [.. _records];

    public void Clear() => _records.Clear();

    public ILogger CreateLogger(string categoryName) => new Category(this, categoryName);

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

    public void Dispose()
    {
    }

    private sealed class Category(LogRecorder recorder, string name) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            recorder._records.Enqueue(new LogRecord(name, logLevel, formatter(state, exception), exception, [.. state as IEnumerable<KeyValuePair<string, object?>> ?? []]));
    }
}

/// <summary>A message, with the values of its fields.</summary>
internal sealed record LogRecord(string Category, LogLevel Level, string Message, Exception? Exception, IReadOnlyList<KeyValuePair<string, object?>> Fields);
