using LdlVk.Cli.Options;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Formatting;
using LdlVk.Runtime.Model;
using LdlVk.Runtime.Text;

namespace LdlVk.Cli.Commands;

/// <summary>One weight format of a model on one device.</summary>
/// <param name="Format">The format.</param>
/// <param name="Bytes">Required device memory in bytes.</param>
/// <param name="Fits">Whether that much memory is free; otherwise layers are streamed, or distributed over several devices.</param>
internal readonly record struct FormatFit(WeightFormat Format, long Bytes, bool Fits);

/// <summary>A model on one device.</summary>
/// <param name="Device">The device.</param>
/// <param name="BatchTokens">Number of tokens of a micro-batch on the device.</param>
/// <param name="Formats">The model in each weight format.</param>
internal sealed record DeviceFit(DeviceInfo Device, int BatchTokens, FormatFit[] Formats);

/// <summary>The facts about a checkpoint that <c>ldlvk inspect</c> shows, read without loading its weights.</summary>
internal sealed class ModelFacts
{
    private static readonly string[] Kinds = [".safetensors", ".bin", ".pt", ".json"];

    public ModelFacts(Checkpoint checkpoint, RewardModelOptions options)
    {
        Checkpoint = checkpoint;
        Files = [.. FilesOf(checkpoint.Folder), .. checkpoint.AdapterFolder is { } adapter ? FilesOf(adapter) : []];
        HeadParameters = checkpoint.Head.Parameters;
        (Tokenizer, Tokenizer? tokenizer) = DescribeTokenizer(checkpoint.TextFolder, checkpoint.Config);
        Template = DescribeTemplate(checkpoint.TextFolder, tokenizer, checkpoint.Config);
        Devices = [.. ComputeDevices.Enumerate(options.Kernels).Select(d => Fit(d, checkpoint, options))];
        try
        {
            Plan = RewardModel.MakePlan(checkpoint, options);
        }
        catch (DeviceException e)
        {
            WhyNoPlan = e.Notice.InFlags();
        }
    }

    public Checkpoint Checkpoint { get; }

    /// <summary>Files of the model, with their sizes in bytes.</summary>
    public IReadOnlyList<(string Name, long Bytes)> Files { get; }

    /// <summary>Number of parameters of the backbone, including the embedding table.</summary>
    public long BackboneParameters => Checkpoint.Config.Parameters;

    /// <summary>Number of parameters of the head.</summary>
    public long HeadParameters { get; }

    /// <summary>Description of tokenizer.json.</summary>
    public string Tokenizer { get; }

    /// <summary>Description of the chat template.</summary>
    public string Template { get; }

    /// <summary>The model on every device.</summary>
    public IReadOnlyList<DeviceFit> Devices { get; }

    /// <summary>The placement of the layers; null if not even one layer fits.</summary>
    public ExecutionPlan? Plan { get; }

    /// <summary>The reason why there is no plan.</summary>
    public string? WhyNoPlan { get; }

    private static IEnumerable<(string Name, long Bytes)> FilesOf(string folder) => new DirectoryInfo(folder).EnumerateFiles()
        .Where(f => Kinds.Contains(f.Extension, StringComparer.Ordinal))
        .OrderBy(f => f.Name, StringComparer.Ordinal)
        .Select(f => (f.Name, Size(f)));

    private static DeviceFit Fit(DeviceInfo device, Checkpoint checkpoint, RewardModelOptions options)
    {
        int batchTokens = options.BatchTokens;
        IEnumerable<WeightFormat> formats = Enum.GetValues<WeightFormat>()
            .Where(format => checkpoint.Converted is not { } converted || converted.Weights == format);
        return new DeviceFit(device, batchTokens, [.. formats.Select(Of)]);

        FormatFit Of(WeightFormat format)
        {
            long bytes = ModelMemory.Of(checkpoint.Config, checkpoint.Head, format, options.Heads)
                .On(device, checkpoint.Config, format, options.Compute).Total(batchTokens);
            return new FormatFit(format, bytes, ModelMemory.Fits(bytes, device));
        }
    }

    private static (string Description, Tokenizer? Tokenizer) DescribeTokenizer(string folder, BackboneConfig config)
    {
        try
        {
            if (Runtime.Text.Tokenizer.Find(folder, cacheWords: false) is not { } tokenizer)
                return ("neither tokenizer.json nor tokenizer.model: only token ids can be scored", null);
            int size = tokenizer.VocabularySize;
            string misfit = size > config.VocabularySize
                ? $", more than the embedding table's {config.VocabularySize} rows: it is another model's"
                : "";
            return ($"{tokenizer.FileName} with {Readable.Count(size)} tokens{misfit}", tokenizer);
        }
        catch (CheckpointException e)
        {
            return (e.Notice.InFlags(), null);
        }
    }

    private static string DescribeTemplate(string folder, Tokenizer? tokenizer, BackboneConfig config)
    {
        try
        {
            string path = Path.Combine(folder, "tokenizer_config.json");
            DetectedChatTemplate found = tokenizer is not null
                ? ChatTemplate.DetectFor(tokenizer, path)
                : ChatTemplate.Detect(path, config.Architecture == Architecture.Llama ? ChatTemplate.Llama31 : ChatTemplate.Gemma2);
            string? source = found.Source is null ? null : $"{found.Template.Name}, from {Path.GetFileName(found.Source)}";
            return string.Join(". ", (string[])[.. new[] { source, found.Note?.InFlags() }.OfType<string>()]);
        }
        catch (CheckpointException e)
        {
            return e.Notice.InFlags();
        }
    }

    /// <summary>Returns the size of a file; for a link, that of its target.</summary>
    private static long Size(FileInfo file) =>
        file.ResolveLinkTarget(returnFinalTarget: true) is FileInfo { Exists: true } target ? target.Length : file.Length;
}
