using System.Text.Json;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Model.Heads;

/// <summary>The normalization of a score with the statistics of the training data: (raw − mean)/deviation.</summary>
/// <param name="Mean">Subtracted from the raw score.</param>
/// <param name="Deviation">Divides the difference.</param>
/// <param name="Field">The field of config.json that switches it on.</param>
internal sealed record ScoreScaling(double Mean, double Deviation, string Field)
{
    /// <summary>The tensors that hold the statistics, with their names; empty if config.json does.</summary>
    public IReadOnlyList<(string Name, CheckpointTensor Tensor)> Tensors { get; private init; } = [];

    private const string OpenRlhfField = "normalize_reward", SafeRlhfField = "do_normalize", SafeRlhfTensors = "normalizer.";

    private const double Limit = 1e30;

    /// <summary>
    /// Reads the normalization that config.json switches on; null if it does not. Statistics alone switch nothing on: OpenRLHF's option is
    /// its caller's, and overwrites the field.
    /// </summary>
    /// <param name="folder">The checkpoint.</param>
    /// <param name="isOpenRlhf">Whether the head may be OpenRLHF's: (raw − mean)/std.</param>
    /// <param name="isSafeRlhf">Whether the head is safe-rlhf's: (raw − mean[0])/(√var[0] + 1e-8).</param>
    /// <exception cref="CheckpointException">A field is malformed, or asks for it with another head.</exception>
    public static ScoreScaling? Read(CheckpointFolder folder, bool isOpenRlhf, bool isSafeRlhf) => folder.ReadConfig(fields =>
    {
        if (fields.Root.TryGet(SafeRlhfField, out JsonField safe) && safe.Boolean())
        {
            if (!isSafeRlhf) throw Foreign(safe, "safe-rlhf's score_head");
            double mean = Statistic(folder, fields.Root, "mean", 0), variance = Statistic(folder, fields.Root, "var", 1);
            return variance >= 0 ? new ScoreScaling(mean, Math.Sqrt(variance) + 1e-8, SafeRlhfField)
                {
                    Tensors = [.. ((string[])["mean", "var"]).Select(name => SafeRlhfTensors + name).Where(folder.Contains)
                        .Select(name => (name, folder.Tensor(name)))],
                }
                : throw safe.Error($"is true, but the variance {Shown.Number((float)variance)} is below 0. The file is damaged.");
        }

        if (!fields.Root.TryGet(OpenRlhfField, out JsonField open) || !open.Boolean()) return null;
        if (!isOpenRlhf) throw Foreign(open, "OpenRLHF's value head");
        double deviation = Number(fields.Root, "std", 1);
        return deviation > 0 ? new ScoreScaling(Number(fields.Root, "mean", 0), deviation, OpenRlhfField)
            : throw fields.Field("std").Error("is not above 0, and normalize_reward divides by it. The file is damaged.");
    });

    /// <summary>(raw − mean)/deviation.</summary>
    public double Of(double raw) => (raw - Mean) / Deviation;

    private static CheckpointException Foreign(JsonField field, string owner) => field.Error(
        $"is true, which belongs to {owner}; this model has another head. Set it to false if the scores are not normalized, or take "
        + $"config.json from the original.");

    /// <summary>safe-rlhf saves its statistics as tensors, which replace those of config.json when it loads.</summary>
    private static double Statistic(CheckpointFolder folder, JsonField root, string name, double absent)
    {
        if (!folder.Contains(SafeRlhfTensors + name)) return Number(root, name, absent);
        CheckpointTensor tensor = folder.Tensor(SafeRlhfTensors + name);
        if (tensor.Count != 1)
            throw new CheckpointException($"{tensor.Name} in {folder.Path} has {tensor.Count} elements; one score needs 1.");
        return tensor.ReadAll()[0];
    }

    /// <summary>A number, or a list of one.</summary>
    private static double Number(JsonField root, string name, double absent)
    {
        if (!root.TryGet(name, out JsonField field)) return absent;
        if (field.Value.ValueKind != JsonValueKind.Array) return field.Number(-Limit, Limit);
        JsonElement[] items = [.. field.Items()];
        return items.Length == 1 ? field.Item(0, items[0]).Number(-Limit, Limit)
            : throw field.Error($"has {items.Length} numbers; one score needs 1.");
    }
}
