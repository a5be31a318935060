namespace LdlVk;

/// <summary>
/// An option that a <see cref="Notice"/> names. It has its name in C#; each surface words it as its users know it: the command line as a
/// flag, the server as a field. It is a ref struct so that it does not compile in a plain string, where it could not be worded any more.
/// </summary>
/// <param name="name">Name of the property that sets it, such as <c>BatchTokens</c>.</param>
/// <param name="value">Values that would help, as a person would list them; empty to name the option alone.</param>
public readonly ref struct OptionName(string name, string value = "")
{
    /// <summary>Name of the property that sets it.</summary>
    public string Name => name;

    /// <summary>Values that would help; empty to name the option alone.</summary>
    public string Value => value;

    /// <summary>Format of the weights.</summary>
    public static OptionName Weights => new(nameof(Weights));

    /// <summary>Folder of a PEFT adapter.</summary>
    public static OptionName Adapter => new(nameof(Adapter));

    /// <summary>Format of the heads' weights.</summary>
    public static OptionName Heads => new(nameof(Heads));

    /// <summary>The head, where a model has several.</summary>
    public static OptionName Head => new(nameof(Head));

    /// <summary>What separates the steps of a response.</summary>
    public static OptionName StepSeparator => new(nameof(StepSeparator));

    /// <summary>How the scores of steps become one.</summary>
    public static OptionName StepAggregation => new(nameof(StepAggregation));

    /// <summary>How products are computed.</summary>
    public static OptionName Compute => new(nameof(Compute));

    /// <summary>Tokens of a micro-batch.</summary>
    public static OptionName BatchTokens => new(nameof(BatchTokens));

    /// <summary>The size of the prompt cache.</summary>
    public static OptionName PromptCache => new(nameof(PromptCache));

    /// <summary>The size of the prompt cache's part in host memory.</summary>
    public static OptionName PromptCacheHost => new(nameof(PromptCacheHost));

    /// <summary>The devices.</summary>
    public static OptionName Device => new(nameof(Device));

    /// <summary>Which kernels a Vulkan device runs.</summary>
    public static OptionName Kernels => new(nameof(Kernels));

    /// <summary>Memory to use at most.</summary>
    public static OptionName Memory => new(nameof(Memory));

    /// <summary>Layers of each device.</summary>
    public static OptionName Split => new(nameof(Split));

    /// <summary>Whether long texts lose tokens.</summary>
    public static OptionName Truncate => new(nameof(Truncate));

    /// <summary>Whether the first use of a device looks for fast tiles.</summary>
    public static OptionName Tune => new(nameof(Tune));

    /// <summary>The chat template.</summary>
    public static OptionName ChatTemplate => new(nameof(ChatTemplate));

    /// <summary>The date that the chat template prints.</summary>
    public static OptionName TemplateDate => new(nameof(TemplateDate));

    /// <summary>What happens to texts with markers of another template.</summary>
    public static OptionName ForeignMarkers => new(nameof(ForeignMarkers));

    /// <summary>Treatment of system messages where the template has no system role.</summary>
    public static OptionName SystemMessages => new(nameof(SystemMessages));

    /// <summary>This option with values that would help.</summary>
    public OptionName Of(string values) => new(name, values);
}
