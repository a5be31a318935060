using LdlVk.Runtime.Caching;

namespace LdlVk.Runtime.Batching;

/// <summary>
/// Micro-batches that go through the layers together: each layer computes all of them before the next layer begins. A streamed layer's
/// weights are then on the device for that time only, and all of the micro-batches can use the keys and values of a shared prefix.
/// </summary>
/// <param name="Batches">The micro-batches, in order.</param>
public sealed record Wave(IReadOnlyList<MicroBatch> Batches)
{
    /// <summary>Numbers of the texts in the caller's list, in the order of the results.</summary>
    public IEnumerable<int> Texts => Batches.SelectMany(b => b.Texts);

    /// <summary>Tokens of each text, shared ones counted for each.</summary>
    public IEnumerable<int> TokenCounts => Batches.SelectMany(b => b.TokenCounts);

    /// <summary>How many of each text's tokens came from the prompt cache.</summary>
    public IEnumerable<int> CachedCounts => Batches.SelectMany(b => b.CachedCounts.Length > 0 ? b.CachedCounts : new int[b.Texts.Length]);

    /// <summary>Whether it takes from a prompt cache, or leaves something there. Such a wave can be computed once.</summary>
    public bool UsesCache => Traffic.Any();

    /// <summary>What its micro-batches take from a prompt cache and leave there.</summary>
    internal IEnumerable<CacheTraffic> Traffic => Batches.Select(b => b.Cache).OfType<CacheTraffic>();

    /// <summary>Rows that are computed.</summary>
    public int Rows => Batches.Sum(b => b.Rows);

    /// <summary>The wave was computed with what it took from the cache.</summary>
    internal void Took()
    {
        foreach (CacheTraffic traffic in Traffic) traffic.Cache.Took(traffic.Taken.Sum(taken => taken.From.Count));
    }

    /// <summary>The wave was not computed to its end: what it should have left in the cache is not there.</summary>
    internal void Forget()
    {
        foreach (CacheTraffic traffic in Traffic) traffic.Cache.Forget(traffic.Kept.Select(kept => kept.Block));
    }

    /// <summary>
    /// The micro-batches in independent chains: a micro-batch that uses a prefix which the previous one keeps is in the same chain.
    /// </summary>
    public IEnumerable<IReadOnlyList<MicroBatch>> Chains() => Chains(Batches);

    internal static IEnumerable<IReadOnlyList<MicroBatch>> Chains(IEnumerable<MicroBatch> batches)
    {
        List<MicroBatch> chain = [];
        foreach (MicroBatch batch in batches)
        {
            if (chain.Count > 0 && batch.KeptRows == 0)
            {
                yield return chain;
                chain = [];
            }

            chain.Add(batch);
        }

        if (chain.Count > 0) yield return chain;
    }
}
