using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Execution;

namespace LdlVk.Benchmarking;

/// <summary>Generated texts of a benchmark, packed into micro-batches.</summary>
public sealed record Scenario
{
    private Scenario(string name, string label, int[][] texts, int batchTokens, bool share)
    {
        (Name, Label, Texts, Tokens) = (name, label, texts.Length, texts.Sum(t => t.Length));
        Batches = [.. Packer.Pack(texts, batchTokens, share)];
    }

    /// <summary>
    /// The kind of scenario, for a column or a JSON value: <c>text</c>, <c>batch</c>, <c>best-of</c>, <c>best-of unshared</c>.
    /// </summary>
    public string Name { get; }

    /// <summary>The scenario in words, such as <c>4 × 512 tokens</c>.</summary>
    public string Label { get; }

    /// <summary>Number of texts.</summary>
    public int Texts { get; }

    /// <summary>Tokens of all texts; a shared token counts once for each text.</summary>
    public int Tokens { get; }

    /// <summary>Rows that the device computes: tokens, with a shared token counted once.</summary>
    public int Rows => Batches.Sum(b => b.Rows);

    /// <summary>Rows of the largest micro-batch.</summary>
    public int MaxBatchRows => Batches.Max(b => b.Rows);

    /// <summary>The micro-batches, in the order in which they are computed.</summary>
    internal IReadOnlyList<MicroBatch> Batches { get; }

    /// <summary>Creates a scenario of one text.</summary>
    /// <param name="tokens">Length of the text.</param>
    /// <param name="vocabulary">Number of token ids of the model.</param>
    public static Scenario OneText(int tokens, int vocabulary) =>
        new("text", $"{tokens} tokens", [SyntheticModel.TokenIds(0, tokens, vocabulary)], tokens, share: false);

    /// <summary>Creates a scenario of texts of equal length in one micro-batch.</summary>
    /// <param name="texts">Number of texts.</param>
    /// <param name="tokens">Length of each text.</param>
    /// <param name="vocabulary">Number of token ids of the model.</param>
    public static Scenario Packed(int texts, int tokens, int vocabulary)
    {
        int[][] ids = [.. Enumerable.Range(0, texts).Select(i => SyntheticModel.TokenIds(i, tokens, vocabulary))];
        return new Scenario("batch", $"{texts} × {tokens} tokens", ids, texts * tokens, share: false);
    }

    /// <summary>Creates two scenarios of answers to one prompt: computed in full, and with the prompt computed once.</summary>
    /// <param name="answers">Number of answers.</param>
    /// <param name="prompt">Tokens of the prompt.</param>
    /// <param name="answer">Tokens of each answer.</param>
    /// <param name="vocabulary">Number of token ids of the model.</param>
    /// <param name="batchTokens">Tokens of a micro-batch of the answers in full.</param>
    public static (Scenario Full, Scenario Shared) BestOf(int answers, int prompt, int answer, int vocabulary, int batchTokens)
    {
        int[] promptIds = SyntheticModel.TokenIds(0, prompt, vocabulary);
        int[][] texts =
        [
            .. Enumerable.Range(1, answers)
                .Select(i => (int[])[.. promptIds, i % vocabulary, .. SyntheticModel.TokenIds(i, answer - 1, vocabulary)]),
        ];
        string label = $"best of {answers}: {prompt} + {answer} tokens";
        // Texts that share a prompt stay in one micro-batch.
        int together = Math.Max(batchTokens, prompt + (answers * answer));
        return (new Scenario("best-of unshared", $"{label}, each in full", texts, batchTokens, share: false),
            new Scenario("best-of", $"{label}, prompt shared", texts, together, share: true));
    }
}
