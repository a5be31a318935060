namespace LdlVk.Server.OpenApi;

/// <summary>Description of an endpoint, for the OpenAPI document.</summary>
/// <param name="Id">The operation's id, from which client generators make a function name.</param>
/// <param name="Tag">The group of operations that the endpoint belongs to.</param>
/// <param name="Summary">One line that says what the endpoint does.</param>
internal sealed record Operation(string Id, string Tag, string Summary)
{
    /// <summary>The type of the request body; null if there is none.</summary>
    public Type? Request { get; init; }

    /// <summary>An example of the request body as JSON; null if there is none.</summary>
    public string? Example { get; init; }

    /// <summary>The type of the response body.</summary>
    public Type Answer { get; init; } = typeof(string);

    /// <summary>The media type of the response body.</summary>
    public string AnswerType { get; init; } = "application/json";

    /// <summary>The type of the error body.</summary>
    public Type Error { get; init; } = typeof(Protocols.Bodies.Problem);

    /// <summary>The media type of the error body.</summary>
    public string ErrorType { get; init; } = Protocols.Bodies.Problem.ContentType;

    /// <summary>The HTTP statuses of errors.</summary>
    public IReadOnlyList<int> ErrorStatuses { get; init; } = [];

    /// <summary>Whether requests need the API key, if the server has one.</summary>
    public bool NeedsKey { get; init; } = true;
}
