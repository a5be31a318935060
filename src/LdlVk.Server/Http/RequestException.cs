using LdlVk.Runtime.Formatting;

namespace LdlVk.Server.Http;

/// <summary>
/// A request that the server refuses or cannot answer. Each protocol reports it in its own format. What a message quotes of a request is
/// cut, and of many texts with errors the first ones are listed.
/// </summary>
internal sealed class RequestException(int status, string message, IReadOnlyList<TextError>? errors = null)
    : Exception(Cut(message))
{
    private const int MaxMessage = 2000, MaxErrors = 100;

    /// <summary>The HTTP status, 4xx or 5xx.</summary>
    public int Status => status;

    /// <summary>The texts that cannot be scored, with the reasons; empty if the error is not about texts.</summary>
    public IReadOnlyList<TextError> Errors { get; } =
        [.. (errors ?? []).Take(MaxErrors).Select(error => error with { Reason = Cut(error.Reason) })];

    /// <summary><see cref="Errors"/>, or null if there are none: error bodies omit the field then.</summary>
    public IReadOnlyList<TextError>? ErrorsOrNull => Errors.Count > 0 ? Errors : null;

    /// <summary>When to try again; null if a retry would not help.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Creates the error of a request with texts that cannot be scored, for protocols without errors per text.</summary>
    public static RequestException For(IReadOnlyList<TextError> errors, int texts)
    {
        string all = texts == 1 ? "" : $"{errors.Count} of {texts} texts cannot be scored. ";
        return new RequestException(422, $"{all}Text {errors[0].Index} (counted from 0): {errors[0].Reason}", errors);
    }

    private static string Cut(string text) => text.Length <= MaxMessage ? text : Readable.OneLine(text, MaxMessage);
}

/// <summary>Why a text cannot be scored.</summary>
/// <param name="Index">Its number in the request, from 0.</param>
/// <param name="Reason">Why.</param>
internal readonly record struct TextError(int Index, string Reason);
