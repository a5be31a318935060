using System.Diagnostics;
using Microsoft.Extensions.Logging;

namespace LdlVk.Server.Telemetry;

/// <summary>The server's log messages. None contains a text of a request, or an exception message that could quote one.</summary>
internal static partial class ServerLog
{
    [LoggerMessage(1, LogLevel.Information, "{Model} on {Devices}, {Weights} weights, at {Urls}")]
    public static partial void Serving(this ILogger log, string model, string devices, string weights, string urls);

    [LoggerMessage(2, LogLevel.Warning, "Other machines can reach this server, and it requires no API key: "
        + "anyone in the network can use it. Set a key, or listen on 127.0.0.1.")]
    public static partial void NoApiKey(this ILogger log);

    [LoggerMessage(3, LogLevel.Error, "A batch of {Texts} texts failed: {Reason}")]
    public static partial void BatchFailed(this ILogger log, int texts, string reason);

    [LoggerMessage(4, LogLevel.Error, "Internal error: {Reason}")]
    public static partial void InternalError(this ILogger log, string reason);

    [LoggerMessage(5, LogLevel.Debug, "{Endpoint} answered {Texts} texts with status {Status} after {Milliseconds} ms")]
    public static partial void Answered(this ILogger log, string endpoint, int texts, int status, double milliseconds);

    [LoggerMessage(6, LogLevel.Warning, "The process is out of file handles, so a connection was closed to accept another. "
        + "Raise the limit (ulimit -n), or lower the number of connections.")]
    public static partial void OutOfHandles(this ILogger log);

    [LoggerMessage(7, LogLevel.Warning,
        "Requests were cut off: {Requests} had not ended after the {Seconds} s that a stop waits for them.")]
    public static partial void CutOff(this ILogger log, int requests, double seconds);

    /// <summary>
    /// Returns why the model cannot score, for clients; null for exceptions that are no failure of the model. Where files lie on this
    /// machine is in the log alone.
    /// </summary>
    public static string? ReasonForClients(Exception exception, OptionWording word) => exception switch
    {
        DeviceException device => device.Notice.Say(word),
        CheckpointException => "its files have changed or cannot be read; the server's log says more.",
        _ => null,
    };

    /// <summary>
    /// Returns the description of an exception for the log: the message of a failed device or of a changed model; for all other
    /// exceptions, whose messages may quote a request, the type and the method that threw it.
    /// </summary>
    public static string Reason(Exception exception, ServerOptions options)
    {
        if (exception is DeviceException or CheckpointException) return ((LdlVkException)exception).Notice.Say(options.Word);
        DiagnosticMethodInfo? method = new StackTrace(exception).GetFrame(0) is { } frame ? DiagnosticMethodInfo.Create(frame) : null;
        return method is null ? exception.GetType().Name : $"{exception.GetType().Name} in {method.DeclaringTypeName}.{method.Name}";
    }
}
