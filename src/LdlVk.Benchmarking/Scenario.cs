using System.Globalization;
using LdlVk.Runtime;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Execution;

namespace LdlVk.Benchmarking;

/// <summary>Texts to be computed, packed into micro-batches.</summary>
/// <param name="Name">What is measured, as a column's heading and a JSON value: <c>text</c>, <c>batch</c>, <c>best-of</c> …</param>
/// <param name="Label">The same for people.</param>
/// <param name="Texts">How many texts.</param>
/// <param name="Tokens">Their tokens, shared ones counted for each.</param>
/// <param name="Batches">What the device computes.</param>
internal sealed record Scenario(string Name, string Label, int Texts, int Tokens, IReadOnlyList<MicroBatch> Batches)
{
    /// <summary>Rows computed: tokens, shared ones counted once.</summary>
    public int Rows => Batches.Sum(b => b.Rows);

    /// <summary>One text of each length in a list such as <c>128,512</c>.</summary>
    public static IEnumerable<Scenario> Single(string list, int vocabulary, int longest) =>
        Parts("--tokens", list, 1, ['x'], longest).Select(n => Pack("text", $"{n[0]} tokens", [SyntheticModel.TokenIds(0, n[0], vocabulary)], n[0], share: false));

    /// <summary>Texts side by side in one micro-batch, from a list such as <c>4x512,16x128</c>.</summary>
    public static IEnumerable<Scenario> Packed(string list, int vocabulary, int longest) =>
        Parts("--batch", list, 2, ['x'], longest).Select(n =>
            Pack("batch", $"{n[0]} × {n[1]} tokens", [.. Enumerable.Range(0, n[0]).Select(i => SyntheticModel.TokenIds(i, n[1], vocabulary))], n[0] * n[1], share: false));

    /// <summary>
    /// Answers to one prompt, from a list such as <c>16x1000+100</c> (16 answers of 100 tokens to a prompt of 1000): each in full,
    /// <paramref name="batchTokens"/> at a time, and then with the prompt computed once.
    /// </summary>
    public static IEnumerable<(Scenario Full, Scenario Shared)> BestOf(string list, int vocabulary, int longest, int batchTokens) =>
        Parts("--best-of", list, 3, ['x', '+'], longest).Select(n =>
        {
            int[] prompt = SyntheticModel.TokenIds(0, n[1], vocabulary);
            int[][] texts = [.. Enumerable.Range(1, n[0]).Select(i => (int[])[.. prompt, i % vocabulary, .. SyntheticModel.TokenIds(i, n[2] - 1, vocabulary)])];
            string label = $"best of {n[0]}: {n[1]} + {n[2]} tokens";
            // Texts that share a prompt stay together.
            int together = Math.Max(batchTokens, n[1] + (n[0] * n[2]));
            return (Pack("best-of unshared", $"{label}, each in full", texts, batchTokens, share: false), Pack("best-of", $"{label}, prompt shared", texts, together, share: true));
        });

    private static Scenario Pack(string name, string label, int[][] texts, int batchTokens, bool share) =>
        new(name, label, texts.Length, texts.Sum(t => t.Length), [.. Packer.Pack(texts, batchTokens, share)]);

    /// <summary>The items of a list, each of so many whole numbers with the signs between them; a text is no longer than the model takes.</summary>
    private static IEnumerable<int[]> Parts(string option, string list, int numbers, char[] signs, int longest)
    {
        const int MostTexts = 4096;
        string[] forms = ["", "N", "TEXTSxN", "ANSWERSxPROMPT+ANSWER"];
        foreach (string item in list.Split(','))
        {
            string[] parts = item.Split(signs);
            int[] values = [.. parts.Select(p => int.TryParse(p, NumberStyles.None, CultureInfo.InvariantCulture, out int n) ? n : 0)];
            if (parts.Length != numbers || values.Contains(0)) throw new UsageException($"{option} {list}: \"{item}\" is not {forms[numbers]}, with whole numbers from 1.");
            if (numbers > 1 && values[0] > MostTexts) throw new UsageException($"{option} {list}: {values[0]} texts are more than the {MostTexts} that are measured at a time.");
            if (values.Skip(numbers > 1 ? 1 : 0).Sum(n => (long)n) > longest) throw new UsageException($"{option} {list}: \"{item}\" is longer than the model's {longest} positions.");
            yield return values;
        }
    }
}
