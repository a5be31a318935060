using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Reflection;
using LdlVk.Cli.Options;
using LdlVk.Datasets.Resuming;
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

    /// <summary>Returns the settings of a call. Plans the model, and reads its files in part, but does not load it.</summary>
    /// <exception cref="CheckpointException">The model is damaged or not supported.</exception>
    public static RunSettings Of(ParseResult call, ModelFlags flags, bool details)
    {
        string folder = call.GetValue(flags.Model)!;
        if (folder.Length == 0) throw new UsageException("--model is empty. Give the folder of the model.");
        RewardModelOptions options = flags.Read(call);
        using Checkpoint checkpoint = Checkpoint.Open(folder, options.Adapter, options.Head);
        ExecutionPlan plan = RewardModel.MakePlan(checkpoint, options);
        ScoreIdentity identity = ScoreIdentity.Of(checkpoint, options, plan);
        string devices = identity.Devices;
        options = options with { Weights = plan.Weights };
        // Several devices are named as they are. Their order and their memory limits belong together.
        if (!options.Device.Contains(',', StringComparison.Ordinal))
            options = options with { Device = string.Join(',', plan.Stages.Select(stage => stage.Device.Id)) };
        // Devices of one kind give the same bits wherever the model is divided.
        if (identity.IsOfSeveralKinds && options.Device.Split(',').Length == plan.Stages.Count)
            options = options with { Split = [.. plan.Stages.Select(stage => stage.Layers.Count)] };
        string settings = $"{identity.Options}, {(details ? "details" : "no details")}{Others(call)}";
        string text = $"ldlvk {Version()}, {identity.Model}, device {devices}, {settings}";
        return new RunSettings(text, options, devices, new RunIdentity(text, $"{identity.Model}, {settings}", identity.Drivers));
    }

    /// <summary>Checks that a loaded model has these settings.</summary>
    /// <exception cref="UsageException">It has others, because devices have changed meanwhile.</exception>
    public void Check(RewardModel model)
    {
        string devices = ScoreIdentity.Describe(model.Plan);
        if (devices != Devices || model.Weights != Options.Weights)
            throw new UsageException(
                $"The devices changed while the model was loaded: device {devices}, weights {Name(model.Weights)} instead of {Text}. "
                + "Run the same command again.");
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
