using LdlVk.Runtime.Caching;

namespace LdlVk.Runtime.Batching;

/// <summary>What the prompt cache has of the texts of a group, and what it is to keep of them.</summary>
internal sealed class CachedTexts
{
    private readonly PromptCache? _cache;
    private readonly IReadOnlyList<PackedText> _texts;

    /// <summary>How many first tokens of each text were met before; that many are kept, and more of a prompt.</summary>
    private readonly Dictionary<int, int> _met = [];

    private CachedTexts(PromptCache? cache, IReadOnlyList<PackedText> texts, PrefixGroup group, CacheMatch? prefix)
    {
        (_cache, _texts, Group) = (cache, texts, group);
        if (cache is null) return;
        // Texts of one group meet anyway: they say nothing of whether prompts come again.
        foreach (int text in group.Texts) _met[text] = cache.Meet(texts[text].Ids, text == group.Texts[0] ? PromptOf(text) : 0);
        if (prefix is null) FindPrefix();
        else Prefix = prefix;
    }

    /// <summary>The group.</summary>
    public PrefixGroup Group { get; }

    /// <summary>The cached beginning of the group's prefix.</summary>
    public CacheMatch Prefix { get; private set; } = CacheMatch.None;

    /// <summary>
    /// Takes the texts out of a group of which the cache has more than the group's prefix: such a text is a group of its own, with the
    /// cached beginning for its prefix. What a head reads is not in the cache, so the beginning ends before it.
    /// </summary>
    /// <param name="group">The group.</param>
    /// <param name="texts">All texts.</param>
    /// <param name="cache">The cache; null for none.</param>
    public static IEnumerable<CachedTexts> Divide(PrefixGroup group, IReadOnlyList<PackedText> texts, PromptCache? cache)
    {
        List<int> rest = cache is null ? group.Texts : [];
        foreach (int text in cache is null ? [] : group.Texts)
        {
            CacheMatch cached = cache!.Find(texts[text].Ids, Limit(texts[text]));
            if (cached.Length > group.PrefixLength)
                yield return new CachedTexts(cache, texts, new PrefixGroup([text], cached.Length), cached);
            else
                rest.Add(text);
        }

        if (rest.Count > 0)
            yield return new CachedTexts(cache, texts, new PrefixGroup(rest, rest.Count > 1 ? group.PrefixLength : 0), null);
    }

    /// <summary>Looks for the group's prefix.</summary>
    public void FindPrefix()
    {
        if (_cache is null || Group.PrefixLength == 0) return;
        int limit = Group.Texts.Min(text => Limit(_texts[text]));
        Prefix = _cache.Find(_texts[Group.Texts[0]].Ids, Math.Min(Group.PrefixLength, limit));
    }

    /// <summary>Returns the block in which what is computed of the prefix is kept; null for none.</summary>
    public KeptBlock? KeepPrefix()
    {
        if (_cache is null) return null;
        // What is kept of a text stands behind what is kept before it, be that as short as a template's beginning.
        bool goesOn = Group.Texts.Any(text => Math.Max(_met[text], PromptOf(text)) - Group.PrefixLength >= PromptCache.MinTokens);
        return _cache.Keep(_texts[Group.Texts[0]].Ids, Prefix.Length, Group.PrefixLength,
            isNew: _met[Group.Texts[0]] < Group.PrefixLength, atLeast: goesOn ? 1 : PromptCache.MinTokens);
    }

    /// <summary>
    /// Returns the block in which the text's first own tokens are kept, as many as were met before, or those of its prompt; null for none.
    /// </summary>
    public KeptBlock? KeepOwn(int text)
    {
        if (_cache is null) return null;
        (int[] ids, int met, int prompt) = (_texts[text].Ids, _met[text], PromptOf(text));
        return (prompt > met ? _cache.Keep(ids, Group.PrefixLength, prompt, isNew: true) : null)
            ?? _cache.Keep(ids, Group.PrefixLength, met);
    }

    /// <summary>How many tokens of a text's prompt can be taken.</summary>
    private int PromptOf(int text) => Math.Min(_texts[text].Prompt, Limit(_texts[text]));

    private static int Limit(PackedText text) =>
        text.Ids.Length == 0 || text.Reads.Length == 0 ? 0 : Math.Clamp(text.Reads.Min(), 0, text.Ids.Length - 1);
}
