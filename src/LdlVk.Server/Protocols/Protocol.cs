using System.Text.Json;
using LdlVk.Runtime.Model;
using LdlVk.Server.Http;

namespace LdlVk.Server.Protocols;

/// <summary>An endpoint that scores: how its requests are read, and how answers and errors look. Stateless.</summary>
internal abstract class Protocol
{
    /// <summary>Its path.</summary>
    public abstract string Path { get; }

    /// <summary>Media type of its errors.</summary>
    public virtual string ErrorType => "application/json";

    /// <summary>Reads a request: its texts go to <paramref name="texts"/>.</summary>
    /// <returns>How the answer is written.</returns>
    /// <exception cref="RequestException">The request is wrong.</exception>
    public abstract Answer Read(JsonElement body, TextIntake texts);

    /// <summary>Writes an error as the protocol's clients know it.</summary>
    public abstract void WriteError(Utf8JsonWriter json, RequestException error);

    /// <summary>The status of an error, where the protocol has its own.</summary>
    public virtual int StatusOf(RequestException error) => error.Status;

    /// <summary>The one raw score as the list that a classifier gives.</summary>
    protected static void WriteScore(Utf8JsonWriter json, string name, Reward reward)
    {
        json.WriteStartArray(name);
        json.WriteNumberValue(reward.Score);
        json.WriteEndArray();
    }

    /// <summary>Tokens of all texts, in the words of OpenAI.</summary>
    protected static void WriteUsage(Utf8JsonWriter json, IEnumerable<Reward> rewards)
    {
        long tokens = rewards.Sum(r => (long)r.Tokens);
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", tokens);
        json.WriteNumber("total_tokens", tokens);
        json.WriteEndObject();
    }

    /// <summary>An id for an answer, as <c>score-0f3a…</c>.</summary>
    protected static string NewId(string kind) => $"{kind}-{Guid.NewGuid():N}";

    /// <summary>Seconds since 1970.</summary>
    protected static long Now => DateTimeOffset.UtcNow.ToUnixTimeSeconds();
}

/// <summary>How an answer is written.</summary>
internal abstract record Answer
{
    private Answer()
    {
    }

    /// <summary>An answer that needs a reward for every text.</summary>
    public sealed record OfAll(Action<Utf8JsonWriter, Reward[]> Write) : Answer;

    /// <summary>An answer that can say of each text why it has no reward.</summary>
    public sealed record OfEach(Action<Utf8JsonWriter, ScoreResult[]> Write) : Answer;
}
