using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Checkpoints.Adapters;

/// <summary>
/// The folders of a model: that of its weights, that of an adapter, if there is one, and that of its tokenizer and chat template. A folder
/// of an adapter stands for its base model with the adapter, if the base is found where adapter_config.json says, or beside the adapter.
/// </summary>
/// <param name="Base">The folder with config.json and the weights.</param>
/// <param name="Adapter">The folder with adapter_config.json; null for none.</param>
public sealed record ModelFolders(string Base, string? Adapter)
{
    /// <summary>
    /// The folder whose tokenizer and template are used: the adapter's if it has a tokenizer, as its training may have changed it.
    /// </summary>
    public string Text => Adapter is not null && AdapterFolder.HasTokenizer(Adapter) ? Adapter : Base;

    /// <summary>Finds the folder of the tokenizer, for which the base model of an adapter with a tokenizer is not needed.</summary>
    /// <inheritdoc cref="Find"/>
    public static string FindText(string folder, string? adapter = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (adapter is null) return AdapterFolder.HasTokenizer(folder) ? folder : Find(folder).Text;
        AdapterFolder.Require(adapter);
        return AdapterFolder.HasTokenizer(adapter) ? adapter : folder;
    }

    /// <summary>Finds the folders.</summary>
    /// <param name="folder">The folder that the user gave for the model.</param>
    /// <param name="adapter">The folder that the user gave for the adapter; null for none.</param>
    /// <exception cref="CheckpointException">There is no adapter there, or its base model is not found.</exception>
    public static ModelFolders Find(string folder, string? adapter = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (adapter is not null)
        {
            AdapterFolder.Require(adapter);
            if (AdapterFolder.IsAdapter(folder) && Path.GetFullPath(folder) != Path.GetFullPath(adapter))
                throw new CheckpointException(
                    $"{folder} is a folder of an adapter, and {OptionName.Adapter.Of(adapter)} is another. Give the folder of the base "
                    + $"model, and one adapter.");
            return new ModelFolders(folder, adapter);
        }

        if (!AdapterFolder.IsAdapter(folder)) return new ModelFolders(folder, null);
        if (ShardedTensors.HasWeights(folder))
            throw new CheckpointException(
                $"{folder} has the weights of a whole model and those of an adapter. Give {OptionName.Adapter.Of(folder)} too if the "
                + $"adapter changes this model; if it is merged into it already, remove {AdapterConfig.FileName}.");
        return new ModelFolders(AdapterFolder.FindBase(folder), folder);
    }
}

/// <summary>The folder of a PEFT adapter.</summary>
internal static class AdapterFolder
{
    /// <summary>Names of the files with its tensors, in the order in which they are looked for.</summary>
    public static IReadOnlyList<string> WeightNames { get; } = ["adapter_model.safetensors", "adapter_model.bin"];

    /// <summary>Names of the files in which TRL and LLaMA-Factory save a value head beside an adapter.</summary>
    public static IReadOnlyList<string> HeadNames { get; } = [ShardedTensors.ValueHeadName, "value_head.bin"];

    /// <summary>Whether a folder holds an adapter.</summary>
    public static bool IsAdapter(string folder) =>
        File.Exists(Path.Combine(folder, AdapterConfig.FileName)) && WeightNames.Any(name => File.Exists(Path.Combine(folder, name)));

    /// <summary>Whether a folder has a tokenizer of its own.</summary>
    public static bool HasTokenizer(string folder) =>
        File.Exists(Path.Combine(folder, "tokenizer.json")) || File.Exists(Path.Combine(folder, "tokenizer.model"));

    /// <summary>Throws unless a folder holds an adapter.</summary>
    /// <exception cref="CheckpointException">It does not.</exception>
    public static void Require(string folder)
    {
        if (folder.Length == 0) throw new UsageException($"{OptionName.Adapter} is empty. Give the folder of the adapter.");
        if (!Directory.Exists(folder)) throw new CheckpointException($"There is no folder {folder}. Give the folder of a PEFT adapter.");
        if (!File.Exists(Path.Combine(folder, AdapterConfig.FileName)))
            throw new CheckpointException(
                $"{folder} has no {AdapterConfig.FileName}: it is no PEFT adapter. Give the folder that save_pretrained of PEFT wrote.");
    }

    /// <summary>Finds the base model of an adapter.</summary>
    /// <exception cref="CheckpointException">It is not there.</exception>
    public static string FindBase(string folder)
    {
        string? name = JsonFile.Read(Path.Combine(folder, AdapterConfig.FileName), root =>
            root.TryGet("base_model_name_or_path", out JsonField field) ? field.String() : null);
        string full = Path.GetFullPath(folder);
        string? found = name is null or "" ? null : Candidates(full, name).FirstOrDefault(IsModel);
        if (found is null)
        {
            Notice looked = name is null or ""
                ? (Notice)$"{AdapterConfig.FileName} does not say which model it changes."
                : (Notice)$"{AdapterConfig.FileName} says that it changes {Shown.Short(name)}, and no model is there, nor in a folder of "
                    + $"that name beside the adapter.";
            throw new CheckpointException(
                $"{folder} is a PEFT adapter, and its base model is needed. {looked} Give the folder of the base as the model, and "
                + $"{OptionName.Adapter.Of(folder)}. Base models are not downloaded for you.");
        }

        return IsAdapter(found) && !ShardedTensors.HasWeights(found)
            ? throw new CheckpointException(
                $"{folder} is a PEFT adapter of {found}, which is an adapter too. Merge that into its base first. {OtherFolder.Merge}")
            : found;
    }

    /// <summary>
    /// Where a base model may be: at the path itself, from the adapter's folder or from the working folder, and beside the adapter under
    /// its name, or under the last part of it.
    /// </summary>
    private static IEnumerable<string> Candidates(string folder, string name)
    {
        // A share of another machine is not opened because a downloaded file names it.
        if (name.StartsWith(@"\\", StringComparison.Ordinal) || name.StartsWith("//", StringComparison.Ordinal)
            || name.AsSpan().IndexOfAny('\0', '\n') >= 0 || name.Contains("://", StringComparison.Ordinal) || name.Length > 4096)
        {
            yield break;
        }

        string beside = Path.GetDirectoryName(folder) ?? folder;
        yield return Path.GetFullPath(Path.Combine(folder, name));
        if (!Path.IsPathRooted(name)) yield return Path.GetFullPath(Path.Combine(beside, name));
        yield return Path.GetFullPath(name);
        string last = name.TrimEnd('/', '\\').Split('/', '\\')[^1];
        if (last.Length > 0 && last is not ("." or "..")) yield return Path.Combine(beside, last);
    }

    private static bool IsModel(string folder) =>
        Directory.Exists(folder) && File.Exists(Path.Combine(folder, CheckpointFolder.ConfigName));
}
