namespace LdlVk.Runtime.Batching;

/// <summary>A text to be packed: its tokens, and the tokens whose hidden states the head reads.</summary>
/// <param name="Ids">Token ids, at least one.</param>
/// <param name="Reads">
/// Positions that the head reads, in the head's order. The largest is the last token: what follows it would be computed for nothing.
/// </param>
public readonly record struct PackedText(int[] Ids, int[] Reads)
{
    /// <summary>
    /// How many first tokens other texts are likely to begin with: those before the last message. 0 if that is not known. It tells a
    /// prompt cache what to keep, and changes no score.
    /// </summary>
    public int Prompt { get; init; }

    /// <summary>A text of which the last token is read.</summary>
    public static PackedText ReadAtEnd(int[] ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        return new PackedText(ids, [ids.Length - 1]);
    }
}

/// <summary>A row that a head reads.</summary>
/// <param name="BatchesBack">
/// How many micro-batches of the <see cref="Wave"/> before this one computed it; 0 for this one. Others compute shared prefixes.
/// </param>
/// <param name="Index">Its index in that micro-batch's <see cref="MicroBatch.ReadRows"/>.</param>
public readonly record struct ReadRow(int BatchesBack, int Index);
