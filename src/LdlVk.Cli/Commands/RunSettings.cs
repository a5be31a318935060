using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using LdlVk.Cli.Options;
using LdlVk.Datasets.Resuming;
using LdlVk.Runtime.Formatting;
using LdlVk.Runtime.Model;

namespace LdlVk.Cli.Commands;

/// <summary>
/// All settings that results depend on, as they are used: "auto" is replaced by what it stands for on this machine now. Runs with equal
/// settings give bitwise equal results.
/// </summary>
/// <param name="Text">The settings in one line.</param>
/// <param name="Options">The options with those settings, so that loading cannot choose others.</param>
/// <param name="Devices">The devices in <paramref name="Text"/>.</param>
/// <param name="Identity">What decides whether results may stand in one file.</param>
internal sealed record RunSettings(string Text, RewardModelOptions Options, string Devices, RunIdentity Identity)
{
    /// <summary>Flags that do not change a result, or that <see cref="Text"/> has as they are used.</summary>
    private static readonly string[] Known =
    [
        "--model", "--adapter", "--device", "--kernels", "--split", "--memory", "--weights", "--compute", "--head", "--heads",
        "--aggregate", "--step-separator", "--embedding-scale",
        "--chat-template", "--system", "--date", "--batch-tokens", "--truncate", "--no-share-prefixes", "--prompt-cache",
        "--prompt-cache-host", "--no-tune", "--dry-run",
        "--trace-events", "--quiet", "--prompt", "--response", "--input", "--output", "--resume", "--shard", "--details", "--trace",
        "--show-text", "--report", "--json", "--any-machine",
    ];

    private const string Plus = " + ";

    /// <summary>Returns the settings of a call. Plans the model, and reads its files in part, but does not load it.</summary>
    /// <exception cref="CheckpointException">The model is damaged or not supported.</exception>
    public static RunSettings Of(ParseResult call, ModelFlags flags, bool details)
    {
        string folder = call.GetValue(flags.Model)!;
        if (folder.Length == 0) throw new UsageException("--model is empty. Give the folder of the model.");
        RewardModelOptions options = flags.Read(call);
        using Checkpoint checkpoint = Checkpoint.Open(folder, options.Adapter, options.Head);
        ExecutionPlan plan = RewardModel.MakePlan(checkpoint, options);
        string template = TemplateOf(checkpoint.TextFolder, options);
        string devices = Describe(plan);
        options = options with { Weights = plan.Weights };
        // Several devices are named as they are. Their order and their memory limits belong together.
        if (!options.Device.Contains(',', StringComparison.Ordinal))
            options = options with { Device = string.Join(',', plan.Stages.Select(stage => stage.Device.Id)) };
        // Devices of one kind give the same bits wherever the model is divided.
        if (devices.Contains(Plus, StringComparison.Ordinal) && options.Device.Split(',').Length == plan.Stages.Count)
            options = options with { Split = [.. plan.Stages.Select(stage => stage.Layers.Count)] };
        string model = $"model {checkpoint.Fingerprint()[..32]}{(checkpoint.AdapterFolder is null ? "" : " with an adapter")}, ";
        string settings =
            $"weights {Name(plan.Weights)}, "
            + $"{(options.Head is null ? "" : $"head {options.Head}, ")}heads {Name(options.Heads)}, {Steps(checkpoint, options)}"
            + $"compute {(options.Compute == ComputeMode.Auto ? "floating point" : Readable.Name(options.Compute))}, "
            + $"embedding scale {(checkpoint.RoundsEmbeddingScale(options.EmbeddingScale) ? "bf16" : "exact")}, template {template}, "
            + $"{(options.SystemMessages == SystemMessages.Merge ? "system messages merged, " : "")}"
            + $"{(options.Truncate ? "truncated" : "not truncated")}, {(details ? "details" : "no details")}{Others(call)}";
        string text = $"ldlvk {Version()}, {model}device {devices}, {settings}";
        return new RunSettings(text, options, devices, new RunIdentity(text, model + settings, Drivers(plan)));
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

    /// <summary>Checks that a loaded model has these settings.</summary>
    /// <exception cref="UsageException">It has others, because devices have changed meanwhile.</exception>
    public void Check(RewardModel model)
    {
        string devices = Describe(model.Plan);
        if (devices != Devices || model.Weights != Options.Weights)
            throw new UsageException(
                $"The devices changed while the model was loaded: device {devices}, weights {Name(model.Weights)} instead of {Text}. "
                + "Run the same command again.");
    }

    /// <summary>Describes what decides the bits of results: the devices by kind, and their layers if they are of several kinds.</summary>
    private static string Describe(ExecutionPlan plan)
    {
        string[] devices = [.. plan.Stages.Select(stage => Describe(stage.Device))];
        if (devices.Distinct().Count() == 1) return devices[0];
        return string.Join(
            Plus, plan.Stages.Select((stage, i) => $"{devices[i]} layers {stage.Layers.First} to {stage.Layers.End - 1}"));
    }

    /// <summary>The drivers of devices whose bits depend on them: a driver compiles the kernels.</summary>
    private static string Drivers(ExecutionPlan plan) => string.Join(Plus, plan.Stages.Select(stage => stage.Device)
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

    /// <summary>Describes the flags that are given and not known here, such as those that say how items are read.</summary>
    private static string Others(ParseResult call)
    {
        IEnumerable<OptionResult> given = call.CommandResult.Command.Options.Where(option => !Known.Contains(option.Name))
            .Select(call.GetResult).OfType<OptionResult>().Where(result => !result.Implicit);
        return string.Concat(given.OrderBy(result => result.Option.Name, StringComparer.Ordinal)
            .Select(result => $", {result.Option.Name} {string.Join(' ', result.Tokens.Select(token => token.Value))}".TrimEnd()));
    }

    private static string Name(WeightFormat format) => format.ToString().ToLower(CultureInfo.InvariantCulture);

    /// <summary>The version without the commit.</summary>
    public static string? Version() =>
        typeof(RunSettings).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0];
}
