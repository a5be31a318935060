namespace LdlVk.Server.Http;

/// <summary>
/// Bytes that bodies and answers under way have in memory, those of all requests together: 200 callers with the largest body, or as many
/// who ask for long answers and do not fetch them, would fill it. Thread-safe.
/// </summary>
internal sealed class ByteBudget(long most)
{
    private long _taken;

    /// <summary>Counts bytes; what is alone fits, however large it is.</summary>
    /// <exception cref="RequestException">There are too many; these do not count then.</exception>
    public void Take(long bytes)
    {
        long taken = Interlocked.Add(ref _taken, bytes);
        if (taken <= most || taken == bytes) return;
        Return(bytes);
        throw new RequestException(429, "Too many large requests and answers are under way. Come again.")
        {
            RetryAfter = TimeSpan.FromSeconds(1),
        };
    }

    /// <summary>Gives bytes back.</summary>
    public void Return(long bytes) => Interlocked.Add(ref _taken, -bytes);
}
