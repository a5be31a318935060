using LdlVk.Runtime.Model;

namespace LdlVk;

/// <summary>
/// The published reward models that LdlVk knows. Each fact has its source. A folder is recognized by its config's numbers and by its head's
/// tensors, never by its name; only the scores of published examples tell models of equal shape apart.
/// </summary>
public static class KnownModels
{
    private const string Herd = "Llama Team 2024, The Llama 3 Herd of Models, table 3";
    private const string SkyworkReadme = "github.com/SkyworkAI/Skywork-Reward, README.md";
    private const string SkyworkCard = "model card of Skywork/Skywork-Reward-Llama-3.1-8B";
    private const string SkyworkV2 = "model cards of Skywork/Skywork-Reward-V2";
    private const string InternLm = "github.com/InternLM/InternLM, model_cards/internlm2_reward.md";
    private const string WorldPm = "github.com/QwenLM/WorldPM, README.md";
    private const string Armo = "github.com/RLHFlow/RLHF-Reward-Modeling, armo-rm/README.md";
    private const string RewardBench = "github.com/allenai/reward-bench, rewardbench/models";
    private const string Vllm = "github.com/vllm-project/vllm, model_executor/models/qwen2_rm.py";
    private const string Transformers = "github.com/huggingface/transformers, modeling_layers.py";
    private const string Gemma2 = "Gemma Team 2024, Gemma 2, table 1";
    private const string InternLmReport = "Cai et al. 2024, InternLM2 Technical Report, table 2";
    private const string Qwen25Config = "config.json of Qwen/Qwen2.5-72B";
    private const string Qwen3Config = "config.json of the base model Qwen/Qwen3";
    private const string Llama32Config = "config.json of the base model meta-llama/Llama-3.2";

    private const string OlmoConfig = "config.json of the base model allenai/OLMo-2-1124-7B";
    private const string OlmoCard = "model card of allenai/OLMo-2-1124-7B-RM-Preview";

    private const string Linear = "score.weight", Mlp = "score.0.weight", Gated = "regression_layer.weight";

    private static readonly BackboneShape Llama8B = new(32, 4096, 32, 8, Herd), Llama70B = new(80, 8192, 64, 8, Herd);
    private static readonly BackboneShape Gemma27B = new(46, 4608, 32, 16, Gemma2), Gemma2B = new(26, 2304, 8, 4, Gemma2);
    private static readonly BackboneShape Llama1B = new(16, 2048, 32, 8, Llama32Config), Llama3B = new(28, 3072, 24, 8, Llama32Config);
    private static readonly BackboneShape Qwen72B = new(80, 8192, 64, 8, Qwen25Config);

    private static readonly PublishedFact LinearHead = new("score · h, one number", Transformers);
    private static readonly PublishedFact Rightmost = new("the rightmost token that is not padding", Transformers);
    private static readonly PublishedFact SkyworkLicense = new("Skywork Community License", SkyworkReadme);
    private static readonly PublishedFact NoBos = new("the base model's, without the bos token", SkyworkReadme);
    private static readonly PublishedFact MlpHead = new("score.2 · ReLU(score.0 · h), both with bias", Vllm);
    private static readonly PublishedFact QwenLicense = new("Qwen license", WorldPm);

    private static readonly PublishedFact GateHead = new(
        "19 attributes, weighted by a gate that reads the end of the prompt", Armo);

