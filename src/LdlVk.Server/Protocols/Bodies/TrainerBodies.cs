using System.ComponentModel.DataAnnotations;
using System.Text.Json;

namespace LdlVk.Server.Protocols.Bodies;

/// <summary>A request of OpenRLHF.</summary>
internal sealed record OpenRlhfRequest
{
    public required Texts Query { get; init; }

    public JsonElement? Prompts { get; init; }

    public JsonElement? Labels { get; init; }
}

/// <summary>An answer to OpenRLHF.</summary>
internal sealed record OpenRlhfAnswer
{
    public required IReadOnlyList<float> Rewards { get; init; }

    public required IReadOnlyList<float> Scores { get; init; }

    public IReadOnlyDictionary<string, float> ExtraLogs { get; } = new Dictionary<string, float>();
}

/// <summary>A request of LLaMA-Factory.</summary>
internal sealed record EvaluationRequest
{
    public string? Model { get; init; }

    public required string[] Messages { get; init; }

    public int? MaxLength { get; init; }
}

/// <summary>An answer to LLaMA-Factory.</summary>
internal sealed record EvaluationAnswer
{
    public required string Id { get; init; }

    [AllowedValues("score.evaluation")]
    public string Object => "score.evaluation";

    public required string Model { get; init; }

    public required IReadOnlyList<float> Scores { get; init; }
}
