using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Model.Heads;

namespace LdlVk.Runtime.Execution;

/// <summary>
/// The rewards of a wave, made as its micro-batches are read. A micro-batch may read rows of a prefix that an earlier one of its chain
/// computed, so a chain's outputs are kept until its end.
/// </summary>
internal sealed class WaveResults
{
    private readonly List<IReadOnlyList<HeadOutput>> _chain = [];

    /// <summary>The hidden states of the rows that were read, as the output of one network.</summary>
    private readonly List<IReadOnlyList<HeadOutput>> _chainHidden = [];

    /// <summary>The rewards so far, in the order of <see cref="Wave.Texts"/>; empty for a backbone without a head.</summary>
    public List<Reward> Rewards { get; } = [];

    /// <summary>The hidden state of each text that gave the score, [texts · hidden], if hidden states are read.</summary>
    public List<float> Hidden { get; } = [];

    /// <summary>Adds the next micro-batch.</summary>
    /// <param name="batch">The micro-batch.</param>
    /// <param name="head">The head; null for a backbone alone.</param>
    /// <param name="outputs">The outputs of the head's networks.</param>
    /// <param name="hidden">The hidden states of <see cref="MicroBatch.ReadRows"/>; empty if they are not read.</param>
    public void Add(MicroBatch batch, ModelHead? head, IReadOnlyList<HeadOutput> outputs, float[] hidden)
    {
        if (batch.KeptRows == 0)
        {
            _chain.Clear();
            _chainHidden.Clear();
        }

        _chain.Add(outputs);
        _chainHidden.Add(hidden.Length == 0 ? [] : [new HeadOutput(hidden, hidden.Length / batch.ReadRows.Length)]);
        for (int i = 0; i < batch.Texts.Length; i++)
        {
            if (head is not null) Rewards.Add(head.Compose(new TextOutput(_chain, batch.Reads[i]), batch.TokenCounts[i]));
            if (hidden.Length > 0) Hidden.AddRange(new TextOutput(_chainHidden, batch.Reads[i]).Of(0, batch.Reads[i].Length - 1));
        }
    }
}
