namespace LdlVk.Server.Http;

/// <summary>A request that cannot be answered as asked. Each protocol says so in its own shape.</summary>
internal sealed class RequestException(int status, string message, IReadOnlyList<TextError>? errors = null) : Exception(message)
{
    /// <summary>The HTTP status, 4xx or 5xx.</summary>
    public int Status => status;

    /// <summary>Which texts are wrong and why; empty if it is not about texts.</summary>
    public IReadOnlyList<TextError> Errors { get; } = errors ?? [];

    /// <summary>The wrong texts as error bodies have them: null if there are none.</summary>
    public IReadOnlyList<TextError>? ErrorsOrNull => Errors.Count > 0 ? Errors : null;

    /// <summary>When to try again; null where that would not help.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>For a request whose texts cannot all be scored, in a protocol that knows all or nothing.</summary>
    public static RequestException For(IReadOnlyList<TextError> errors, int texts)
    {
        string all = texts == 1 ? "" : $"{errors.Count} of {texts} texts cannot be scored. ";
        return new RequestException(422, $"{all}Text {errors[0].Index} (counted from 0): {errors[0].Reason}", errors);
    }
}

/// <summary>Why a text cannot be scored.</summary>
/// <param name="Index">Its number in the request, from 0.</param>
/// <param name="Reason">Why.</param>
internal readonly record struct TextError(int Index, string Reason);
