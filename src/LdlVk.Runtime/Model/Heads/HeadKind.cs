using LdlVk.Runtime.Checkpoints;

namespace LdlVk.Runtime.Model.Heads;

/// <summary>A kind of head: how a checkpoint shows that it has one, and how it is opened.</summary>
/// <param name="Marks">The tensors or files by which it is told from other kinds.</param>
/// <param name="Models">Published models that have it.</param>
/// <param name="Files">Names of the files in which an original has it, beside its safetensors; empty if it is in these.</param>
/// <param name="IsIn">Whether a folder has the tensors or files of such a head.</param>
/// <param name="Read">Opens and checks it; the second argument is the size of the hidden states.</param>
internal sealed record HeadKind(
    string Marks, string Models, IReadOnlyList<string> Files, Func<CheckpointFolder, bool> IsIn,
    Func<CheckpointFolder, int, ModelHead> Read)
{
    /// <summary>Every kind of head. A new one is a class of its own and a line here.</summary>
    public static IReadOnlyList<HeadKind> All { get; } =
    [
        LdlHead.Kind,
        ScoreHead.Classifier,
        ScoreHead.ValueHead,
    ];

    /// <summary>
    /// Finds the kind of a folder's head by the tensors and files that are there, never by a class that config.json names, and opens the
    /// head.
    /// </summary>
    /// <exception cref="CheckpointException">The folder has no head, more than one, or a damaged one.</exception>
    public static ModelHead Open(CheckpointFolder folder, BackboneConfig config) => All.Where(kind => kind.IsIn(folder)).ToArray() switch
    {
        [var kind] => kind.Read(folder, config.HiddenSize),
        [] => throw new CheckpointException(
            $"{folder.Path} has no reward head: "
            + $"{string.Join(", nor ", All.Select((kind, i) => $"{(i == 0 ? "neither " : "")}{kind}"))}. "
            + $"It looks like a plain {config.Architecture} model, which cannot score. Give the folder of a reward model."),
        var kinds => throw new CheckpointException(
            $"{folder.Path} has more than one reward head: {string.Join(" and ", kinds.Select(kind => kind.ToString()))}. "
            + $"Remove from it what belongs to another model."),
    };

    /// <inheritdoc/>
    public override string ToString() => $"{Marks} ({Models})";
}
