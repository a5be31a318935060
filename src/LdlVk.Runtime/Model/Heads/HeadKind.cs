using LdlVk.Runtime.Checkpoints;

namespace LdlVk.Runtime.Model.Heads;

/// <summary>A kind of head: how to recognize it in a checkpoint, and how to open it.</summary>
/// <param name="Name">Its name among the user's choices.</param>
/// <param name="Marks">The tensors or files that identify the kind.</param>
/// <param name="Models">Published models with this kind of head.</param>
/// <param name="Files">Names of the head's own files in an original checkpoint; empty if the head is in the weights' files.</param>
/// <param name="IsIn">Whether a folder has the tensors or files of such a head.</param>
/// <param name="Read">Opens and verifies the head.</param>
internal sealed record HeadKind(
    string Name, string Marks, string Models, IReadOnlyList<string> Files, Func<CheckpointFolder, bool> IsIn,
    Func<HeadSource, ModelHead> Read)
{
    /// <summary>The choice of a head that scores the steps of a text.</summary>
    public const string Steps = "steps";

    /// <summary>Every kind of head. To add one, write a class and add a line here, or a line in <see cref="LinearKind.All"/>.</summary>
    public static IReadOnlyList<HeadKind> All { get; } =
        [LdlHead.Kind, GatedHead.Kind, UrmHead.Kind, LogitHead.Kind, .. LinearKind.All.Select(kind => kind.Kind)];

    /// <summary>
    /// Opens the head of a folder. Its kind is determined by the existing tensors and files, and by the user's choice; a class name in
    /// config.json only tells process rewards from value heads.
    /// </summary>
    /// <exception cref="CheckpointException">The folder has no head, more than one, or a damaged one.</exception>
    /// <exception cref="UsageException">The folder has not the head that was chosen.</exception>
    public static ModelHead Open(HeadSource source)
    {
        source = source with { Choice = source.Choice ?? ConvertedFormat.ChosenHead(source.Folder) };
        if (source.Choice is { } logit && LogitHead.IsChoice(logit)) return LogitHead.Read(source);
        CheckpointFolder folder = source.Folder;
        LinearKind? configured = LinearKind.Configured(folder);
        HeadKind[] found = [.. All.Where(kind => kind.IsIn(folder))];
        // value_head_prefix of config.json says which of several linear heads it is, or names another one.
        if (configured is not null)
        {
            found = [.. found.Where(kind => !IsLinear(kind)), configured.Kind];
        }
        else if (source.Choice is null && found is [var other] && IsLinear(other)
            && LinearKind.ConfiguredName(folder) is { Length: > 0 } named
            && !folder.Names.Any(name => name.StartsWith(named + ".", StringComparison.Ordinal)))
        {
            throw new CheckpointException(
                $"{folder.Path} has the head {other}, but {LinearKind.PrefixField} of {CheckpointFolder.ConfigName} says "
                + $"{Shown.Quoted(named)}. If the head is the right one, choose it with {OptionName.Head.Of(other.Name)}.");
        }

        if (source.Choice is { } choice && choice != Steps)
            found = found.Where(kind => kind.Name == choice).ToArray() is [var chosen] ? [chosen] : throw new UsageException(
                $"{folder.Path} has no head {Shown.Quoted(choice)}. "
                + (found.Length == 0 ? (Notice)$"It has none, but {OptionName.Head.Of("logit:N")} scores by the logit of a token."
                    : (Notice)$"It has {string.Join(", ", found.Select(kind => kind.Name))}."));
        return found switch
        {
            [var kind] when source.Choice == Steps && !IsLinear(kind) && kind.Name != configured?.Name =>
                throw new UsageException($"The head of {folder.Path}, {kind}, scores whole texts, not steps. Leave the choice out."),
            [var kind] => kind.Read(source),
            [] => throw new CheckpointException(
                (Notice)$"{folder.Path} has no reward head: "
                + string.Join(", ", All.Select((kind, i) => $"{(i == 0 ? "neither " : "nor ")}{kind}")) + ". " + Others(source)),
            var kinds => throw new CheckpointException(
                $"{folder.Path} has more than one reward head: {string.Join(" and ", kinds.Select(kind => kind.ToString()))}. "
                + $"Choose one with {OptionName.Head.Of(string.Join(" or ", kinds.Select(kind => kind.Name)))}, or remove what belongs to "
                + $"another model."),
        };
    }

    private static bool IsLinear(HeadKind kind) => LinearKind.All.Any(linear => linear.Name == kind.Name);

    /// <summary>Says which tensors a folder without a known head has besides those of its backbone.</summary>
    private static Notice Others(HeadSource source)
    {
        BackboneConfig config = source.Config;
        HashSet<string> backbone = [.. BackboneTensors.Of(config).Select(tensor =>
            config.Architecture.Stored(config, tensor.Name, tensor.Shape).Name)];
        string[] others = [.. source.Folder.Names.Where(name => !IsOfLanguageModel(name)).Order(StringComparer.Ordinal)];
        if (others.Length == 0)
            return $"It looks like a plain {config.Architecture} model, which cannot score. Give the folder of a reward model; or, if the "
                + $"model was trained to score by the logit of a token, choose it with {OptionName.Head.Of("logit:N")}.";
        string shown = string.Join(", ", others.Take(8).Select(Shown.Short)) + (others.Length > 8 ? ", …" : "");
        return $"Besides its {config.Architecture} backbone it has {shown}: a head of a kind that is not supported.";

        bool IsOfLanguageModel(string name) =>
            backbone.Contains(name) || name == config.Architecture.Projection || name.StartsWith("layers.", StringComparison.Ordinal);
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Marks} ({Models})";
}
