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
        long found = 0, evicted = 0, returned = 0, lost = 0;
        Gen.Select(Texts.Array[1, 60], Gen.Int[16, 150], Gen.Int[0, 250], Gen.Int[0, 2]).Sample(
            x =>
            {
                (int[][] texts, int capacity, int hostCapacity, int hints) = x;
                if (hostCapacity < 100) hostCapacity = 0;
                PromptCache cache = new(capacity, hostCapacity);
                Dictionary<CachedBlock, (int[] Text, int From, CachePlace Place)> blocks = [];
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
                        (int[] holder, int from, _) = blocks[rows.Block];
                        // The block's tokens are the text's, and so are those before them.
                        Assert.Equal(position, from + rows.First);
                        Assert.True(text.AsSpan(0, position + rows.Count).SequenceEqual(holder.AsSpan(0, position + rows.Count)));
                        Assert.InRange(rows.First + rows.Count, 1, rows.Block.Rows);
                        position += rows.Count;
                    }

                    Assert.Equal(match.Length, position);
                    found += match.Length;
                    KeptBlock? kept = cache.Keep(text, match.Length, met, isNew);
                    if (kept is { } made)
                    {
                        Assert.Equal(met - match.Length - made.Skipped, made.Block.Rows);
                        Assert.Equal(met, cache.Find(text, met).Length);
                    }

                    cache.Packed();
                    foreach (CacheMove move in cache.Begin())
                    {
                        // Room is made before it is taken.
                        Assert.NotEqual(move.To, blocks[move.Block].Place);
                        blocks[move.Block] = blocks[move.Block] with { Place = move.To };
                        Assert.InRange(Tokens(CachePlace.Device), 0, capacity);
                        Assert.InRange(Tokens(CachePlace.Host), 0, hostCapacity);
                        if (move.To == CachePlace.Nowhere) blocks.Remove(move.Block);
                    }

                    if (kept is { } filled) blocks.Add(filled.Block, (text, match.Length + filled.Skipped, CachePlace.Device));
                    Assert.All(match.Rows, rows => Assert.Equal(CachePlace.Device, blocks[rows.Block].Place));
                    Assert.All(blocks, block => Assert.Equal(block.Value.Place, block.Key.Place));
                    Assert.Equal((Tokens(CachePlace.Device), Tokens(CachePlace.Host)), (cache.Use.Stored, cache.Use.HostStored));
                    Assert.InRange(cache.Use.Stored, 0, capacity);
                }

                (evicted, returned, lost) = (evicted + cache.Use.Evicted, returned + cache.Use.HostTaken, lost + cache.Use.HostEvicted);
                cache.Shrink();
                foreach (CacheMove move in cache.Begin()) Assert.True(move.To == CachePlace.Nowhere && blocks.Remove(move.Block));
                Assert.DoesNotContain(blocks.Values, block => block.Place == CachePlace.Device);
                Assert.Equal((0, Tokens(CachePlace.Host)), (cache.Use.Stored, cache.Use.HostStored));
                foreach (CachedBlock block in blocks.Keys) cache.Missing(block);
                Assert.Equal(CacheMatch.None, cache.Find(texts[0], texts[0].Length));
                Assert.Equal((0, 0), (cache.Use.Stored, cache.Use.HostStored));

                long Tokens(CachePlace place) => blocks.Where(b => b.Value.Place == place).Sum(b => (long)b.Key.Rows);
            },
            iter: 600, threads: 1, seed: "0000KOIKg5O3");
        Assert.True(found > 10_000 && evicted > 1_000 && returned > 1_000 && lost > 100, $"{found} found, {evicted} evicted, {returned} came back, {lost} lost");
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
        Assert.Equal([unused], Dropped(cache));
        for (int wave = 0; wave < 4; wave++) cache.Packed();
        Assert.Equal(40, cache.Find(other, 40).Length);
        for (int wave = 0; wave < 4; wave++) cache.Packed();
        Assert.Null(cache.Keep(third, 0, 40, isNew: true));
        // When it is met again, it is worth as much as those.
        Assert.NotNull(cache.Keep(third, 0, 40));
        Assert.Equal(CacheMatch.None, cache.Find(used, 40));
        Assert.Equal(40, cache.Find(other, 40).Length);
        Assert.DoesNotContain(kept, Dropped(cache));
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

    private static IEnumerable<CachedBlock> Dropped(PromptCache cache) =>
        cache.Begin().Select(move => move.To == CachePlace.Nowhere ? move.Block : throw new InvalidOperationException($"{move.To}"));

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
        Assert.Equal([second, first], Dropped(cache));
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
        Assert.Equal([blocks[1]], Dropped(cache));
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

    [Fact]
    public void What_leaves_the_devices_waits_in_host_memory_until_it_is_asked_for()
    {
        PromptCache cache = new(100, 100);
        CachedBlock[] blocks = [.. Enumerable.Range(0, 5).Select(p => Keep(cache, p))];
        // The first two have made room, and the first of them for the third and fourth in host memory too.
        Assert.Equal(
            [(blocks[0], CachePlace.Host), (blocks[1], CachePlace.Host), (blocks[0], CachePlace.Nowhere), (blocks[2], CachePlace.Host)],
            Moves(cache));
        Assert.Equal(CacheMatch.None, cache.Find(Prompt(0), 40));
        Assert.Empty(Moves(cache));
        Assert.Equal(new CachedRows(blocks[1], 0, 40), Assert.Single(cache.Find(Prompt(1), 40).Rows));
        Assert.Equal(
            [(blocks[2], CachePlace.Nowhere), (blocks[3], CachePlace.Host), (blocks[1], CachePlace.Device)], Moves(cache));
        PromptCacheUse use = cache.Use;
        Assert.Equal((80, 40, 40), (use.Stored, use.HostStored, use.HostTaken));
        Assert.Equal((160, 80), (use.Evicted, use.HostEvicted));
    }

    /// <summary>Used blocks go to host memory; others only where most prompts come again.</summary>
    [Fact]
    public void What_nothing_used_is_dropped()
    {
        PromptCache cache = new(100, 1000);
        for (int p = 0; p < 4; p++)
        {
            cache.Meet(Prompt(p), 40);
            Assert.NotNull(cache.Keep(Prompt(p), 0, 40, isNew: true));
            for (int wave = 0; wave < 4; wave++) cache.Packed();
        }

        Assert.Equal(2, Dropped(cache).Count());
        Assert.Equal(0, cache.Use.HostStored);
    }

    /// <summary>Two blocks of one text, of which the second has no room: the beginning that is there is taken.</summary>
    [Fact]
    public void A_beginning_comes_back_as_far_as_there_is_room()
    {
        PromptCache cache = new(100, 400);
        int[] text = [.. Enumerable.Range(0, 90)];
        cache.Meet(text);
        CachedBlock first = cache.Keep(text, 0, 50)!.Value.Block, second = cache.Keep(text, 50, 90)!.Value.Block;
        for (int wave = 0; wave < 4; wave++) cache.Packed();
        Keep(cache, 8);
        Keep(cache, 9);
        Assert.Equal([(second, CachePlace.Host), (first, CachePlace.Host)], Moves(cache));
        Assert.Equal(40, cache.Find(Prompt(9), 40).Length);
        Assert.Equal(50, cache.Find(text, 80).Length);
        Assert.Equal((90, 80), (cache.Use.Stored, cache.Use.HostStored));
        // Nor is anything kept behind what is not there.
        cache.Meet((int[])[.. text, 1, 2]);
        Assert.Null(cache.Keep((int[])[.. text, 1, 2], 90, 92, atLeast: 1));
        for (int wave = 0; wave < 4; wave++) cache.Packed();
        Assert.Equal(90, cache.Find([.. text, 1], 91).Length);
        Assert.Equal(CachePlace.Device, second.Place);
    }

    [Fact]
    public void A_block_without_host_memory_is_dropped_and_so_much_is_not_tried_again()
    {
        PromptCache cache = new(100, 200);
        CachedBlock first = Keep(cache, 0);
        Keep(cache, 1);
        Keep(cache, 2);
        Assert.Equal([(first, CachePlace.Host)], Moves(cache));
        cache.OutOfRoom(first, CachePlace.Host);
        Assert.Equal([(first, CachePlace.Nowhere)], Moves(cache));
        Assert.Equal((0, 0, 100), (cache.Use.HostCapacity, cache.Use.HostStored, cache.Use.Capacity));
        Keep(cache, 3);
        Assert.Equal(CachePlace.Nowhere, Assert.Single(Moves(cache)).To);
    }

    /// <summary>A way of as many nodes as the text has tokens is dropped on any thread's stack.</summary>
    [Fact]
    public void Texts_of_which_each_begins_the_next_are_dropped_with_a_small_stack()
    {
        const int Length = 5000;
        int[] text = [.. Enumerable.Range(0, Length)];
        PromptCache cache = new(Length);
        cache.Meet(text);
        CachedBlock block = cache.Keep(text, 0, Length)!.Value.Block;
        for (int i = 1; i < Length; i++) cache.Meet(text.AsMemory(0, i));
        Thread thread = new(() => cache.Missing(block), 128 << 10);
        thread.Start();
        thread.Join();
        Assert.Equal(0, cache.Use.Stored);
        Assert.Equal([(block, CachePlace.Nowhere)], Moves(cache));
    }

    /// <summary>Keeps a prompt, as one that was met before, and lets waves pass.</summary>
    private static CachedBlock Keep(PromptCache cache, int prompt)
    {
        cache.Meet(Prompt(prompt));
        CachedBlock block = cache.Keep(Prompt(prompt), 0, 40)!.Value.Block;
        for (int wave = 0; wave < 4; wave++) cache.Packed();
        return block;
    }

    private static IEnumerable<(CachedBlock Block, CachePlace To)> Moves(PromptCache cache) => cache.Begin().Select(move => (move.Block, move.To));
}
