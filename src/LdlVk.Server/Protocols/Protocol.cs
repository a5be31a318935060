using System.Text.Json;
using LdlVk.Server.Http;
using LdlVk.Server.OpenApi;

namespace LdlVk.Server.Protocols;

/// <summary>A scoring endpoint: reads its requests, and writes answers and errors in the format of its clients. Stateless.</summary>
internal abstract class Protocol
{
    /// <summary>A text with the chat template, escaped for a JSON string, for examples.</summary>
    protected const string Conversation =
        """<bos><start_of_turn>user\nDefine \"sea\".<end_of_turn>\n<start_of_turn>model\nA large body of salt water.<end_of_turn>\n""";

    /// <summary>The endpoint's path.</summary>
    public abstract string Path { get; }

    /// <summary>The endpoint's OpenAPI description, without the error statuses.</summary>
    public abstract Operation Operation { get; }

    /// <summary>Reads a request and adds its texts to <paramref name="texts"/>.</summary>
    /// <returns>The function that writes the answer.</returns>
    /// <exception cref="RequestException">The request is invalid.</exception>
    public abstract Answer Read(JsonElement body, TextIntake texts);

    /// <summary>Returns the protocol of a request, where its fields decide that.</summary>
    public virtual Protocol For(JsonElement body) => this;

    /// <summary>The protocols that <see cref="For"/> returns beside this one.</summary>
    public virtual IReadOnlyList<Protocol> Alternatives => [];

    /// <summary>Names of the fields that change the text and that the endpoint uses; null if it checks them itself.</summary>
    public virtual IReadOnlyList<string>? TextFieldsUsed => [];

    /// <summary>Names of the fields that cut texts or change what is around them, and that the endpoint uses.</summary>
    public virtual IReadOnlyList<string> ScoreFieldsUsed => [];

    /// <summary>Writes an error in the protocol's format.</summary>
    public abstract void WriteError(Utf8JsonWriter json, RequestException error);

    /// <summary>Translates the status of an error into the protocol's own.</summary>
    public virtual int StatusOf(RequestException error) => error.Status;

    /// <summary>
    /// Names an option in an error: as a field where requests have one, else as an option with which the server was started.
    /// </summary>
    public virtual string Word(string name, string value)
    {
        string option = $"server option {JsonNamingPolicy.SnakeCaseLower.ConvertName(name)}";
        return value.Length == 0 ? option : $"{option} = {value}";
    }

    /// <summary>Returns a new id of an answer, such as <c>score-0f3a…</c>.</summary>
    protected static string NewId(string kind) => $"{kind}-{Guid.NewGuid():N}";

    /// <summary>Seconds since 1970.</summary>
    protected static long Now => DateTimeOffset.UtcNow.ToUnixTimeSeconds();
}

/// <summary>The function that writes an answer.</summary>
internal abstract record Answer
{
    private Answer()
    {
    }

    /// <summary>An answer that needs no rewards.</summary>
    public sealed record WithoutScores(Action<Utf8JsonWriter> Write) : Answer;

    /// <summary>An answer that needs a reward for every text.</summary>
    public sealed record OfAll(Action<Utf8JsonWriter, Reward[]> Write) : Answer;

    /// <summary>An answer that has, for each text, a reward or the reason why there is none.</summary>
    public sealed record OfEach(Action<Utf8JsonWriter, ScoreResult[]> Write) : Answer;
}
