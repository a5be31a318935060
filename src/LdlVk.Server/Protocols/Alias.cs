using System.Text.Json;
using LdlVk.Server.Http;
using LdlVk.Server.OpenApi;

namespace LdlVk.Server.Protocols;

/// <summary>An endpoint at another path, which some clients and gateways use for it.</summary>
/// <param name="endpoint">The endpoint.</param>
/// <param name="path">The other path.</param>
internal sealed class Alias(Protocol endpoint, string path) : Protocol
{
    public override string Path => path;

    public override Operation Operation { get; } = endpoint.Operation with
    {
        Id = $"{endpoint.Operation.Id}At{string.Concat(path.Split('/').Skip(1).Select(p => char.ToUpperInvariant(p[0]) + p[1..]))}",
        Summary = $"As {endpoint.Path}: {endpoint.Operation.Summary}",
    };

    public override Answer Read(JsonElement body, TextIntake texts) => endpoint.Read(body, texts);

    public override Protocol For(JsonElement body) => endpoint.For(body) is var chosen && chosen == endpoint ? this : chosen;

    public override IReadOnlyList<Protocol> Alternatives => endpoint.Alternatives;

    public override IReadOnlyList<string>? TextFieldsUsed => endpoint.TextFieldsUsed;

    public override IReadOnlyList<string> ScoreFieldsUsed => endpoint.ScoreFieldsUsed;

    public override void WriteError(Utf8JsonWriter json, RequestException error) => endpoint.WriteError(json, error);

    public override int StatusOf(RequestException error) => endpoint.StatusOf(error);

    public override string Word(string name, string value) => endpoint.Word(name, value);
}
