using LdlVk.Runtime.Caching;

namespace LdlVk.Runtime.Batching;

/// <summary>Packs texts into micro-batches.</summary>
public static class Packer
{
    /// <summary>Packs every text into one of the returned micro-batches, each of which can be computed by itself.</summary>
    /// <param name="texts">The texts, none empty.</param>
    /// <param name="maxTokens">Maximum rows of a micro-batch, and maximum texts. A longer text gets a micro-batch of its own.</param>
    /// <param name="sharePrefixes">Whether equal beginnings are computed once. The scores are the same, to the bit.</param>
    public static IEnumerable<MicroBatch> Pack(IReadOnlyList<PackedText> texts, int maxTokens, bool sharePrefixes = true) =>
        PackWaves(texts, maxTokens, maxTokens, sharePrefixes).SelectMany(wave => wave.Batches);

    /// <inheritdoc cref="Pack(IReadOnlyList{PackedText}, int, bool)"/>
    /// <remarks>The last token of each text is read.</remarks>
    public static IEnumerable<MicroBatch> Pack(IReadOnlyList<int[]> texts, int maxTokens, bool sharePrefixes = true) =>
        Pack([.. texts.Select(PackedText.ReadAtEnd)], maxTokens, sharePrefixes);

    /// <inheritdoc cref="PackWaves(IReadOnlyList{PackedText}, int, int, bool, PromptCache?)"/>
    /// <remarks>The last token of each text is read.</remarks>
    public static IEnumerable<Wave> PackWaves(IReadOnlyList<int[]> texts, int maxTokens, int waveTokens, bool sharePrefixes = true) =>
        PackWaves([.. texts.Select(PackedText.ReadAtEnd)], maxTokens, waveTokens, sharePrefixes);

    /// <summary>
    /// Packs every text into waves. The texts with a common prefix can fill several micro-batches of a wave; the prefix is still computed
    /// once.
    /// </summary>
    /// <param name="texts">The texts, none empty.</param>
    /// <param name="maxTokens">Maximum rows, and maximum texts, of a micro-batch.</param>
    /// <param name="waveTokens">Maximum rows of a wave; a larger micro-batch is a wave of its own.</param>
    /// <param name="sharePrefixes">Whether equal beginnings are computed once.</param>
    /// <param name="cache">Where beginnings are that earlier waves computed; null for none. It is used only if prefixes are shared.</param>
    public static IEnumerable<Wave> PackWaves(
        IReadOnlyList<PackedText> texts, int maxTokens, int waveTokens, bool sharePrefixes = true, PromptCache? cache = null)
    {
        List<MicroBatch> wave = [];
        long rows = 0;
        foreach (IReadOnlyList<MicroBatch> chain in Wave.Chains(PackBatches(texts, maxTokens, waveTokens, sharePrefixes, cache)))
        {
            long more = chain.Sum(batch => (long)batch.Rows);
            if (wave.Count > 0 && rows + more > waveTokens)
            {
                cache?.Packed();
                yield return new Wave(wave);
                (wave, rows) = ([], 0);
            }

            wave.AddRange(chain);
            rows += more;
        }

        if (wave.Count == 0) yield break;
        cache?.Packed();
        yield return new Wave(wave);
    }

    private static IEnumerable<MicroBatch> PackBatches(
        IReadOnlyList<PackedText> texts, int maxTokens, int waveTokens, bool sharePrefixes, PromptCache? cache)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxTokens);
        IEnumerable<PrefixGroup> groups = sharePrefixes
            ? PrefixGroups.Find([.. texts.Select(text => text.Ids)])
            : Enumerable.Range(0, texts.Count).Select(i => new PrefixGroup([i], 0));
        if (!sharePrefixes) cache = null;
        var batch = new MicroBatchBuilder();
        foreach (CachedTexts cached in groups.SelectMany(group => CachedTexts.Divide(group, texts, cache)))
        {
            PrefixGroup group = cached.Group;
            if (batch.Rows > 0 && IsLong(group, maxTokens)
                && IsBetterAlone(group, texts, cached.Prefix.Length, maxTokens - batch.Rows, Math.Max(maxTokens, waveTokens)))
            {
                yield return batch.Build(cache);
                batch = new MicroBatchBuilder();
            }

            int? prefixPlace = null;
            long chainRows = 0; // of the batches that have this group's prefix in common
            // A text that equals the prefix has its last row in the batch that computes the prefix.
            foreach (int text in group.Texts.OrderBy(t => texts[t].Ids.Length > group.PrefixLength))
            {
                int[] ids = texts[text].Ids;
                if (ids.Length == 0) throw new ArgumentException($"Text {text} has no tokens.");
                if (texts[text].Reads is not { Length: > 0 } reads || reads.Min() < 0 || reads.Max() != ids.Length - 1)
                    throw new ArgumentException($"Text {text} has no token that is read at its end.");
                int own = ids.Length - group.PrefixLength;
                int needed = own + (prefixPlace is null ? group.PrefixLength - cached.Prefix.Length : 0);
                int assembled = prefixPlace is null && cached.Prefix.Length > 0 ? group.PrefixLength : 0;
                // A text that equals a prefix of this batch needs no rows of its own, so it fits even into a full batch.
                if (batch.Rows > 0 && ((needed > 0 && batch.Rows + needed > maxTokens) || batch.Texts == maxTokens
                    || (assembled > 0 && batch.AssembledRows + assembled > maxTokens)))
                {
                    chainRows += batch.Rows;
                    bool goesOn = prefixPlace == 0 && own > 0 && IsLong(group, maxTokens)
                        && chainRows + Math.Max(maxTokens, own) <= waveTokens;
                    yield return batch.Build(cache);
                    batch = goesOn ? batch.Next(group.PrefixLength) : new MicroBatchBuilder();
                    if (!goesOn)
                    {
                        (prefixPlace, chainRows) = (null, 0);
                        // The micro-batch that computed the prefix may have left it in the cache.
                        cached.FindPrefix();
                    }
                }

                if (prefixPlace is null)
                {
                    // All that the group's texts read of the prefix is read here, also for those of later micro-batches.
                    prefixPlace = group.PrefixLength == 0 ? 0
                        : batch.AddPrefix(ids, group.PrefixLength, cached.Prefix, group.Texts.SelectMany(t => texts[t].Reads),
                            cached.KeepPrefix());
                }

                batch.AddText(text, texts[text], prefixPlace.Value, group.PrefixLength, cached.Prefix.Length, cached.KeepOwn(text));
            }
        }

        if (batch.Rows > 0) yield return batch.Build(cache);
    }

    /// <summary>
    /// Returns whether a prefix is long enough to be kept over batches: computing one of less than a 32nd of a batch again costs less than
    /// an unfilled batch.
    /// </summary>
    private static bool IsLong(PrefixGroup group, int maxTokens) => group.PrefixLength > maxTokens / 32;

    /// <summary>
    /// Returns whether a group should begin a new micro-batch: it does not fit into the rest of this one, and in a new one its prefix is
    /// computed once instead of twice. Best of 16 with prompts of 1,000 tokens and answers of 100 would lose a quarter of its speed.
    /// </summary>
    private static bool IsBetterAlone(PrefixGroup group, IReadOnlyList<PackedText> texts, int cached, int left, int together)
    {
        long rows = group.PrefixLength - cached + group.Texts.Sum(text => (long)texts[text].Ids.Length - group.PrefixLength);
        return rows > left && rows <= together;
    }
}
