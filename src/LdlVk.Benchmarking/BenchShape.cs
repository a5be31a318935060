using System.Globalization;
using LdlVk.Runtime.Model;

namespace LdlVk.Benchmarking;

/// <summary>The backbone that a benchmark measures.</summary>
/// <param name="Name">The name of the shape, or the text that it was read from.</param>
/// <param name="Config">The sizes of the backbone.</param>
public sealed record BenchShape(string Name, BackboneConfig Config)
{
    /// <summary>The forms that <see cref="Parse"/> reads, separated by '|'.</summary>
    public const string Names =
        "peer8|gemma2-27b|gemma3-12b|llama3-8b|llama3-70b|mistral-7b|qwen3-8b|"
        + "hidden=H,layers=L,heads=A,kv-heads=B,head-dim=D,ffn=F,vocab=V";

    /// <summary>A backbone that is small enough for a software driver; bench/peers measures other runtimes with it.</summary>
    private static readonly BackboneConfig Peer8 = new()
    {
        Architecture = Architecture.Gemma2,
        HiddenSize = 1152, Layers = 8, Heads = 8, KeyValueHeads = 4, HeadDimension = 128, IntermediateSize = 4608, VocabularySize = 8192,
        MaxPositions = 8192, RmsNormEpsilon = 1e-6f, RopeTheta = 10000, QueryPreAttentionScalar = 128, AttentionSoftcap = 50,
        SlidingWindow = 4096,
    };

    /// <summary>LDL-Reward-Gemma-2-27B.</summary>
    private static readonly BackboneConfig Gemma2 = Peer8 with
    {
        HiddenSize = 4608, Layers = 46, Heads = 32, KeyValueHeads = 16, IntermediateSize = 36864, VocabularySize = 256000,
        QueryPreAttentionScalar = 144,
    };

    /// <summary>INF-ORM-Llama3.1-70B.</summary>
    private static readonly BackboneConfig Llama3 = new()
    {
        Architecture = Architecture.Llama,
        HiddenSize = 8192, Layers = 80, Heads = 64, KeyValueHeads = 8, HeadDimension = 128, IntermediateSize = 28672,
        VocabularySize = 128256,
        MaxPositions = 8192, RmsNormEpsilon = 1e-5f, RopeTheta = 500000, RopeScaling = new Llama3RopeScaling(8, 1, 4, 8192),
        QueryPreAttentionScalar = 128,
    };

    /// <summary>Skywork-Reward-V2-Llama-3.1-8B.</summary>
    private static readonly BackboneConfig Llama3Small = Llama3 with
    {
        HiddenSize = 4096, Layers = 32, Heads = 32, IntermediateSize = 14336,
    };

    /// <summary>Mistral-7B-v0.1.</summary>
    private static readonly BackboneConfig Mistral = Llama3Small with
    {
        Architecture = Architecture.Mistral,
        VocabularySize = 32000, MaxPositions = 32768, RopeTheta = 10000, RopeScaling = null, SlidingWindow = 4096,
    };

    /// <summary>Skywork-Reward-V2-Qwen3-8B.</summary>
    private static readonly BackboneConfig Qwen3 = Llama3Small with
    {
        Architecture = Architecture.Qwen3,
        Layers = 36, IntermediateSize = 12288, VocabularySize = 151936,
        MaxPositions = 40960, RmsNormEpsilon = 1e-6f, RopeTheta = 1e6, RopeScaling = null,
    };

    /// <summary>Gemma-3-12B.</summary>
    private static readonly BackboneConfig Gemma3 = new()
    {
        Architecture = Architecture.Gemma3,
        HiddenSize = 3840, Layers = 48, Heads = 16, KeyValueHeads = 8, HeadDimension = 256, IntermediateSize = 15360,
        VocabularySize = 262208,
        MaxPositions = 131072, RmsNormEpsilon = 1e-6f, RopeTheta = 1e6, RopeScaling = new LinearRopeScaling(8),
        SlidingRope = new RotaryEmbedding(10000, null), QueryPreAttentionScalar = 256, SlidingWindow = 1024,
    };

    /// <summary>Reads a shape: a known name, or sizes such as <c>hidden=64,layers=2</c> over those of peer8.</summary>
    /// <exception cref="UsageException">No such shape exists, or a size is out of range. The message begins with the text.</exception>
    public static BenchShape Parse(string text) => text switch
    {
        "peer8" => new BenchShape(text, Peer8),
        "gemma2-27b" => new BenchShape(text, Gemma2),
        "gemma3-12b" => new BenchShape(text, Gemma3),
        "llama3-8b" => new BenchShape(text, Llama3Small),
        "llama3-70b" => new BenchShape(text, Llama3),
        "mistral-7b" => new BenchShape(text, Mistral),
        "qwen3-8b" => new BenchShape(text, Qwen3),
        _ => new BenchShape(text, Custom(text)),
    };

    /// <summary>Returns the shape with another number of layers.</summary>
    public BenchShape WithLayers(int layers) => this with { Config = Config with { Layers = layers } };

    /// <summary>Reads sizes; missing sizes are those of peer8.</summary>
    private static BackboneConfig Custom(string text)
    {
        BackboneConfig config = Peer8;
        foreach (string part in text.Split(','))
        {
            string[] pair = part.Split('=');
            if (pair.Length != 2) throw Wrong($"\"{part}\" is no NAME=NUMBER");
            config = pair[0] switch
            {
                "hidden" => config with { HiddenSize = Number(1 << 20) },
                "layers" => config with { Layers = Number(1000) },
                "heads" => config with { Heads = Number(1 << 12) },
                "kv-heads" => config with { KeyValueHeads = Number(1 << 12) },
                "head-dim" => config with { HeadDimension = Number(1 << 12), QueryPreAttentionScalar = Number(1 << 12) },
                "ffn" => config with { IntermediateSize = Number(1 << 22) },
                "vocab" => config with { VocabularySize = Number(1 << 24) },
                _ => throw Wrong($"there is no {pair[0]}"),
            };

            int Number(int max) =>
                int.TryParse(pair[1], NumberStyles.None, CultureInfo.InvariantCulture, out int value) && value >= 1 && value <= max
                    ? value : throw Wrong($"{pair[0]} is a whole number from 1 to {max}");
        }

        if (config.Heads % config.KeyValueHeads != 0) throw Wrong($"{config.KeyValueHeads} kv-heads do not divide {config.Heads} heads");
        if (config.HeadDimension % 2 != 0) throw Wrong("head-dim must be even");
        return config;

        UsageException Wrong(string why) => new($"{text}: {why}. There are {Names.Replace("|", ", ", StringComparison.Ordinal)}.");
    }
}
