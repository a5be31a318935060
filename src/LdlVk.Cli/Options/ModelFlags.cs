using System.CommandLine;
using System.Globalization;
using LdlVk.Cli.Output;

namespace LdlVk.Cli.Options;

/// <summary>The flags of every command that loads a model.</summary>
internal sealed class ModelFlags
{
    private const string Computes = "auto|fp16|int8";

    /// <summary>--model.</summary>
    public Option<string> Model { get; } = CreateModel();

    /// <summary>--quiet.</summary>
    public Option<bool> Quiet { get; } = CreateQuiet();

    /// <summary>--dry-run.</summary>
    public Option<bool> DryRun { get; } = new("--dry-run") { Description = "Show which layers would go to which device, and what that takes; load and score nothing." };

    /// <summary>--trace-events.</summary>
    public Option<string?> TraceEvents { get; } = new("--trace-events")
    {
        Description = "Write a timeline of what each device did when, in the format of chrome://tracing and Perfetto.",
        HelpName = "FILE",
    };

    private readonly Option<string> _device = CreateDevices();
    private readonly Option<string?> _split = new("--split") { Description = "Layers of each device of --device, as 20,26 [default: by their memory and speed].", HelpName = "N,…" };
    private readonly Option<string?> _memory = CreateMemory();
    private readonly Option<string> _weights = Choice("--weights", "auto|fp32|fp16|int8|int4",
        "Format of the layers' weights in the device's memory. auto: what the checkpoint holds (fp16 for bf16) if that fits, else int8; a converted folder has its own alone.");
    private readonly Option<string> _compute = CreateCompute();
    private readonly Option<string> _heads = CreateHeads();
    private readonly Option<string> _embeddingScale = Choice("--embedding-scale", "auto|exact|bf16",
        "Factor of the embeddings: exact √hidden, or rounded to bf16 as a bf16 run of the original has it. auto: bf16 for bf16 checkpoints, else exact.");
    private readonly Option<string> _chatTemplate = CreateChatTemplate();
    private readonly Option<string?> _batchTokens = CreateBatchTokens();
    private readonly Option<bool> _truncate = new("--truncate") { Description = "Drop tokens from the middle of a text that is longer than the model takes. Otherwise such a text is an error." };
    private readonly Option<bool> _noSharePrefixes = new("--no-share-prefixes") { Description = "Compute the common beginning of texts anew for each. The scores are the same; this is slower, and for measuring." };

    private readonly Option<bool> _noTune = new("--no-tune") { Description = "Do not look for fast tiles, about a second when a model first meets a real GPU and its driver. The scores are the same." };

    /// <summary>--model, also for commands that read only a part of it.</summary>
    public static Option<string> CreateModel() => new("--model")
    {
        Description = "Folder of the model: config.json, safetensors, regression_layer.pt, gating_layer.pt, tokenizer.json; or one made by ldlvk convert. Nothing is downloaded.",
        HelpName = "DIR",
        Required = true,
    };

    /// <summary>--quiet.</summary>
    public static Option<bool> CreateQuiet() => new("--quiet") { Description = "No progress, notes or summary on standard error; errors still." };

    /// <summary>--device, of commands that use several.</summary>
    public static Option<string> CreateDevices() => Choice("--device", "auto|cpu|vulkan|vulkan:N|…,…",
        "Where to run. auto: the best GPU on which the model fits, all GPUs if it fits on none, or the CPU where there is none; never a software driver. vulkan: the best Vulkan device. Several, as vulkan:0,vulkan:1, have a part of the layers each. See ldlvk devices.");

    /// <summary>--device, of commands that use one.</summary>
    public static Option<string> CreateDevice() => Choice("--device", "auto|cpu|vulkan|vulkan:N",
        "Where to run. auto: the best GPU, else the CPU; never a software driver. vulkan: the best Vulkan device. See ldlvk devices.");

    /// <summary>--memory.</summary>
    public static Option<string?> CreateMemory() => new("--memory")
    {
        Description = "Device memory to use at most, as 8GiB, or one figure for each device [default: what is free]. Layers for which there is no room are brought to the device when their turn comes; scores are the same.",
        HelpName = "SIZE,…",
    };

    /// <summary>--compute.</summary>
    public static Option<string> CreateCompute() => Choice("--compute", Computes,
        "How the layers' products are computed. auto, also called fp16: operands in halves and sums in fp32 on matrix units, where the device has them and the weights are not fp32, else all in fp32. int8: products of bytes (W8A8) with int8 or int4 weights, for GPUs that are faster at them; says how far the first scores are off.");

    /// <summary>--heads.</summary>
    public static Option<string> CreateHeads() => Choice("--heads", "fp32|fp16|int8", "Format of the two heads' weights. They are small and published in fp32.");

    private static string ChatTemplates => string.Join('|', TextEncoder.ChatTemplates);

    /// <summary>--chat-template.</summary>
    public static Option<string> CreateChatTemplate() => Choice("--chat-template", ChatTemplates,
        "How messages become text. auto: as the checkpoint says; none: the contents one after another behind the token with which texts begin; else as models of that name do.");

    /// <summary>--batch-tokens.</summary>
    public static Option<string?> CreateBatchTokens() => new("--batch-tokens")
    {
        Description = "Tokens computed at a time [default: 4096]. It changes speed and memory, never a score.",
        HelpName = "N",
    };

    /// <summary>Adds the flags that a plan depends on to a command.</summary>
    public void AddPlanTo(Command command)
    {
        Option[] all = [_device, _split, _memory, _weights, _compute, _heads, _batchTokens];
        foreach (Option option in all) command.Options.Add(option);
    }

