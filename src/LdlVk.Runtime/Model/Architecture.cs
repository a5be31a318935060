using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Model;

/// <summary>
/// A family of decoder-only backbones: what tells its layers from another family's. All have grouped-query attention with rotary positions
/// and a gated feed-forward network, each behind an RMSNorm and added to the residual stream. One file a family.
/// </summary>
public abstract class Architecture
{
    private protected Architecture()
    {
    }

    /// <summary>Gemma 2.</summary>
    public static Architecture Gemma2 { get; } = new Gemma2Architecture();

    /// <summary>Llama, 3.1 included.</summary>
    public static Architecture Llama { get; } = new LlamaArchitecture();

    /// <summary>All that there are.</summary>
    public static IReadOnlyList<Architecture> All { get; } = [Gemma2, Llama];

    /// <summary>As people call it.</summary>
    public abstract string Name { get; }

    /// <summary><c>model_type</c> of its config.json.</summary>
    public abstract string ModelType { get; }

    /// <summary>The activation of the feed-forward network's gate.</summary>
    public abstract GateActivation GateActivation { get; }

    /// <summary>Norms of a layer, each with hidden size weights.</summary>
    public int NormsPerLayer => Norms.All.Count();

    /// <summary>The norms of a layer.</summary>
    internal abstract LayerNormNames Norms { get; }

    /// <summary>What is added to the norms' weights as they are stored.</summary>
    internal abstract float NormOffset { get; }

    /// <summary>Whether embedding rows are multiplied by √hidden.</summary>
    internal abstract bool ScalesEmbeddings { get; }

    /// <summary>How many keys up to its own a query of this layer sees; 0 for all.</summary>
    internal abstract int Window(BackboneConfig config, int layer);

    /// <summary>Finds the architecture that a config.json names.</summary>
    /// <exception cref="CheckpointException">The file names none, or one that is not supported.</exception>
    internal static Architecture Named(ConfigFields fields)
    {
        JsonField modelType = fields.Root.Get("model_type");
        string type = modelType.String();
        return All.FirstOrDefault(a => a.ModelType == type)
            ?? throw modelType.Error(
                $"{modelType.Kind} is not supported. Supported architectures: {string.Join(", ", All.Select(a => $"\"{a.ModelType}\""))}.");
    }

    /// <summary>Reads its config.json.</summary>
    /// <exception cref="CheckpointException">A field is missing, malformed, out of bounds or asks for something that is not
    /// supported.</exception>
    internal abstract BackboneConfig Read(ConfigFields fields);

    /// <inheritdoc/>
    public override string ToString() => Name;
}

/// <summary>
/// The norms of a layer as a checkpoint names them; those behind attention and feed-forward network are null where there are none.
/// </summary>
/// <param name="Input">Before attention.</param>
/// <param name="PostAttention">Of what attention adds to the residual stream.</param>
/// <param name="PreFeedForward">Before the feed-forward network.</param>
/// <param name="PostFeedForward">Of what the feed-forward network adds to the residual stream.</param>
internal sealed record LayerNormNames(string Input, string? PostAttention, string PreFeedForward, string? PostFeedForward)
{
    public IEnumerable<string> All => new[] { Input, PostAttention, PreFeedForward, PostFeedForward }.OfType<string>();
}
