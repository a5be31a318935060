using System.Text.RegularExpressions;
using LdlVk.Runtime.Checkpoints.Adapters;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>Says what a folder is that is not a model's, or what its tensors are that are not a model's, and the way on.</summary>
internal static partial class OtherFolder
{
    /// <summary>The way on from an adapter that cannot be merged here.</summary>
    public const string Merge =
        "Merge it into its base model first: in Python, "
        + "PeftModel.from_pretrained(model, folder).merge_and_unload().save_pretrained(new_folder).";

    /// <summary>Creates the error for a folder without model.safetensors, pytorch_model.bin and an index of either.</summary>
    public static CheckpointException NoWeights(string folder)
    {
        string[] files = Names(Directory.EnumerateFiles(folder)), folders = Names(Directory.EnumerateDirectories(folder));
        string found = files.Length == 0
            ? "no files"
            : string.Join(", ", files.Take(8).Select(Shown.Short)) + (files.Length > 8 ? ", …" : "");
        return new CheckpointException(
            $"The folder {folder} has neither model.safetensors nor {ShardedTensors.IndexName}, nor {ShardedTensors.TorchName} "
            + $"nor {ShardedTensors.TorchIndexName}. Found: {found}. "
            + Advice(folder, files, folders));
    }

    /// <summary>Explains by the names of the tensors why one is missing; null if they do not tell.</summary>
    public static string? WhyMissing(IEnumerable<string> names)
    {
        foreach (string name in names)
        {
            if (name.EndsWith(".qweight", StringComparison.Ordinal) || name.EndsWith(".qzeros", StringComparison.Ordinal))
                return $"{Shown.Short(name)} says that its weights were quantized by GPTQ or AWQ. {Original}";
            if (name.EndsWith(".absmax", StringComparison.Ordinal)
                || name.EndsWith(".SCB", StringComparison.Ordinal)
                || name.Contains(".quant_state.", StringComparison.Ordinal))
                return $"{Shown.Short(name)} says that its weights were quantized by bitsandbytes. {Original}";
            if (name.EndsWith(".weight_packed", StringComparison.Ordinal) || name.EndsWith(".weight_scale", StringComparison.Ordinal))
                return $"{Shown.Short(name)} says that its weights were quantized by compressed-tensors. {Original}";
            if (name.Contains(".lora_A.", StringComparison.Ordinal) || name.Contains(".base_layer.", StringComparison.Ordinal))
                return $"{Shown.Short(name)} says that a LoRA adapter is beside the weights and not merged into them. {Merge}";
        }

        return null;
    }

    /// <summary>The way on from weights that another tool quantized.</summary>
    public const string Original = "Use the original model: LdlVk quantizes to int8 or int4 itself.";

    private static string Advice(string folder, string[] files, string[] folders) => true switch
    {
        _ when files.Contains(ConvertedFormat.ManifestName) =>
            "It is an unfinished conversion: run the same ldlvk convert again to continue it.",
        _ when files.Contains(AdapterConfig.FileName) =>
            $"It is a PEFT adapter{Base(folder)} without {AdapterFolder.WeightNames[0]}. Download it completely.",
        _ when Has(files, ".gguf") =>
            ".gguf files are not supported: no reward model is published in that format. Use the original Hugging Face model.",
        _ when folders.FirstOrDefault(IsZeroFolder) is { } zero =>
            $"It is a checkpoint of DeepSpeed: {Shown.Short(zero)} has the weights divided over processes. "
            + "Join them: run its zero_to_fp32.py, save the result as safetensors, and copy config.json and the tokenizer there.",
        _ when files.Any(name => name.StartsWith("consolidated.", StringComparison.Ordinal)) =>
            "consolidated.* are weights in the format of the model's authors. Take the model in the format of Hugging Face transformers, "
            + "or convert it with the script convert_…_weights_to_hf.py of transformers.",
        _ when files.FirstOrDefault(name => TorchShard().IsMatch(name)) is { } part =>
            $"{Shown.Short(part)} is a shard without {ShardedTensors.TorchIndexName}: download that too.",
        _ when files.Select(name => Variant().Match(name)).FirstOrDefault(match => match.Success) is { } variant =>
            $"{Shown.Short(variant.Value)} is the variant {Shown.Short(variant.Groups[1].Value)} of the file. "
            + $"Rename it to model.safetensors{variant.Groups[2].Value} if this is the one to be used.",
        _ when Has(files, ".safetensors") && files.Any(name => Shard().IsMatch(name)) =>
            $"There are shards without {ShardedTensors.IndexName}: download that too.",
        _ when Has(files, ".safetensors") =>
            "model.safetensors is the name of a model in one file: rename the file if it holds all of a model.",
        _ when Has(files, ".bin") || Has(files, ".pt") || Has(files, ".pth") =>
            $"{ShardedTensors.TorchName} is the name of a model in one file of PyTorch: rename the file if it holds the state dict of a "
            + "whole model, or save it again with save_pretrained.",
        _ when Has(files, ".onnx") || Has(files, ".h5") || Has(files, ".msgpack") || Has(files, ".ot") =>
            "These are weights for another runtime: use the model's safetensors files.",
        _ when folders.Contains("snapshots") && folders.Contains("blobs") =>
            $"It is a model in the Hub's cache: give its folder {Example(Path.Combine(folder, "snapshots"), "snapshots/REVISION")}.",
        _ when folders.FirstOrDefault(name => name.StartsWith("checkpoint-", StringComparison.Ordinal)) is { } step =>
            $"It has the checkpoints of a training: give one of them, such as {Shown.Short(step)}.",
        _ => "Give the folder of a downloaded Hugging Face model.",
    };

    private static bool Has(string[] files, string extension) =>
        files.Any(file => file.EndsWith(extension, StringComparison.OrdinalIgnoreCase));

    private static bool IsZeroFolder(string name) => ZeroFolder().IsMatch(name);

    /// <summary>The name of the model that an adapter changes, if its file says so.</summary>
    private static string Base(string folder)
    {
        try
        {
            return JsonFile.Read(Path.Combine(folder, AdapterConfig.FileName), root =>
                root.TryGet("base_model_name_or_path", out JsonField name) ? $" of {Shown.Short(name.String())}" : "");
        }
        catch (CheckpointException)
        {
            return "";
        }
    }

    private static string Example(string folder, string otherwise) =>
        Directory.EnumerateDirectories(folder).Order(StringComparer.Ordinal).FirstOrDefault() ?? otherwise;

    private static string[] Names(IEnumerable<string> paths) =>
        [.. paths.Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    [GeneratedRegex(@"^model\.([^.]+)\.safetensors(\.index\.json)?$", RegexOptions.CultureInvariant)]
    private static partial Regex Variant();

    [GeneratedRegex(@"^pytorch_model-\d+-of-\d+\.bin$", RegexOptions.CultureInvariant)]
    private static partial Regex TorchShard();

    [GeneratedRegex(@"-\d+-of-\d+\.safetensors$", RegexOptions.CultureInvariant)]
    private static partial Regex Shard();

    [GeneratedRegex(@"^global_step\d*$", RegexOptions.CultureInvariant)]
    private static partial Regex ZeroFolder();
}