    /// <summary>Adds the flags that a <see cref="ModelSetting"/> may set.</summary>
    public void AddSettingsTo(Command command)
    {
        AddPlanTo(command);
        command.Options.Add(_embeddingScale);
    }

    /// <summary>Adds all of these flags to a command.</summary>
    public void AddTo(Command command)
    {
        Option[] all = [Model, _device, _split, _memory, _weights, _compute, _heads, _embeddingScale, _chatTemplate, _batchTokens, _truncate, _noSharePrefixes, _noTune, DryRun, TraceEvents, Quiet];
        foreach (Option option in all) command.Options.Add(option);
    }

    /// <summary>Shows the plan, if --dry-run asks for that alone.</summary>
    /// <returns>Whether it did.</returns>
    public bool ShowPlan(ParseResult call, Terminal terminal)
    {
        if (!call.GetValue(DryRun)) return false;
        ExecutionPlan plan = RewardModel.MakePlan(call.GetValue(Model)!, Read(call));
        using Screen screen = new(terminal);
        PlanReport.Show(plan, screen);
        return true;
    }

    /// <summary>What the flags ask for.</summary>
    /// <exception cref="UsageException">A value is not one of those that there are.</exception>
    public RewardModelOptions Read(ParseResult call)
    {
        string weights = OneOf(call, _weights, "auto|fp32|fp16|int8|int4");
        return new RewardModelOptions
        {
            Device = call.GetValue(_device)!,
            Split = ReadSplit(call),
            Memory = ReadMemory(call, _memory),
            Weights = weights == "auto" ? null : Format(weights),
            Compute = ReadCompute(call, _compute),
            MeasureComputeError = !call.GetValue(Quiet),
            Heads = ReadHeads(call, _heads),
            EmbeddingScale = OneOf(call, _embeddingScale, "auto|exact|bf16") switch
            {
                "exact" => EmbeddingScale.Exact,
                "bf16" => EmbeddingScale.Bf16,
                _ => EmbeddingScale.Auto,
            },
            ChatTemplate = ReadChatTemplate(call, _chatTemplate),
            BatchTokens = ReadBatchTokens(call, _batchTokens),
            Truncate = call.GetValue(_truncate),
            SharePrefixes = !call.GetValue(_noSharePrefixes),
            Tune = !call.GetValue(_noTune),
        };
    }

    /// <summary>Value of --memory: sizes as 8GiB, 500MB or bytes.</summary>
    public static IReadOnlyList<long> ReadMemory(ParseResult call, Option<string?> memory)
    {
        if (call.GetValue(memory) is not { } text) return [];
        return [.. text.Split(',').Select(part => Size(part.Trim()) ?? throw new UsageException($"--memory {text}: \"{part}\" is no size. Give one such as 8GiB, 500MB or 2000000000, or one for each device with commas between them."))];
    }

    private static long? Size(string text)
    {
        (string Unit, double Bytes)[] units =
            [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1L << 40), ("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12), ("B", 1), ("", 1)];
        (string unit, double bytes) = units.First(u => text.EndsWith(u.Unit, StringComparison.OrdinalIgnoreCase));
        return double.TryParse(text.AsSpan(0, text.Length - unit.Length), NumberStyles.AllowDecimalPoint | NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture, out double number)
            && number * bytes is >= 1 and < long.MaxValue ? (long)(number * bytes) : null;
    }

    private int[]? ReadSplit(ParseResult call)
    {
        if (call.GetValue(_split) is not { } text) return null;
        return [.. text.Split(',').Select(part => int.TryParse(part.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out int layers)
            ? layers : throw new UsageException($"--split {text}: \"{part}\" is no number of layers. Give one for each device, such as --device vulkan:0,vulkan:1 --split 20,26."))];
    }

    /// <summary>Value of --compute; fp16 names what auto does.</summary>
    public static ComputeMode ReadCompute(ParseResult call, Option<string> compute) => OneOf(call, compute, Computes) == "int8" ? ComputeMode.Int8 : ComputeMode.Auto;

    /// <summary>Value of --heads.</summary>
    public static WeightFormat ReadHeads(ParseResult call, Option<string> heads) => Format(OneOf(call, heads, "fp32|fp16|int8"));

    /// <summary>Value of --chat-template.</summary>
    public static string ReadChatTemplate(ParseResult call, Option<string> template) => OneOf(call, template, ChatTemplates);

    /// <summary>Value of --batch-tokens.</summary>
    public static int ReadBatchTokens(ParseResult call, Option<string?> batchTokens)
    {
        if (call.GetValue(batchTokens) is not { } text) return RewardModelOptions.DefaultBatchTokens;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int tokens) && tokens > 0
            ? tokens : throw new UsageException($"--batch-tokens {text}: give a whole number from 1 to {int.MaxValue}.");
    }

    private static Option<string> Choice(string name, string values, string description) =>
        new(name) { Description = description, HelpName = values, DefaultValueFactory = _ => values[..values.IndexOf('|', StringComparison.Ordinal)] };

    private static string OneOf(ParseResult call, Option<string> option, string values)
    {
        // A command that has not this flag means its default.
        string value = call.GetValue(option) ?? values[..values.IndexOf('|', StringComparison.Ordinal)];
        return values.Split('|').Contains(value, StringComparer.Ordinal)
            ? value : throw new UsageException($"{option.Name} {value}: there is only {values.Replace("|", ", ", StringComparison.Ordinal)}.");
    }

    private static WeightFormat Format(string name) => name switch
    {
        "fp32" => WeightFormat.Fp32,
        "fp16" => WeightFormat.Fp16,
        "int8" => WeightFormat.Int8,
        _ => WeightFormat.Int4,
    };
}
