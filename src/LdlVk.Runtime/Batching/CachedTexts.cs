using LdlVk.Runtime.Caching;

namespace LdlVk.Runtime.Batching;

/// <summary>What the prompt cache has of the texts of a group, and what it is to keep of them.</summary>
internal sealed class CachedTexts
{
    private readonly PromptCache? _cache;
    private readonly IReadOnlyList<PackedText> _texts;
    private readonly PrefixGroup _group;

    /// <summary>How many first tokens of each text were met before; that many are kept.</summary>
    private readonly Dictionary<int, int> _met = [];

    /// <param name="cache">The cache; null for none.</param>
    /// <param name="texts">All texts.</param>
    /// <param name="group">The group, as <see cref="Divide"/> returned it.</param>
    public CachedTexts(PromptCache? cache, IReadOnlyList<PackedText> texts, PrefixGroup group)
    {
        (_cache, _texts, _group) = (cache, texts, group);
        if (cache is null) return;
        foreach (int text in group.Texts) _met[text] = cache.Meet(texts[text].Ids);
        FindPrefix();
    }

    /// <summary>The cached beginning of the group's prefix.</summary>
    public CacheMatch Prefix { get; private set; } = CacheMatch.None;

    /// <summary>
    /// Takes the texts out of a group of which the cache has more than the group's prefix: such a text is a group of its own, with the
    /// cached beginning for its prefix. What a head reads is not in the cache, so the beginning ends before it.
    /// </summary>
    public static IEnumerable<PrefixGroup> Divide(PrefixGroup group, IReadOnlyList<PackedText> texts, PromptCache cache)
    {
        List<int> rest = [];
        foreach (int text in group.Texts)
        {
            int cached = texts[text].Ids.Length == 0 ? 0 : cache.Find(texts[text].Ids, Limit(texts[text])).Length;
            if (cached > group.PrefixLength) yield return new PrefixGroup([text], cached);
            else rest.Add(text);
        }

        if (rest.Count > 0) yield return new PrefixGroup(rest, rest.Count > 1 ? group.PrefixLength : 0);
    }

    /// <summary>Looks for the group's prefix.</summary>
    public void FindPrefix()
    {
        if (_cache is null || _group.PrefixLength == 0) return;
        int limit = _group.Texts.Min(text => Limit(_texts[text]));
        Prefix = _cache.Find(_texts[_group.Texts[0]].Ids, Math.Min(_group.PrefixLength, limit));
    }

    /// <summary>Returns the block in which what is computed of the prefix is kept; null for none.</summary>
    public KeptBlock? KeepPrefix() =>
        _cache?.Keep(_texts[_group.Texts[0]].Ids, Prefix.Length, _group.PrefixLength);

    /// <summary>Returns the block in which the text's first own tokens are kept, as many as were met before; null for none.</summary>
    public KeptBlock? KeepOwn(int text) => _cache?.Keep(_texts[text].Ids, _group.PrefixLength, _met[text]);

    private static int Limit(PackedText text) => text.Reads.Length == 0 ? 0 : Math.Clamp(text.Reads.Min(), 0, text.Ids.Length - 1);
}
