namespace LdlVk.Server.Http;

/// <summary>
/// Limits the memory that the bodies and answers of all requests in progress hold together. Without a limit, 200 callers that send the
/// largest body, or that do not fetch long answers, would fill the memory. Thread-safe.
/// </summary>
internal sealed class ByteBudget(long maxBytes)
{
    private long _taken;

    /// <summary>Reserves bytes. A single body or answer always fits, whatever its size.</summary>
    /// <param name="bytes">Number of bytes.</param>
    /// <param name="own">Number of bytes that the same body or answer has reserved before.</param>
    /// <exception cref="RequestException">The budget is used up; nothing is reserved.</exception>
    public void Take(long bytes, long own)
    {
        long taken = Interlocked.Add(ref _taken, bytes);
        if (taken <= maxBytes || taken == own + bytes) return;
        Return(bytes);
        throw new RequestException(429, "Too many large requests and answers are in progress. Try again.")
        {
            RetryAfter = TimeSpan.FromSeconds(1),
        };
    }

    /// <summary>Returns reserved bytes to the budget.</summary>
    public void Return(long bytes) => Interlocked.Add(ref _taken, -bytes);
}