    /// <summary>All known models.</summary>
    public static IReadOnlyList<KnownModel> All { get; } =
    [
        new("ShikaiChen/LDL-Reward-Gemma-2-27B-v0.1", "gemma2", "", Gemma27B)
        {
            Head = new("22 attributes of 10 bins, weighted by a gate", "the model's own modeling code"),
        },
        Skywork("Skywork-Reward-Gemma-2-27B", "gemma2", Gemma27B, (9.1875, -17.875, SkyworkReadme)),
        Skywork("Skywork-Reward-Gemma-2-27B-v0.2", "gemma2", Gemma27B, null),
        Skywork("Skywork-Reward-Llama-3.1-8B", "llama", Llama8B, (12.625, -15.25, SkyworkCard)),
        Skywork("Skywork-Reward-Llama-3.1-8B-v0.2", "llama", Llama8B, null),
        Version2("Llama-3.1-8B", "llama", Llama8B, null, (23.0, 3.59375, SkyworkV2 + "-Llama-3.1-8B")),
        Version2("Llama-3.1-8B-40M", "llama", Llama8B, null),
        Version2("Llama-3.2-1B", "llama", Llama1B, null),
        Version2("Llama-3.2-3B", "llama", Llama3B, null),
        Version2("Qwen3-0.6B", "qwen3", new(28, 1024, 16, 8, Qwen3Config + "-0.6B"), null),
        Version2("Qwen3-1.7B", "qwen3", new(28, 2048, 16, 8, Qwen3Config + "-1.7B"), null),
        Version2("Qwen3-4B", "qwen3", new(36, 2560, 32, 8, Qwen3Config + "-4B"), "apache-2.0"),
        Version2("Qwen3-8B", "qwen3", new(36, 4096, 32, 8, Qwen3Config + "-8B"), "apache-2.0"),
        new("infly/INF-ORM-Llama3.1-70B", "llama", Mlp, Llama70B)
        {
            Head = new("score.2 · ReLU(score.0 · h)", RewardBench + "/inform.py"),
            Reads = new("the token before the first padding token", RewardBench + "/inform.py"),
        },
        new("RLHFlow/ArmoRM-Llama3-8B-v0.1", "llama", Gated, Llama8B)
        {
            Head = GateHead, Reads = new("the token before the first padding token", "the model's own modeling_custom.py"),
            License = new("llama3", "model card of RLHFlow/ArmoRM-Llama3-8B-v0.1"),
        },
        new("nicolinho/QRM-Llama3.1-8B", "llama", Gated, Llama8B)
        {
            Head = new("attributes by quantile regression, weighted by a gate that reads the end of the prompt", RewardBench + "/qrm.py"),
        },
        new("nicolinho/QRM-Llama3.1-8B-v2", "llama", Gated, Llama8B)
        {
            Head = new("attributes by quantile regression, weighted by a gate that reads the end of the prompt", RewardBench + "/qrm.py"),
        },
        new("nicolinho/QRM-Gemma-2-27B", "gemma2", Gated, Gemma27B)
        {
            Head = new("attributes by quantile regression, weighted by a gate that reads the end of the prompt",
                "One-Judge-After-Another, scoring/qrm.py"),
        },
        new("LxzGordon/URM-LLaMa-3.1-8B", "llama", "weights.fc.0.weight", Llama8B)
        {
            Head = new("5 means, weighted by three layers with SELU", "github.com/sgl-project/sglang, models/llama_reward.py"),
        },
        new("allenai/OLMo-2-1124-7B-RM", "olmo2", Linear, new(32, 4096, 32, 32, OlmoConfig))
        {
            Head = LinearHead, Reads = Rightmost, License = new("apache-2.0", OlmoCard),
        },
        Grm("GRM-Llama3-8B-rewardmodel-ft", "llama", Llama8B),
        Grm("GRM-Llama3.2-3B-rewardmodel-ft", "llama", Llama3B),
        Grm("GRM-gemma2-2B-rewardmodel-ft", "gemma2", Gemma2B),
        Intern("1_8b", new(24, 2048, 16, 8, InternLmReport), null),
        Intern("7b", new(32, 4096, 32, 8, InternLmReport), null),
        Intern("20b", new(48, 6144, 48, 8, InternLmReport), (0.767578125, -2.22265625)),
        World("WorldPM-72B", (0.6298332214355469, -1.6425328254699707)),
        World("WorldPM-72B-HelpSteer2", null),
        World("WorldPM-72B-UltraFeedback", null),
        World("WorldPM-72B-RLHFLow", null),
        new("Qwen/Qwen2.5-Math-RM-72B", "qwen2", Mlp, Qwen72B) { Head = MlpHead },
        new("Qwen/Qwen2.5-Math-PRM-72B", "qwen2", Mlp, Qwen72B)
        {
            Head = new("score.2 · ReLU(score.0 · h) to two logits at each step's token; softmax", Vllm),
        },
        new("Qwen/Qwen2.5-Math-PRM-7B", "qwen2", Mlp, new(28, 3584, 28, 4, "config.json of Qwen/Qwen2.5-Math-7B"))
        {
            Head = new("score.2 · ReLU(score.0 · h) to two logits at each step's token; softmax", Vllm),
        },
        Steps("1.5B", new(28, 1536, 12, 2, "config.json of Qwen/Qwen2.5-Math-1.5B")),
        Steps("7B", new(28, 3584, 28, 4, "config.json of Qwen/Qwen2.5-Math-7B")),
        new("openbmb/UltraRM-13b", "llama", "regression_head.weight", null)
        {
            Head = new("regression_head · h", RewardBench + "/openbmb.py"),
            Reads = new("the last token of the mask", RewardBench + "/openbmb.py"),
        },
        new("openbmb/Eurus-RM-7b", "mistral", "regression_head.weight", null)
        {
            Head = new("regression_head · h", RewardBench + "/openbmb.py"),
        },
        new("berkeley-nest/Starling-RM-7B-alpha", "llama", "v_head.weight", null)
        {
            Head = new("v_head · h", RewardBench + "/starling.py"),
        },
        new("PKU-Alignment/beaver-7b-v1.0-reward", "llama", "score_head.weight", null)
        {
            Head = new("score_head · h", RewardBench + "/beaver.py"),
        },
    ];

