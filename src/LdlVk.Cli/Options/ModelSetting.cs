using System.CommandLine;

namespace LdlVk.Cli.Options;

/// <summary>A setting of a model, such as <c>weights=int4,device=vulkan:0</c>, which overrides the other flags.</summary>
/// <param name="Name">The setting as given on the command line.</param>
/// <param name="Folder">The model's folder.</param>
/// <param name="Options">The options of the model.</param>
internal sealed record ModelSetting(string Name, string Folder, RewardModelOptions Options)
{
    private const string Keys =
        "model, adapter, device, kernels, weights, compute, head, heads, embedding-scale, memory, split or batch-tokens";

    /// <summary>Reads a setting.</summary>
    /// <param name="flag">Name of the flag, for messages.</param>
    /// <param name="text">Its value: KEY=VALUE, separated by commas. A value may itself contain commas, such as a list of devices.</param>
    /// <param name="folder">The folder, if the setting has none.</param>
    /// <param name="common">The options that the setting does not override.</param>
    /// <exception cref="UsageException">There is no such key or value.</exception>
    public static ModelSetting Parse(string flag, string text, string folder, RewardModelOptions common)
    {
        Dictionary<string, string> values = new(StringComparer.Ordinal);
        string? key = null;
        foreach (string part in text.Split(','))
        {
            int equals = part.IndexOf('=', StringComparison.Ordinal);
            if (equals < 0 && key is null) throw new UsageException($"{flag} {text}: give KEY=VALUE, with a KEY of {Keys}.");
            if (equals < 0) values[key!] += $",{part}";
            else if (!values.TryAdd(key = part[..equals].Trim(), part[(equals + 1)..]))
                throw new UsageException($"{flag} {text}: {key} is given twice.");
        }

        if (values.Remove("model", out string? model)) folder = model;
        return new ModelSetting(text, folder, Over(common, values, $"{flag} {text}"));
    }

    private static RewardModelOptions Over(RewardModelOptions common, Dictionary<string, string> values, string given)
    {
        // The flags parse the values, so that their meaning and errors are the same.
        ModelFlags flags = new();
        Command command = new("setting");
        flags.AddSettingsTo(command);
        string? unknown = values.Keys.FirstOrDefault(k => !command.Options.Any(o => o.Name == $"--{k}"));
        if (unknown is not null) throw new UsageException($"{given}: there is no setting \"{unknown}\"; there is {Keys}.");
        RewardModelOptions set = flags.Read(command.Parse([.. values.Select(v => $"--{v.Key}={v.Value}")]));
        return common with
        {
            Adapter = values.ContainsKey("adapter") ? set.Adapter : common.Adapter,
            Device = values.ContainsKey("device") ? set.Device : common.Device,
            Kernels = values.ContainsKey("kernels") ? set.Kernels : common.Kernels,
            Weights = values.ContainsKey("weights") ? set.Weights : common.Weights,
            Compute = values.ContainsKey("compute") ? set.Compute : common.Compute,
            Head = values.ContainsKey("head") ? set.Head : common.Head,
            Heads = values.ContainsKey("heads") ? set.Heads : common.Heads,
            EmbeddingScale = values.ContainsKey("embedding-scale") ? set.EmbeddingScale : common.EmbeddingScale,
            Memory = values.ContainsKey("memory") ? set.Memory : common.Memory,
            Split = values.ContainsKey("split") ? set.Split : common.Split,
            BatchTokens = values.ContainsKey("batch-tokens") ? set.BatchTokens : common.BatchTokens,
            // fidelity measures the error of all texts, not only of the first ones.
            MeasureComputeError = false,
        };
    }
}
