using CsCheck;
using LdlVk.Runtime.Caching;
using Xunit;

namespace LdlVk.Runtime.Tests.Caching;

/// <summary>The tree of the prompt cache, against a list of what its blocks must hold.</summary>
public sealed class PromptCacheTests
{
    /// <summary>Texts over two tokens behind a first one, so that they leave each other everywhere.</summary>
    private static readonly Gen<int[]> Texts =
        from prefix in Gen.Int[0, 12]
        from length in Gen.Int[0, 60]
        from end in Gen.Int[0, 1].Array[1, 40]
        select (int[])[prefix, .. Enumerable.Range(0, length).Select(i => ((i * 5) + (i / 7 * prefix)) % 2), .. end];

    [Fact]
    public void A_found_beginning_is_that_of_the_text()
    {
        long found = 0, evicted = 0;
        Gen.Select(Texts.Array[1, 60], Gen.Int[16, 150], Gen.Int[0, 2]).Sample(
            x =>
            {
                (int[][] texts, int capacity, int hints) = x;
                PromptCache cache = new(capacity);
                Dictionary<CachedBlock, (int[] Text, int From)> blocks = [];
                foreach (int[] text in texts)
                {
                    int prompt = hints == 0 ? 0 : text.Length / hints;
                    int met = cache.Meet(text, prompt);
                    bool isNew = prompt > met;
                    met = Math.Max(met, prompt);
                    CacheMatch match = cache.Find(text, text.Length - 1);
                    int position = 0;
                    foreach (CachedRows rows in match.Rows)
                    {
                        (int[] holder, int from) = blocks[rows.Block];
                        // The block's tokens are the text's, and so are those before them.
                        Assert.Equal(position, from + rows.First);
                        Assert.True(text.AsSpan(0, position + rows.Count).SequenceEqual(holder.AsSpan(0, position + rows.Count)));
                        Assert.InRange(rows.First + rows.Count, 1, rows.Block.Rows);
                        position += rows.Count;
                    }

                    Assert.Equal(match.Length, position);
                    found += match.Length;
                    if (cache.Keep(text, match.Length, met, isNew) is { } kept)
                    {
                        Assert.Equal(met - match.Length - kept.Skipped, kept.Block.Rows);
                        blocks.Add(kept.Block, (text, match.Length + kept.Skipped));
                        Assert.Equal(met, cache.Find(text, met).Length);
                    }

                    cache.Packed();
                    foreach (CachedBlock dropped in cache.Begin()) Assert.True(blocks.Remove(dropped));
                    Assert.Equal(blocks.Keys.Sum(b => (long)b.Rows), cache.Use.Stored);
                    Assert.InRange(cache.Use.Stored, 0, capacity);
                }

                evicted += cache.Use.Evicted;
                cache.Shrink();
                Assert.Equal(blocks.Count, cache.Begin().Count);
                Assert.Equal(CacheMatch.None, cache.Find(texts[0], texts[0].Length));
            },
            iter: 300, threads: 1, seed: "0000KOIKg5O3");
        Assert.True(found > 10_000 && evicted > 1_000, $"{found} found, {evicted} evicted");
    }

    [Fact]
    public void A_beginning_is_kept_from_the_second_time_on()
    {
        PromptCache cache = new(1000);
        int[] prompt = [.. Enumerable.Range(0, 100)];
        Assert.Equal(0, cache.Meet((int[])[.. prompt, 200]));
        Assert.Equal(100, cache.Meet((int[])[.. prompt, 201]));
        Assert.NotNull(cache.Keep((int[])[.. prompt, 201], 0, 100));
        Assert.Equal(100, cache.Find([.. prompt, 202], 100).Length);
        Assert.Equal(40, cache.Find([.. prompt[..40], 5, 6], 41).Length);
        Assert.Equal(30, cache.Find([.. prompt, 202], 30).Length);
        Assert.Equal(CacheMatch.None, cache.Find([.. prompt[..10], 5, 6], 11));
    }

    [Fact]
    public void What_is_met_first_replaces_only_what_nothing_used()
    {
        PromptCache cache = new(100);
        int[] used = Prompt(0), once = Prompt(1), other = Prompt(2), third = Prompt(3);
        foreach (int[] prompt in (int[][])[used, once, other, third]) Assert.Equal(0, cache.Meet(prompt, 40));
        Assert.NotNull(cache.Keep(used, 0, 40, isNew: true));
        Assert.Equal(40, cache.Find(used, 40).Length);
        CachedBlock unused = cache.Keep(once, 0, 40, isNew: true)!.Value.Block;
        for (int wave = 0; wave < 4; wave++) cache.Packed();
        // The used one is older, and stays.
        CachedBlock kept = cache.Keep(other, 0, 40, isNew: true)!.Value.Block;
        Assert.Equal([unused], cache.Begin());
        for (int wave = 0; wave < 4; wave++) cache.Packed();
        Assert.Equal(40, cache.Find(other, 40).Length);
        for (int wave = 0; wave < 4; wave++) cache.Packed();
        Assert.Null(cache.Keep(third, 0, 40, isNew: true));
        // When it is met again, it is worth as much as those.
        Assert.NotNull(cache.Keep(third, 0, 40));
        Assert.Equal(CacheMatch.None, cache.Find(used, 40));
        Assert.Equal(40, cache.Find(other, 40).Length);
        Assert.DoesNotContain(kept, cache.Begin());
    }

