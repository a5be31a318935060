using System.Reflection;
using LdlVk.Server.Protocols.Bodies;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Server.Http;

/// <summary>
/// Describes the model: vLLM's <c>/v1/models</c> with the attributes' names added, and <c>/info</c> of text-embeddings-inference.
/// </summary>
internal sealed class Facts(RewardModel model, ServerOptions options)
{
    private static readonly string? ProgramVersion =
        typeof(Facts).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion;

    private readonly ScoreIdentity? _identity = IdentityOf(model);
    private readonly long _created = DateTimeOffset.UtcNow.ToUnixTimeSeconds();

    /// <summary>The answer of <c>/v1/models</c>.</summary>
    public ModelList Models => new()
    {
        Data =
        [
            new ModelEntry
            {
                Id = options.ModelName,
                Created = _created,
                Root = options.ModelName,
                MaxModelLen = model.MaxTokens,
                Attributes = [.. model.AttributeNames],
                Device = string.Join(", ", model.Devices.Select(d => d.Name)),
                Weights = Readable.Name(model.Weights),
            },
        ],
    };

    /// <summary>The answer of <c>/version</c>.</summary>
    public ServerVersion Version => new() { Version = ProgramVersion ?? "0" };

    /// <summary>The answer of SGLang's <c>/get_model_info</c>.</summary>
    public SgLangModelInfo SgLang => new() { ModelPath = options.ModelName };

    /// <summary>The answer of <c>/info</c>.</summary>
    public ServerInfo Info => new()
    {
        ModelId = options.ModelName,
        ModelSha = _identity?.Fingerprint,
        // Requests may say how special tokens are read; these do not.
        Settings = _identity is null ? null
            : _identity.Settings + (options.SpecialTokens == SpecialTokens.Tokens ? ", special tokens read as tokens" : "")
                + (model.RefusesForeignMarkers ? ", foreign markers refused" : ""),
        Machine = _identity is null ? null
            : $"ldlvk {ProgramVersion?.Split('+')[0]}, device {_identity.Devices}"
                + (_identity.Drivers.Length == 0 ? "" : $", driver {_identity.Drivers}"),
        ModelDtype = Readable.Name(model.Weights),
        MaxConcurrentRequests = options.MaxQueue,
        MaxInputLength = model.MaxTokens,
        MaxBatchTokens = model.Plan.BatchTokens,
        MaxClientBatchSize = options.MaxTexts,
        AutoTruncate = model.Truncates,
        TokenizationWorkers = Environment.ProcessorCount,
        Version = ProgramVersion,
    };

    /// <summary>Returns what scores depend on; null if the model's files have been removed since it was loaded: it still scores.</summary>
    private static ScoreIdentity? IdentityOf(RewardModel model)
    {
        try
        {
            return model.Identity;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CheckpointException)
        {
            return null;
        }
    }
}
