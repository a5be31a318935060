using System.Globalization;
using System.Text.Json.Nodes;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;
using LdlVk.Testing;

namespace LdlVk.Bench;

/// <summary>
/// The last hidden state of each family, as LdlVk and as llama.cpp compute it from the same fp32 weights: an engine that shares nothing with
/// the references behind the goldens. On its CPU backend llama.cpp takes GELU from a table of halves, so that Gemma's states differ by 1e-3
/// there; on its Vulkan backend it computes it.
/// </summary>
internal static class FamilyPeers
{
    private const int MaxTokens = 60;

    /// <summary>
    /// Little checkpoints of 4 or 6 layers, and the fields of config.json that llama.cpp has as constants: Mistral and Phi-3 have no windows there, five of
    /// six of Gemma-3's layers have one, and Gemma-2 and 3 divide by the root of the head size.
    /// </summary>
    private static readonly (string Folder, string Fields)[] Cases =
    [
        ("families/llama_linear", "{}"),
        ("families/qwen2_linear", "{}"),
        ("families/qwen3_linear", "{}"),
        ("families/mistral_linear", """{"sliding_window":null}"""),
        ("families/olmo2_linear", "{}"),
        ("families/phi3_linear", """{"sliding_window":null}"""),
        ("families/phi4_linear", "{}"),
        ("families/gemma1_linear", "{}"),
        ("goldens/a_f32_sliding", """{"query_pre_attn_scalar":16}"""),
        ("families/gemma3_text_linear", """{"query_pre_attn_scalar":20,"sliding_window_pattern":6}"""),
    ];

    /// <summary>Prints the relative L2 difference of each family at several lengths.</summary>
    public static void Run(PeerSettings settings)
    {
        foreach ((string from, string fields) in Cases)
        {
            using TempFolder folder = new TempFolder().WithModel(Repository.Path("tests", "data", from));
            JsonObject config = JsonNode.Parse(File.ReadAllText(folder["config.json"]))!.AsObject();
            foreach ((string name, JsonNode? value) in JsonNode.Parse(fields)!.AsObject()) config[name] = value?.DeepClone();
            folder.Write("config.json", config.ToJsonString());
            using Checkpoint checkpoint = Checkpoint.Open(folder.Path);
            GgufFile.Write(folder["f32.gguf"], checkpoint, "f32");
            using IDevice device = ComputeDevices.Open(ComputeDevices.Candidates(settings.Device)[0]);
            using ScoringEngine engine = ScoringEngine.Load(device, checkpoint, new LoadSettings(WeightFormat.Fp32, EmbeddingScale: EmbeddingScale.Exact));
            string backend = device.Info.Id == "cpu" ? "cpu" : "vulkan";
            using Peer peer = new(
                "llama.cpp", [settings.LlamaCpp, settings.LlamaCppLibrary, folder["f32.gguf"], backend, $"{Environment.ProcessorCount}", "1", $"{MaxTokens}", "exact"],
                backend == "cpu" ? [] : [("GGML_VK_VISIBLE_DEVICES", device.Info.Id["vulkan:".Length..])]);
            foreach (int tokens in (int[])[1, 7, 25, MaxTokens])
            {
                int[] ids = SyntheticModel.TokenIds(0, tokens, checkpoint.Config.VocabularySize);
                float[] ours = engine.ScoreWithHidden(Packer.Pack([ids], tokens).Single()).Hidden, theirs = peer.Hidden(tokens);
                double difference = Math.Sqrt(ours.Zip(theirs, (a, b) => Math.Pow((double)a - b, 2)).Sum() / ours.Sum(a => (double)a * a));
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{checkpoint.Config.Architecture}, {tokens} tokens: {difference:E1}"));
            }
        }
    }
}
