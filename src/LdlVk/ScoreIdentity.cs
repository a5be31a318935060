using System.Globalization;
using System.Runtime.InteropServices;
using LdlVk.Runtime.Formatting;
using LdlVk.Runtime.Model;

namespace LdlVk;

/// <summary>
/// What a score depends on beside its text and the version of LdlVk. With equal identities equal texts have the same bits; with equal
/// <see cref="Settings"/> on other devices scores may differ in their last bits; others cannot be compared.
/// </summary>
/// <param name="Fingerprint">
/// The first 32 hexadecimal digits of the fingerprint of the model's files, which a copy in another folder has too.
/// </param>
/// <param name="Model">The model in words: its fingerprint, and whether it has an adapter.</param>
/// <param name="Options">All options as they are used, in one line.</param>
/// <param name="Devices">The devices by kind, and their layers if they are of several kinds.</param>
/// <param name="Drivers">The drivers of devices whose bits depend on them: a driver compiles the kernels. Empty for the CPU.</param>
public sealed record ScoreIdentity(string Fingerprint, string Model, string Options, string Devices, string Drivers)
{
    private const string Plus = " + ";

    /// <summary>The model and the options in one line.</summary>
    public string Settings => $"{Model}, {Options}";

    /// <summary>Whether the devices are of several kinds, so that scores depend on where the model is divided.</summary>
    public bool IsOfSeveralKinds => Devices.Contains(Plus, StringComparison.Ordinal);

    /// <summary>Returns the identity of a model that runs by a plan. Reads the model's files in part.</summary>
    /// <exception cref="CheckpointException">The model's text files are damaged or not supported.</exception>
    public static ScoreIdentity Of(Checkpoint checkpoint, RewardModelOptions options, ExecutionPlan plan)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(plan);
        string fingerprint = checkpoint.Fingerprint()[..32];
        string model = $"model {fingerprint}{(checkpoint.AdapterFolder is null ? "" : " with an adapter")}";
        string used =
            $"weights {Name(plan.Weights)}, "
            + $"{(options.Head is null ? "" : $"head {options.Head}, ")}heads {Name(options.Heads)}, {Steps(checkpoint, options)}"
            + $"compute {(options.Compute == ComputeMode.Auto ? "floating point" : Readable.Name(options.Compute))}, "
            + $"embedding scale {(checkpoint.RoundsEmbeddingScale(options.EmbeddingScale) ? "bf16" : "exact")}, "
            + $"template {TemplateOf(checkpoint.TextFolder, options)}, "
            + $"{(options.SystemMessages == SystemMessages.Merge ? "system messages merged, " : "")}"
            + $"{(options.Truncate ? "truncated" : "not truncated")}";
        return new ScoreIdentity(fingerprint, model, used, Describe(plan), DriversOf(plan));
    }

    /// <summary>Describes what decides the bits of results: the devices by kind, and their layers if they are of several kinds.</summary>
    public static string Describe(ExecutionPlan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        string[] devices = [.. plan.Stages.Select(stage => Describe(stage.Device))];
        if (devices.Distinct().Count() == 1) return devices[0];
        return string.Join(
            Plus, plan.Stages.Select((stage, i) => $"{devices[i]} layers {stage.Layers.First} to {stage.Layers.End - 1}"));
    }

    /// <summary>How steps are found and aggregated, by a model that scores them.</summary>
    private static string Steps(Checkpoint checkpoint, RewardModelOptions options)
    {
        if (checkpoint.Head.StepMarks == StepMarks.None) return "";
        StepAggregation aggregation = options.StepAggregation ?? checkpoint.Head.DefaultAggregation;
        string separator = options.StepSeparator is { } text ? $" separated by {Readable.Quoted(text)}" : "";
        return $"steps{separator} aggregated by {aggregation.ToString().ToLowerInvariant()}, ";
    }

    private static string TemplateOf(string folder, RewardModelOptions options)
    {
        TextEncoder encoder = new(folder, options.ChatTemplate, options.SystemMessages, options.TemplateDate);
        return encoder.HasTokenizer || options.ChatTemplate != "auto" ? encoder.TemplateName : "none";
    }

    private static string DriversOf(ExecutionPlan plan) => string.Join(Plus, plan.Stages.Select(stage => stage.Device)
        .Where(device => device.Kind != DeviceKind.Cpu).Select(device => device.Driver).Distinct());

    /// <summary>
    /// Describes a device without its number and without the version of its driver. The bits of the CPU depend on neither its name nor its
    /// number of threads; those of a GPU on the features that decide which kernels run.
    /// </summary>
    private static string Describe(DeviceInfo device)
    {
        string backend = device.Id.Split(':')[0];
        if (device.Kind == DeviceKind.Cpu) return $"{backend} {RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant()}";
        IEnumerable<string> features = device.Features.Where(feature => !feature.StartsWith("vulkan ", StringComparison.Ordinal));
        return $"{backend} {device.Name} ({string.Join(", ", features)}; {device.Kernels})";
    }

    private static string Name(WeightFormat format) => format.ToString().ToLower(CultureInfo.InvariantCulture);
}