    /// <summary>Returns the models that a checkpoint may be, by its shape and its head; empty if none is known.</summary>
    public static IReadOnlyList<KnownModel> Matching(Checkpoint checkpoint) => [.. All.Where(model => model.Fits(checkpoint))];

    private static KnownModel Skywork(string name, string type, BackboneShape shape, (double Right, double Wrong, string Source)? scores) =>
        new($"Skywork/{name}", type, Linear, shape)
        {
            Head = LinearHead, Reads = Rightmost, Template = NoBos, License = SkyworkLicense,
            Examples = scores is var (right, wrong, source)
                ? Pair(PublishedTexts.ApplesRight, right, PublishedTexts.ApplesWrong, wrong, PublishedPrecision.Bf16, source) : [],
        };

    private static KnownModel Version2(
        string name, string type, BackboneShape shape, string? license, (double Right, double Wrong, string Source)? scores = null) =>
        new($"Skywork/Skywork-Reward-V2-{name}", type, Linear, shape)
        {
            Head = LinearHead, Reads = Rightmost,
            License = license is null ? null : new PublishedFact(license, $"model card of Skywork/Skywork-Reward-V2-{name}"),
            Examples = scores is var (right, wrong, source)
                ? Pair(PublishedTexts.ApplesRight, right, PublishedTexts.ApplesWrong, wrong, PublishedPrecision.Bf16, source) : [],
        };

    private static KnownModel Grm(string name, string type, BackboneShape shape) =>
        new($"Ray2333/{name}", type, "v_head.summary.0.weight", shape)
        {
            Head = new PublishedFact("v_head.summary.2 · ReLU(v_head.summary.0 · h)", RewardBench + "/grm.py"),
            Reads = new PublishedFact("the last token", RewardBench + "/grm.py"),
        };

    private static KnownModel Intern(string size, BackboneShape shape, (double Known, double Unknown)? scores) =>
        new($"internlm/internlm2-{size}-reward", "internlm2", "v_head.weight", shape)
        {
            Head = new PublishedFact("v_head · h at the reward token, which is appended to the text", RewardBench + "/internlm.py"),
            Reads = new PublishedFact("the last token of the mask", RewardBench + "/internlm.py"),
            License = new PublishedFact("other (InternLM)", InternLm),
            Examples = scores is var (known, unknown)
                ? Pair(PublishedTexts.NameKnown, known, PublishedTexts.NameUnknown, unknown, PublishedPrecision.Fp16, InternLm) : [],
        };

    private static KnownModel World(string name, (double Tips, double Pills)? scores) => new($"Qwen/{name}", "qwen2", Mlp, Qwen72B)
    {
        Head = MlpHead, License = QwenLicense, Template = new PublishedFact("Qwen2's, with an empty system message", WorldPm),
        // The card does not say in which type it ran.
        Examples = scores is var (tips, pills)
            ? Pair(PublishedTexts.SleepTips, tips, PublishedTexts.SleepPills, pills, PublishedPrecision.Bf16, WorldPm) : [],
    };

    private static KnownModel Steps(string size, BackboneShape shape) =>
        new($"Skywork/Skywork-o1-Open-PRM-Qwen-2.5-{size}", "qwen2", "v_head.summary.weight", shape)
        {
            Head = new PublishedFact(
                "sigmoid(v_head.summary · h + bias) at each step's end", "github.com/SkyworkAI/skywork-o1-prm-inference, model_utils"),
        };

    private static PublishedScore[] Pair(
        Conversation better, double high, Conversation worse, double low, PublishedPrecision precision, string source) =>
        [new(better, high, precision, source), new(worse, low, precision, source)];
}
