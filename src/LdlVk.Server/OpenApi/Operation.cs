namespace LdlVk.Server.OpenApi;

/// <summary>What the description of the server says of an endpoint.</summary>
/// <param name="Id">The operation's id, from which generators name its function.</param>
/// <param name="Tag">The group of operations that it belongs to.</param>
/// <param name="Summary">What it does, in a line.</param>
internal sealed record Operation(string Id, string Tag, string Summary)
{
    /// <summary>The type of a request's body; null for none.</summary>
    public Type? Request { get; init; }

    /// <summary>A request's body as JSON; null for none.</summary>
    public string? Example { get; init; }

    /// <summary>The type of an answer's body.</summary>
    public Type Answer { get; init; } = typeof(string);

    /// <summary>The media type of answers.</summary>
    public string AnswerType { get; init; } = "application/json";

    /// <summary>The type of the body of errors.</summary>
    public Type Error { get; init; } = typeof(Protocols.Bodies.Problem);

    /// <summary>The media type of errors.</summary>
    public string ErrorType { get; init; } = Protocols.Bodies.Problem.ContentType;

    /// <summary>The statuses of errors.</summary>
    public IReadOnlyList<int> ErrorStatuses { get; init; } = [];

    /// <summary>Whether it needs the API key, where the server has one.</summary>
    public bool NeedsKey { get; init; } = true;
}