    [Fact]
    public void Where_prompts_come_again_a_new_one_replaces_an_old_one()
    {
        PromptCache cache = new(100);
        foreach (int p in (int[])[0, 1])
        {
            for (int answer = 0; answer < 30; answer++) cache.Meet((int[])[.. Prompt(p), answer], 40);
            Assert.NotNull(cache.Keep(Prompt(p), 0, 40));
        }

        for (int wave = 0; wave < 4; wave++) cache.Packed();
        cache.Meet(Prompt(2), 40);
        Assert.Null(cache.Keep(Prompt(2), 0, 40, isNew: true));
        // 58 of 60, counted over 128, are less than half; 118 of 120 are more.
        for (int answer = 0; answer < 60; answer++) cache.Meet((int[])[.. Prompt(1), answer], 40);
        Assert.NotNull(cache.Keep(Prompt(2), 0, 40, isNew: true));
    }

    [Fact]
    public void Where_prompts_do_not_come_again_new_ones_are_not_copied()
    {
        PromptCache cache = new(10_000);
        for (int p = 0; p < 80; p++)
        {
            cache.Meet(Prompt(p), 40);
            Assert.NotNull(cache.Keep(Prompt(p), 0, 40, isNew: true));
        }

        for (int p = 80; p < 100; p++) cache.Meet(Prompt(p), 40);
        Assert.Null(cache.Keep(Prompt(99), 0, 40, isNew: true));
        Assert.NotNull(cache.Keep(Prompt(99), 0, 40));
        for (int again = 0; again < 10; again++) cache.Meet(Prompt(99), 40);
        cache.Meet(Prompt(100), 40);
        Assert.NotNull(cache.Keep(Prompt(100), 0, 40, isNew: true));
    }

    private static int[] Prompt(int number) => [.. Enumerable.Range(100 * number, 40)];

    /// <summary>Every prompt begins with the template's tokens, which are too few to be taken.</summary>
    [Fact]
    public void A_short_beginning_that_is_stored_keeps_no_other_text_out()
    {
        PromptCache cache = new(1000);
        int[][] prompts = [.. Enumerable.Range(1, 3).Select(p => (int[])[2, 106, 7, .. Enumerable.Range(100 * p, 50)])];
        foreach (int[] prompt in prompts)
        {
            cache.Meet((int[])[.. prompt, 1]);
            Assert.Equal(53, cache.Meet((int[])[.. prompt, 2]));
            Assert.Equal(CacheMatch.None, cache.Find([.. prompt, 2], 53));
            KeptBlock kept = cache.Keep((int[])[.. prompt, 2], 0, 53)!.Value;
            Assert.Equal(prompt == prompts[0] ? 0 : 3, kept.Skipped);
            Assert.Equal(53, cache.Find([.. prompt, 3], 53).Length);
        }

        Assert.Equal(3 + (3 * 50), cache.Use.Stored);
    }

    [Fact]
    public void What_was_not_filled_is_forgotten_with_what_builds_on_it()
    {
        PromptCache cache = new(1000);
        int[] text = [.. Enumerable.Range(0, 100)];
        cache.Meet(text);
        CachedBlock first = cache.Keep(text, 0, 50)!.Value.Block, second = cache.Keep(text, 50, 90)!.Value.Block;
        cache.Forget([first]);
        Assert.Equal([second, first], cache.Begin());
        Assert.Equal(0, cache.Use.Stored);
        Assert.NotNull(cache.Keep(text, 0, 90));
    }

    [Fact]
    public void What_is_used_longest_ago_goes_first_and_nothing_of_the_waves_at_hand()
    {
        PromptCache cache = new(100);
        int[][] texts = [.. Enumerable.Range(0, 4).Select(t => Enumerable.Range(100 * t, 40).ToArray())];
        foreach (int[] text in texts) cache.Meet(text);
        CachedBlock[] blocks = [cache.Keep(texts[0], 0, 40)!.Value.Block, cache.Keep(texts[1], 0, 40)!.Value.Block];
        Assert.Null(cache.Keep(texts[2], 0, 40));
        for (int wave = 0; wave < 4; wave++) cache.Packed();
        Assert.Equal(40, cache.Find(texts[0], 40).Length);
        Assert.NotNull(cache.Keep(texts[2], 0, 40));
        Assert.Equal([blocks[1]], cache.Begin());
    }

    [Fact]
    public void A_text_longer_than_the_cache_evicts_nothing()
    {
        PromptCache cache = new(50);
        int[] small = [.. Enumerable.Range(0, 40)], large = [.. Enumerable.Range(100, 60)];
        cache.Meet(small);
        cache.Meet(large);
        Assert.NotNull(cache.Keep(small, 0, 40));
        for (int wave = 0; wave < 9; wave++) cache.Packed();
        Assert.Null(cache.Keep(large, 0, 60));
        Assert.Equal(40, cache.Find(small, 40).Length);
    }
}
