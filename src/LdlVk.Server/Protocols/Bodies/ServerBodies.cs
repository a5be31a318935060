using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;

namespace LdlVk.Server.Protocols.Bodies;

/// <summary>An answer of <c>/health</c> and <c>/ready</c>.</summary>
internal sealed record ServerStatus
{
    public required string Status { get; init; }
}

/// <summary>The server's version, as vLLM gives it.</summary>
internal sealed record ServerVersion
{
    public required string Version { get; init; }
}

/// <summary>The model, as SGLang gives it.</summary>
internal sealed record SgLangModelInfo
{
    public required string ModelPath { get; init; }

    public bool IsGeneration => false;
}

/// <summary>The list of models, as vLLM gives it.</summary>
internal sealed record ModelList
{
    [AllowedValues("list")]
    public string Object => "list";

    public required IReadOnlyList<ModelEntry> Data { get; init; }
}

/// <summary>The model that is served.</summary>
internal sealed record ModelEntry
{
    public required string Id { get; init; }

    [AllowedValues("model")]
    public string Object => "model";

    [Description("When the server started, in seconds since 1970")]
    public required long Created { get; init; }

    [AllowedValues("ldlvk")]
    public string OwnedBy => "ldlvk";

    public required string Root { get; init; }

    public string? Parent => null;

    [Description("Maximum number of tokens of a text")]
    public required int MaxModelLen { get; init; }

    [Description("The names of the attributes that have weights and rewards")]
    public required IReadOnlyList<string> Attributes { get; init; }

    public required string Device { get; init; }

    public required string Weights { get; init; }
}

/// <summary>The model and the limits, as text-embeddings-inference gives them.</summary>
internal sealed record ServerInfo
{
    public required string ModelId { get; init; }

    /// <summary>The beginning of the fingerprint of the model's files; null if they were gone when the server started.</summary>
    public required string? ModelSha { get; init; }

    public required string ModelDtype { get; init; }

    public ModelKind ModelType { get; } = new();

    public required int MaxConcurrentRequests { get; init; }

    public required int MaxInputLength { get; init; }

    public required int MaxBatchTokens { get; init; }

    public int? MaxBatchRequests => null;

    public required int MaxClientBatchSize { get; init; }

    public required bool AutoTruncate { get; init; }

    public required int TokenizationWorkers { get; init; }

    /// <summary>The model and all settings that scores depend on: servers with others give other scores. Null as model_sha.</summary>
    public required string? Settings { get; init; }

    /// <summary>The version, the devices and their drivers: with others the last bits of scores may differ. Null as model_sha.</summary>
    public required string? Machine { get; init; }

    public string? Version { get; init; }

    public string? Sha => null;

    public string? DockerLabel => null;
}

/// <summary>The model type: a reranker, which text-embeddings-inference serves at <c>/rerank</c> and <c>/predict</c>.</summary>
internal sealed record ModelKind
{
    public RerankerLabels Reranker { get; } = new();
}

/// <summary>The label of the score.</summary>
internal sealed record RerankerLabels
{
    [JsonPropertyName("id2label")]
    public IReadOnlyDictionary<string, string> Labels { get; } = new Dictionary<string, string> { ["0"] = "LABEL_0" };

    [JsonPropertyName("label2id")]
    public IReadOnlyDictionary<string, int> Ids { get; } = new Dictionary<string, int> { ["LABEL_0"] = 0 };
}
