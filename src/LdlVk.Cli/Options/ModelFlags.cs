using System.CommandLine;
using LdlVk.Cli.Output;

namespace LdlVk.Cli.Options;

/// <summary>The flags of every command that loads a model.</summary>
internal sealed class ModelFlags
{
    /// <summary>--model.</summary>
    public Option<string> Model { get; } = CreateModel();

    /// <summary>--adapter.</summary>
    public Option<string?> Adapter { get; } = CreateAdapter();

    /// <summary>--quiet.</summary>
    public Option<bool> Quiet { get; } = CreateQuiet();

    /// <summary>--dry-run.</summary>
    public Option<bool> DryRun { get; } = new("--dry-run")
    {
        Description = "Show the placement of the layers on the devices and the memory they need; load and score nothing.",
    };

    /// <summary>--trace-events.</summary>
    public Option<string?> TraceEvents { get; } = new("--trace-events")
    {
        Description = "Write a timeline of the work of each device, in the format of chrome://tracing and Perfetto.",
        HelpName = "FILE",
    };

    private readonly Option<string> _device = DeviceFlags.CreateDevices();
    private readonly Option<string> _kernels = DeviceFlags.CreateKernels();
    private readonly Option<string?> _split = new("--split")
    {
        Description = "Number of layers on each device of --device, such as 20,26 [default: by their memory and speed].",
        HelpName = "N,…",
    };
    private readonly Option<string?> _memory = CreateMemory();
    private readonly Option<string> _weights = Choice("--weights", ModelValues.WeightFormats,
        "Format of the layers' weights in the device's memory. "
        + "auto: that of the checkpoint (fp16 for bf16) if it fits, else int8. A converted folder has only its own format.");
    private readonly Option<string> _compute = CreateCompute();
    private readonly Option<string> _heads = CreateHeads();
    private readonly Option<string> _embeddingScale = Choice("--embedding-scale", ModelValues.EmbeddingScales,
        "Factor of the embeddings: exact √hidden, or rounded to bf16 as in a bf16 run of the original. "
        + "auto: bf16 for bf16 checkpoints, else exact.");
    private readonly HeadFlags _head = new();
    private readonly TemplateFlags _template = new();
    private readonly SpeedFlags _speed = new();
    private readonly Option<bool> _truncate = new("--truncate")
    {
        Description = "Drop tokens from the middle of a text that exceeds the model's limit. Without this flag, such a text is an error.",
    };
    private readonly Option<string> _foreignMarkers = Choice("--foreign-markers", "warn|refuse",
        "What happens to texts with markers of another model's chat template, such as <|im_start|> for Gemma.");

    /// <summary>--model, also for commands that read only a part of it.</summary>
    public static Option<string> CreateModel() => new("--model")
    {
        Description =
            "Folder of the model: config.json, safetensors or pytorch_model.bin, tokenizer.json or tokenizer.model, and files of heads; "
            + "one made by ldlvk convert; or a PEFT adapter's, if its base model lies where it says, or beside it. Nothing is downloaded.",
        HelpName = "DIR",
        Required = true,
    };

    /// <summary>--adapter.</summary>
    public static Option<string?> CreateAdapter() =>
        new("--adapter") { Description = "Folder of a PEFT adapter (LoRA, rsLoRA) that changes the model.", HelpName = "DIR" };

    /// <summary>--quiet.</summary>
    public static Option<bool> CreateQuiet() =>
        new("--quiet") { Description = "No progress, notes or summary on standard error; errors still." };

    /// <summary>--memory.</summary>
    public static Option<string?> CreateMemory() => new("--memory")
    {
        Description =
            "Maximum device memory, such as 8GiB, or one value for each device [default: the free memory]. "
            + "Layers that do not fit are streamed to the device when they are needed; the scores are the same.",
        HelpName = "SIZE,…",
    };

    /// <summary>--compute.</summary>
    public static Option<string> CreateCompute() => Choice("--compute", ModelValues.Computes,
        "How the layers' products are computed. "
        + "auto, also called fp16: fp16 operands and fp32 sums on matrix units, "
        + "if the device has them and the weights are not fp32; otherwise fp32. "
        + "fp16x: as auto, with sums in fp16 over 32 products, for GPUs on which those are faster, such as GeForce cards; "
        + "with fp16, int8 or int4 weights. "
        + "int8: int8 products (W8A8) with int8 or int4 weights, for GPUs on which they are faster. "
        + "fp16x and int8 report the error of the first scores.");

    /// <summary>--heads.</summary>
    public static Option<string> CreateHeads() =>
        Choice("--heads", ModelValues.HeadFormats, "Format of the two heads' weights. They are small and published in fp32.");

    /// <summary>Adds the flags that a plan depends on to a command.</summary>
    public void AddPlanTo(Command command)
    {
        Option[] all = [Adapter, _device, _kernels, _split, _memory, _weights, _compute, _head.Head, _heads, _speed.BatchTokens];
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
        Option[] all =
        [
            Model, Adapter, _device, _kernels, _split, _memory, _weights, _compute, _head.Head, _heads, _embeddingScale,
            _speed.BatchTokens, _truncate, _foreignMarkers, DryRun, TraceEvents, Quiet,
        ];
        foreach (Option option in all) command.Options.Add(option);
        _speed.AddTo(command);
        _head.AddTo(command);
        _template.AddTo(command);
    }

    /// <summary>Shows the plan if --dry-run is given.</summary>
    /// <returns>Whether it showed the plan.</returns>
    public bool ShowPlan(ParseResult call, Terminal terminal)
    {
        if (!call.GetValue(DryRun)) return false;
        using Screen screen = new(terminal);
        PlanReport.Show(RewardModel.MakePlan(call.GetValue(Model)!, Read(call)), screen);
        return true;
    }

    /// <summary>Returns the options that the flags specify.</summary>
    /// <exception cref="UsageException">A value is invalid.</exception>
    public RewardModelOptions Read(ParseResult call)
    {
        string weights = ModelValues.OneOf(call, _weights, ModelValues.WeightFormats);
        return _head.Read(call, _speed.Read(call, new RewardModelOptions
        {
            Device = call.GetValue(_device)!,
            Kernels = ModelValues.Kernels(call, _kernels),
            Adapter = ModelValues.Adapter(call, Adapter),
            Split = ModelValues.Split(call, _split),
            Memory = ModelValues.Memory(call, _memory),
            Weights = weights == "auto" ? null : ModelValues.Format(weights),
            Compute = ModelValues.Compute(call, _compute),
            MeasureComputeError = !call.GetValue(Quiet),
            Heads = ModelValues.Heads(call, _heads),
            EmbeddingScale = ModelValues.OneOf(call, _embeddingScale, ModelValues.EmbeddingScales) switch
            {
                "exact" => EmbeddingScale.Exact,
                "bf16" => EmbeddingScale.Bf16,
                _ => EmbeddingScale.Auto,
            },
            ChatTemplate = _template.Name(call),
            SystemMessages = _template.OfSystem(call),
            TemplateDate = _template.Date(call),
            Truncate = call.GetValue(_truncate),
            ForeignMarkers = ModelValues.OneOf(call, _foreignMarkers, "warn|refuse") == "refuse" ? ForeignMarkers.Refuse : default,
        }));
    }

    /// <summary>A flag with a fixed set of values, separated by |; the first is the default.</summary>
    public static Option<string> Choice(string name, string values, string description) =>
        new(name)
        {
            Description = description,
            HelpName = values,
            DefaultValueFactory = _ => values[..values.IndexOf('|', StringComparison.Ordinal)],
        };
}
