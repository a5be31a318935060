using System.Globalization;
using LdlVk.Runtime.Model;

namespace LdlVk.Benchmarking;

/// <summary>
/// Reads comma-separated lists of scenarios. The message of an error begins with the list; a text is never longer than the
/// positions of the model.
/// </summary>
public static class ScenarioList
{
    private const int MaxTexts = 4096;

    /// <summary>Reads lengths of single texts, such as <c>128,512</c>.</summary>
    /// <exception cref="UsageException">An item is not a length, or is too long for the model.</exception>
    public static IReadOnlyList<Scenario> ReadTexts(string list, BackboneConfig config) =>
        [.. Items(list, "N", ['x'], config.MaxPositions).Select(n => Scenario.OneText(n[0], config.VocabularySize))];

    /// <summary>Reads micro-batches, such as <c>4x512,16x128</c>: 4 texts of 512 tokens, then 16 of 128.</summary>
    /// <exception cref="UsageException">An item has another form, has too many texts or is too long for the model.</exception>
    public static IReadOnlyList<Scenario> ReadPacked(string list, BackboneConfig config) =>
        [.. Items(list, "TEXTSxN", ['x'], config.MaxPositions).Select(n => Scenario.Packed(n[0], n[1], config.VocabularySize))];

    /// <summary>Reads answers to a prompt, such as <c>16x1000+100</c>: 16 answers of 100 tokens to a prompt of 1000.</summary>
    /// <exception cref="UsageException">An item has another form, has too many texts or is too long for the model.</exception>
    public static IReadOnlyList<(Scenario Full, Scenario Shared)> ReadBestOf(string list, BackboneConfig config, int batchTokens) =>
    [
        .. Items(list, "ANSWERSxPROMPT+ANSWER", ['x', '+'], config.MaxPositions)
            .Select(n => Scenario.BestOf(n[0], n[1], n[2], config.VocabularySize, batchTokens)),
    ];

    /// <summary>
    /// Reads the numbers of each item. If there are several, the first is the number of texts, and the sum of the others is their length.
    /// </summary>
    private static IEnumerable<int[]> Items(string list, string form, char[] signs, int maxPositions)
    {
        int count = form.Split(signs).Length;
        foreach (string item in list.Split(','))
        {
            string[] parts = item.Split(signs);
            int[] values = [.. parts.Select(p => int.TryParse(p, NumberStyles.None, CultureInfo.InvariantCulture, out int n) ? n : 0)];
            if (parts.Length != count || values.Contains(0))
                throw new UsageException($"{list}: \"{item}\" is not {form}, with whole numbers from 1.");
            if (count > 1 && values[0] > MaxTexts)
                throw new UsageException($"{list}: {values[0]} texts are more than the {MaxTexts} that are measured at a time.");
            if (values.Skip(count > 1 ? 1 : 0).Sum(n => (long)n) > maxPositions)
                throw new UsageException($"{list}: \"{item}\" is longer than the model's {maxPositions} positions.");
            yield return values;
        }
    }
}
