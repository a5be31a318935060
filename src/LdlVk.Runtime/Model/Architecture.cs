using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Model;

/// <summary>
/// A family of decoder-only backbones, and the properties of its layers. All have grouped-query attention with rotary positions and a gated
/// feed-forward network; the input of each, its output, or both go through an RMSNorm, and the output is added to the residual stream. One
/// file per family, which says where its layers differ from Llama's.
/// </summary>
public abstract class Architecture
{
    private protected Architecture()
    {
    }

    /// <summary>Gemma 2.</summary>
    public static Architecture Gemma2 { get; } = new Gemma2Architecture();

    /// <summary>Llama, including 3.1.</summary>
    public static Architecture Llama { get; } = new LlamaArchitecture();

    /// <summary>Gemma 1.</summary>
    public static Architecture Gemma { get; } = new GemmaArchitecture();

    /// <summary>Gemma 3, without images.</summary>
    public static Architecture Gemma3 { get; } = new Gemma3Architecture();

    /// <summary>Mistral.</summary>
    public static Architecture Mistral { get; } = new MistralArchitecture();

    /// <summary>Qwen2, including Qwen2.5.</summary>
    public static Architecture Qwen2 { get; } = new Qwen2Architecture();

    /// <summary>Qwen3.</summary>
    public static Architecture Qwen3 { get; } = new Qwen3Architecture();

    /// <summary>InternLM2, including InternLM2.5.</summary>
    public static Architecture InternLM2 { get; } = new InternLM2Architecture();

    /// <summary>Phi-3, including Phi-3.5 and Phi-4.</summary>
    public static Architecture Phi3 { get; } = new Phi3Architecture();

    /// <summary>OLMo 2.</summary>
    public static Architecture Olmo2 { get; } = new Olmo2Architecture();

    /// <summary>All supported architectures.</summary>
    public static IReadOnlyList<Architecture> All { get; } =
        [Gemma2, Llama, Qwen2, Qwen3, Mistral, Gemma, Gemma3, InternLM2, Phi3, Olmo2];

    /// <summary>Display name.</summary>
    public abstract string Name { get; }

    /// <summary><c>model_type</c> of its config.json.</summary>
    public abstract string ModelType { get; }

    /// <summary>The activation of the feed-forward network's gate, unless config.json names another.</summary>
    public virtual GateActivation GateActivation => GateActivation.Silu;

    /// <summary>The RMSNorm of queries and keys before their rotation.</summary>
    public virtual QueryKeyNorm QueryKeyNorm => QueryKeyNorm.None;

    /// <summary>
    /// The norms of a layer. Llama names the norm before the feed-forward network after its position behind attention.
    /// </summary>
    internal virtual LayerNormNames Norms { get; } = new("input_layernorm", null, "post_attention_layernorm", null);

    /// <summary>Constant that is added to the stored weights of norms.</summary>
    internal virtual float NormOffset => 0;

    /// <summary>Whether embedding rows are multiplied by √hidden.</summary>
    internal virtual bool ScalesEmbeddings => false;

    /// <summary><c>pad_token_id</c> of a config.json without that field; null for none.</summary>
    internal virtual int? DefaultPadToken => null;

    /// <summary>The biases that attention may have in this family.</summary>
    internal virtual IReadOnlyList<AttentionBias> AttentionBiases => [AttentionBias.None];

    /// <summary>Whether config.json may give the feed-forward network biases.</summary>
    internal virtual bool MayBiasFeedForward => false;

    /// <summary>The tensor of the projection to the vocabulary in an original checkpoint, unless it is tied to the embeddings.</summary>
    internal virtual string Projection => "lm_head.weight";

    /// <summary>Whether the projection to the vocabulary is the embedding table in a model whose config.json does not say so.</summary>
    internal virtual bool TiesEmbeddings => false;

    /// <summary>Whether a layer has a sliding window in a model whose config.json does not say which layers have.</summary>
    internal virtual bool IsSliding(int layer) => false;

    /// <summary>
    /// Whether config.json may have only a part of each head rotated. <see cref="Stored"/> then gives the rows of queries and keys in the
    /// order of <see cref="StoredTensor.RotatedHalves"/>.
    /// </summary>
    internal virtual bool HasPartialRotation => false;

    /// <summary><c>original_max_position_embeddings</c> of a config.json without that field; null for what the rotary fields say.</summary>
    internal virtual int? DefaultOriginalPositions => null;

    /// <summary>Returns the kind of rotary scaling that this family means by a <c>rope_type</c>.</summary>
    internal virtual string RopeType(string type) => type;

    /// <summary>Whether this is the architecture of a <c>model_type</c>.</summary>
    internal virtual bool IsNamed(string modelType) => modelType == ModelType;

    /// <summary>Returns the fields of the text model, if a config.json has those of other models beside it.</summary>
    /// <exception cref="CheckpointException">They are missing.</exception>
    internal virtual ConfigFields TextFields(ConfigFields fields) => fields;

    /// <summary>Returns the softcap of the logits of tokens; 0 for none.</summary>
    internal virtual double LogitSoftcap(ConfigFields fields) => 0;

    /// <summary>Returns where an original checkpoint has a tensor of <see cref="BackboneTensors"/>.</summary>
    internal virtual StoredTensor Stored(BackboneConfig config, string name, int[] shape) => new(name, shape, null);

    /// <summary>Finds the architecture that a config.json names.</summary>
    /// <exception cref="CheckpointException">The file names no architecture, or an unsupported one.</exception>
    internal static Architecture Named(ConfigFields fields)
    {
        JsonField modelType = fields.Root.Get("model_type");
        string type = modelType.String();
        return All.FirstOrDefault(a => a.IsNamed(type))
            ?? throw modelType.Error(
                $"{modelType.Kind} is not supported. Supported architectures: {string.Join(", ", All.Select(a => $"\"{a.ModelType}\""))}.");
    }

    /// <summary>Reads the config.json of this architecture.</summary>
    /// <exception cref="CheckpointException">A field is missing, malformed, out of bounds or asks for something that is not
    /// supported.</exception>
    internal abstract BackboneConfig Read(ConfigFields fields);

    /// <inheritdoc/>
    public override string ToString() => Name;
}

/// <summary>
/// The names of a layer's norms in a checkpoint; null for those that the architecture does not have.
/// </summary>
/// <param name="Input">Before attention.</param>
/// <param name="PostAttention">After attention, before the addition to the residual stream.</param>
/// <param name="PreFeedForward">Before the feed-forward network.</param>
/// <param name="PostFeedForward">After the feed-forward network, before the addition to the residual stream.</param>
internal sealed record LayerNormNames(string? Input, string? PostAttention, string? PreFeedForward, string? PostFeedForward)
{
    public IEnumerable<string> All => new[] { Input, PostAttention, PreFeedForward, PostFeedForward }.OfType<string>();
}

/// <summary>The RMSNorm of queries and keys before their rotation.</summary>
public enum QueryKeyNorm
{
    /// <summary>None.</summary>
    None,
    /// <summary>One of each head, with the same weights for all heads.</summary>
    Head,
    /// <summary>One of all heads of a token together.</summary>
    Token,
}
