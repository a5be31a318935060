using System.Globalization;
using LdlVk.Runtime;
using LdlVk.Runtime.Model;

namespace LdlVk.Cli.Bench;

/// <summary>A Gemma-2 backbone to measure: its name and its numbers.</summary>
internal sealed record BenchShape(string Name, Gemma2Config Config)
{
    /// <summary>What --shape takes.</summary>
    public const string Names = "peer8|gemma2-27b|hidden=H,layers=L,heads=A,kv-heads=B,head-dim=D,ffn=F,vocab=V";

    /// <summary>Small enough for a software driver; bench/peers measures other runtimes at it.</summary>
    private static readonly Gemma2Config Peer8 = new()
    {
        HiddenSize = 1152, Layers = 8, Heads = 8, KeyValueHeads = 4, HeadDimension = 128, IntermediateSize = 4608, VocabularySize = 8192,
        MaxPositions = 8192, RmsNormEpsilon = 1e-6f, RopeTheta = 10000, QueryPreAttentionScalar = 128, AttentionSoftcap = 50, SlidingWindow = 4096,
    };

    /// <summary>LDL-Reward-Gemma-2-27B.</summary>
    private static readonly Gemma2Config Gemma2 = Peer8 with
    {
        HiddenSize = 4608, Layers = 46, Heads = 32, KeyValueHeads = 16, IntermediateSize = 36864, VocabularySize = 256000, QueryPreAttentionScalar = 144,
    };

    /// <summary>Reads a value of --shape.</summary>
    /// <exception cref="UsageException">There is no such shape, or its numbers cannot be.</exception>
    public static BenchShape Parse(string text) => text switch
    {
        "peer8" => new BenchShape(text, Peer8),
        "gemma2-27b" => new BenchShape(text, Gemma2),
        _ => new BenchShape(text, Custom(text)),
    };

    /// <summary>The same with another number of layers.</summary>
    public BenchShape WithLayers(int layers) => this with { Config = Config with { Layers = layers } };

    /// <summary>What is not named is as in peer8.</summary>
    private static Gemma2Config Custom(string text)
    {
        Gemma2Config config = Peer8;
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

            int Number(int most) =>
                int.TryParse(pair[1], NumberStyles.None, CultureInfo.InvariantCulture, out int value) && value >= 1 && value <= most
                    ? value : throw Wrong($"{pair[0]} is a whole number from 1 to {most}");
        }

        if (config.Heads % config.KeyValueHeads != 0) throw Wrong($"{config.KeyValueHeads} kv-heads do not divide {config.Heads} heads");
        if (config.HeadDimension % 2 != 0) throw Wrong("head-dim must be even");
        return config;

        UsageException Wrong(string why) => new($"--shape {text}: {why}. There are {Names.Replace("|", ", ", StringComparison.Ordinal)}.");
    }
}
