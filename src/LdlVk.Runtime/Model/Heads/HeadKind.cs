using LdlVk.Runtime.Checkpoints;

namespace LdlVk.Runtime.Model.Heads;

/// <summary>A kind of head: how to recognize it in a checkpoint, and how to open it.</summary>
/// <param name="Marks">The tensors or files that identify the kind.</param>
/// <param name="Models">Published models with this kind of head.</param>
/// <param name="Files">Names of the head's own files in an original checkpoint; empty if the head is in the safetensors files.</param>
/// <param name="IsIn">Whether a folder has the tensors or files of such a head.</param>
/// <param name="Read">Opens and verifies the head; the second argument is the size of the hidden states.</param>
internal sealed record HeadKind(
    string Marks, string Models, IReadOnlyList<string> Files, Func<CheckpointFolder, bool> IsIn,
    Func<CheckpointFolder, int, ModelHead> Read)
{
    /// <summary>Every kind of head. To add one, write a class and add a line here.</summary>
    public static IReadOnlyList<HeadKind> All { get; } =
    [
        LdlHead.Kind,
        ScoreHead.Classifier,
        ScoreHead.ValueHead,
        ScoreHead.OpenRlhf,
    ];

    /// <summary>
    /// Opens the head of a folder. Its kind is determined by the existing tensors and files, never by a class name in config.json.
    /// </summary>
    /// <exception cref="CheckpointException">The folder has no head, more than one, or a damaged one.</exception>
    public static ModelHead Open(CheckpointFolder folder, BackboneConfig config) => All.Where(kind => kind.IsIn(folder)).ToArray() switch
    {
        [var kind] => kind.Read(folder, config.HiddenSize),
        [] => throw new CheckpointException(
            $"{folder.Path} has no reward head: "
            + $"{string.Join(", nor ", All.Select((kind, i) => $"{(i == 0 ? "neither " : "")}{kind}"))}. "
            + Others(folder, config)),
        var kinds => throw new CheckpointException(
            $"{folder.Path} has more than one reward head: {string.Join(" and ", kinds.Select(kind => kind.ToString()))}. "
            + $"Remove from it what belongs to another model."),
    };

    /// <summary>Says which tensors a folder without a known head has besides those of its backbone.</summary>
    private static string Others(CheckpointFolder folder, BackboneConfig config)
    {
        HashSet<string> backbone = [.. BackboneTensors.Of(config).Select(tensor => tensor.Name)];
        string[] others = [.. folder.Names.Where(name => !IsOfLanguageModel(name)).Order(StringComparer.Ordinal)];
        if (others.Length == 0)
            return $"It looks like a plain {config.Architecture} model, which cannot score. Give the folder of a reward model.";
        string shown = string.Join(", ", others.Take(8).Select(Shown.Short)) + (others.Length > 8 ? ", …" : "");
        return $"Besides its {config.Architecture} backbone it has {shown}: a head of a kind that is not supported.";

        bool IsOfLanguageModel(string name) =>
            backbone.Contains(name) || name == "lm_head.weight" || name.StartsWith("layers.", StringComparison.Ordinal);
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Marks} ({Models})";
}
