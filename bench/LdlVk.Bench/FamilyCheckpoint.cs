using System.Text.Json.Nodes;
using LdlVk.Benchmarking;
using LdlVk.Runtime.Model;
using LdlVk.Testing;

namespace LdlVk.Bench;

/// <summary>Checkpoints with made-up weights in the sizes of published models, but for few layers and a small vocabulary.</summary>
internal static class FamilyCheckpoint
{
    /// <summary>The embedding table is never on the device, and llama.cpp would multiply by all of it.</summary>
    private const int Vocabulary = 1024;

    /// <summary>The config.json that has all of a family's fields, by the name of a shape of ldlvk bench.</summary>
    private static readonly Dictionary<string, string> Templates = new()
    {
        ["llama3-8b"] = "llama_linear",
        ["llama3-70b"] = "llama_linear",
        ["mistral-7b"] = "mistral_linear",
        ["qwen3-8b"] = "qwen3_linear",
        ["gemma3-12b"] = "gemma3_text_linear",
    };

    /// <summary>The folder of a shape's checkpoint, written if it is not there.</summary>
    public static string Make(string cache, string shape, int layers)
    {
        string folder = Path.Combine(cache, $"{shape}-{layers}");
        if (Directory.Exists(folder)) return folder;
        if (!Templates.TryGetValue(shape, out string? template))
            throw new ArgumentException($"bench/peers has no checkpoint of {shape}; there are {string.Join(", ", Templates.Keys)}.");
        string part = folder + ".part";
        if (Directory.Exists(part)) Directory.Delete(part, recursive: true);
        Directory.CreateDirectory(part);
        BackboneConfig sizes = BenchShape.Parse(shape).Config;
        JsonObject config = JsonNode.Parse(File.ReadAllText(Repository.Path("tests", "data", "families", template, "config.json")))!.AsObject();
        foreach ((string name, int value) in (ReadOnlySpan<(string, int)>)
            [
                ("hidden_size", sizes.HiddenSize), ("num_hidden_layers", layers), ("num_attention_heads", sizes.Heads),
                ("num_key_value_heads", sizes.KeyValueHeads), ("head_dim", sizes.HeadDimension), ("intermediate_size", sizes.IntermediateSize),
                ("vocab_size", Vocabulary), ("max_position_embeddings", 8192),
            ]) config[name] = value;
        if (config.ContainsKey("sliding_window_pattern")) config["sliding_window_pattern"] = 6;
        if (config.ContainsKey("query_pre_attn_scalar")) config["query_pre_attn_scalar"] = sizes.HeadDimension;
        // llama.cpp's Mistral has no windows; no text here is as long as one.
        config["sliding_window"] = sizes.SlidingWindow > 0 && template != "mistral_linear" ? sizes.SlidingWindow : null;
        config["torch_dtype"] = "float32";
        foreach (string token in (string[])["pad_token_id", "bos_token_id", "eos_token_id"]) config[token] = Vocabulary - 1;
        File.WriteAllText(Path.Combine(part, "config.json"), config.ToJsonString());
        BackboneConfig backbone = sizes with { Layers = layers, VocabularySize = Vocabulary };
        SyntheticCheckpoint.WriteTensors(
            Path.Combine(part, "model.safetensors"),
            [.. BackboneTensors.Of(backbone).Select(tensor => ($"model.{tensor.Name}", tensor.Shape)), ("score.weight", [1, sizes.HiddenSize])],
            fp32: true, _ => 1);
        Directory.Move(part, folder);
        return folder;
    }
}
