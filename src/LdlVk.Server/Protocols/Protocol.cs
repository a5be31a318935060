using System.Text.Json;
using LdlVk.Server.Http;
using LdlVk.Server.OpenApi;

namespace LdlVk.Server.Protocols;

/// <summary>An endpoint that scores: how its requests are read, and how answers and errors look. Stateless.</summary>
internal abstract class Protocol
{
    /// <summary>A text with its template, inside a string of JSON, for examples.</summary>
    protected const string Conversation =
        """<bos><start_of_turn>user\nDefine \"sea\".<end_of_turn>\n<start_of_turn>model\nA large body of salt water.<end_of_turn>\n""";

    /// <summary>Its path.</summary>
    public abstract string Path { get; }

    /// <summary>What the description of the server says of it, less the statuses.</summary>
    public abstract Operation Operation { get; }

    /// <summary>Reads a request: its texts go to <paramref name="texts"/>.</summary>
    /// <returns>How the answer is written.</returns>
    /// <exception cref="RequestException">The request is wrong.</exception>
    public abstract Answer Read(JsonElement body, TextIntake texts);

    /// <summary>Writes an error as the protocol's clients know it.</summary>
    public abstract void WriteError(Utf8JsonWriter json, RequestException error);

    /// <summary>The status of an error, where the protocol has its own.</summary>
    public virtual int StatusOf(RequestException error) => error.Status;

    /// <summary>
    /// How errors name an option: as a field where requests have one, else as an option with which the server was started.
    /// </summary>
    public virtual string Word(string name, string value)
    {
        string option = $"server option {JsonNamingPolicy.SnakeCaseLower.ConvertName(name)}";
        return value.Length == 0 ? option : $"{option} = {value}";
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
