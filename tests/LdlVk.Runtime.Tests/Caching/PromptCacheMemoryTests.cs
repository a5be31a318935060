using LdlVk.Runtime.Caching;
using Xunit;

namespace LdlVk.Runtime.Tests.Caching;

/// <summary>
/// The memory that the prompt cache's tree takes. The figure is the whole process's, so no other test of the project runs meanwhile.
/// </summary>
[CollectionDefinition(nameof(PromptCacheMemoryTests), DisableParallelization = true)]
[Collection(nameof(PromptCacheMemoryTests))]
public sealed class PromptCacheMemoryTests
{
    /// <summary>However short the texts are, what is remembered of them takes no more than some 64 MiB.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(30)]
    public void What_was_seen_takes_bounded_memory(int length)
    {
        PromptCache cache = new(1000);
        int[] text = new int[length + 1];
        long before = GC.GetTotalMemory(forceFullCollection: true);
        for (int i = 0; i < 600_000; i++)
        {
            (text[0], text[1]) = (i / 2, i);
            cache.Meet((int[])[.. text]);
        }

        AssertBounded(before, cache);
    }

    /// <summary>A beginning that many texts had does not hold the memory of the first of them.</summary>
    [Fact]
    public void A_seen_beginning_holds_no_more_than_itself()
    {
        PromptCache cache = new(1000);
        long before = GC.GetTotalMemory(forceFullCollection: true);
        for (int i = 0; i < 4000; i++)
        {
            int[] text = new int[10_000];
            text[0] = i;
            cache.Meet(text);
            // The beginnings stay in use, so that only what follows them is forgotten.
            for (int used = i; i % 100 == 0 && used >= 0; used--) cache.Meet((int[])[used, 1]);
        }

        AssertBounded(before, cache);
    }

    private static void AssertBounded(long before, PromptCache cache)
    {
        // Below nothing where memory of earlier tests is given back meanwhile.
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, long.MinValue, 80 << 20);
        GC.KeepAlive(cache);
    }
}
