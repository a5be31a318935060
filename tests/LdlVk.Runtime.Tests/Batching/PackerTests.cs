using CsCheck;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;
using Xunit;

namespace LdlVk.Runtime.Tests.Batching;

/// <summary>What must hold for the micro-batches of any texts.</summary>
public class PackerTests
{
    // Two ids: texts that are equal, or begin with one another, or share a beginning, all the time.
    private static readonly Gen<int[][]> Tangled = Gen.Int[0, 1].Array[1, 6].Array[0, 24];

    // A template's beginning, a few prompts, responses to each: what best-of-N and pairwise data look like, in any order.
    private static readonly Gen<int[][]> Responses = Gen.Select(Gen.Int[0, 3], Gen.Int[0, 12].Array[4], Gen.Int[0, 3].Array[0, 8].Array[1, 16], Gen.Int[0, 3].Array[16])
        .Select((template, lengths, responses, prompts) => responses.Select((response, i) =>
            (int[])[.. Enumerable.Range(100, template), .. Enumerable.Repeat(10 + prompts[i], 1 + lengths[prompts[i]]), .. response]).ToArray());

    private static readonly Gen<(int[][] Texts, int MaxTokens)> Cases = Gen.Select(Gen.OneOf(Tangled, Responses), Gen.OneOf(Gen.Const(1), Gen.Int[1, 60]));

    [Fact]
    public void Every_text_is_in_one_batch_with_its_own_tokens_and_positions() => Cases.Sample(x =>
    {
        foreach (bool share in (bool[])[true, false])
        {
            List<MicroBatch> batches = [.. Packer.Pack(x.Texts, x.MaxTokens, share)];
            Assert.Equal(Enumerable.Range(0, x.Texts.Length), batches.SelectMany(batch => batch.Texts).Order());
            foreach (MicroBatch batch in batches) AssertSound(batch, x.Texts);
        }
    }, iter: 1000);

    [Fact]
    public void A_batch_keeps_to_its_rows_unless_one_text_is_longer() => Cases.Sample(x =>
    {
        foreach (bool share in (bool[])[true, false])
            foreach (MicroBatch batch in Packer.Pack(x.Texts, x.MaxTokens, share))
                Assert.True(batch.Rows <= Math.Max(x.MaxTokens, batch.Texts.Max(text => x.Texts[text].Length)),
                    $"{batch.Rows} rows of at most {x.MaxTokens} for texts of {string.Join(", ", batch.Texts.Select(text => x.Texts[text].Length))} tokens");
    }, iter: 1000);

    /// <summary>The last layer and the heads compute a row for every text, so that equal texts, which share all rows, need memory too.</summary>
    [Fact]
    public void A_batch_has_no_more_texts_than_rows_are_allowed()
    {
        Cases.Sample(x => Assert.All(Packer.Pack(x.Texts, x.MaxTokens), batch => Assert.InRange(batch.Texts.Length, 1, x.MaxTokens)));
        int[][] equal = [.. Enumerable.Repeat(new[] { 1, 2, 3 }, 100)];
        Assert.Equal([8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 4], Packer.Pack(equal, 8).Select(batch => batch.Texts.Length));
    }

    [Fact]
    public void Without_sharing_every_token_is_a_row_and_with_it_never_more() => Cases.Sample(x =>
    {
        Assert.Equal(x.Texts.Sum(text => text.Length), Rows(x.Texts, x.MaxTokens, share: false));
        Assert.InRange(Rows(x.Texts, x.MaxTokens), 0, x.Texts.Sum(text => text.Length));
    }, iter: 1000);

    /// <summary>Best of 16, 1,000-token prompts and 100-token answers, after other texts: every prompt is computed once.</summary>
    [Fact]
    public void A_long_prompt_with_its_answers_is_not_cut_by_the_end_of_a_batch()
    {
        List<int[]> texts = [.. Enumerable.Range(0, 5).Select(i => Enumerable.Repeat(90 + i, 300).ToArray())];
        for (int prompt = 0; prompt < 6; prompt++)
            for (int answer = 0; answer < 16; answer++)
                texts.Add([.. Enumerable.Repeat(10 + prompt, 1000), .. Enumerable.Repeat(200 + answer, 100)]);
        MicroBatch[] batches = [.. Packer.Pack(texts, 4096)];
        Assert.Equal((5 * 300) + (6 * 2600), batches.Sum(batch => batch.Rows));
        Assert.Equal(7, batches.Length);
    }

    [Fact]
    public void Texts_of_one_token_cost_a_row_for_each_token() =>
        Gen.Int[0, 3].Array[1].Array[1, 20].Sample(texts => Assert.Equal(texts.Select(text => text[0]).Distinct().Count(), Rows(texts, 100)));

    [Fact]
    public void The_order_of_the_texts_does_not_change_what_is_shared() =>
        Gen.Select(Gen.OneOf(Tangled, Responses), Gen.Int).Sample((texts, seed) =>
        {
            int[][] shuffled = [.. texts];
            new Random(seed).Shuffle(shuffled);
            Assert.Equal(Rows(texts, 10_000), Rows(shuffled, 10_000));
        });

    [Fact]
    public void Responses_to_one_prompt_cost_the_prompt_once() =>
        Gen.Select(Gen.Int[1, 300], Gen.Int[0, 50].Array[2, 32], Gen.Int[0, 100]).Sample((prompt, own, room) =>
        {
            // Each response begins with a token of its own: no two share more than the prompt.
            int[][] texts = [.. own.Select((length, i) => (int[])[.. Enumerable.Range(0, prompt), .. Enumerable.Repeat(1000 + i, length + 1)])];
            int cost = prompt + own.Sum(length => length + 1);
            Assert.Equal(cost, Assert.Single(Packer.Pack(texts, cost + room)).Rows);
            if (cost - 1 > texts.Max(text => text.Length)) Assert.NotEqual(1, Packer.Pack(texts, cost - 1).Count());
        });

    [Fact]
    public void Equal_texts_cost_one() =>
        Gen.Select(Gen.Int[1, 50], Gen.Int[1, 50]).Sample((length, count) =>
            Assert.Equal(length, Rows([.. Enumerable.Repeat(Enumerable.Range(0, length).ToArray(), count)], 50)));

    [Fact]
    public void Equal_texts_longer_than_a_batch_cost_one_too() =>
        Assert.Equal(50, Rows([.. Enumerable.Repeat(Enumerable.Range(0, 50).ToArray(), 5)], 10));

    [Fact]
    public void A_text_that_begins_another_costs_nothing()
    {
        int[] longer = [.. Enumerable.Range(0, 20)];
        Assert.Equal(20, Rows([longer, longer[..7]], 20));
        Assert.Equal(20, Rows([longer[..7], longer], 20));
    }

    /// <summary>Every conversation begins with the template's tokens; a lone prompt that shares no more must not spoil the sharing of others.</summary>
    [Fact]
    public void Prompts_are_shared_whatever_stands_beside_them() => Responses.Sample(texts =>
    {
        int byPrompt = texts.GroupBy(text => text.FirstOrDefault(id => id < 100)).Sum(group =>
        {
            int[][] members = [.. group];
            int shared = members.Skip(1).Aggregate(members[0].Length, (n, text) => Math.Min(n, members[0].AsSpan().CommonPrefixLength(text)));
            return shared + members.Sum(text => text.Length - shared);
        });
        Assert.InRange(Rows(texts, 10_000), 0, byPrompt);
    }, iter: 1000);

    /// <summary>The search for what to share looks at pairs of texts; a window of the shortest texts must not take a minute.</summary>
    [Fact]
    public async Task Thousands_of_short_texts_take_no_time_to_speak_of()
    {
        int[][] texts = [.. Enumerable.Range(0, 32_768).Select(i => new[] { 1, i })];
        int rows = await Task.Run(() => Rows(texts, 4096), TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        Assert.InRange(rows, texts.Length + 1, texts.Length + 32); // the beginning once a batch or group
    }

    [Fact]
    public void No_texts_make_no_batch() => Assert.Empty(Packer.Pack((int[][])[], 1));

    [Fact]
    public void Senseless_calls_are_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => Packer.Pack([[1]], 0).ToList());
        Assert.Contains("Text 1", Assert.Throws<ArgumentException>(() => Packer.Pack([[1], []], 8).ToList()).Message, StringComparison.Ordinal);
        Assert.Contains("Text 1", Assert.Throws<ArgumentException>(() => Packer.Pack([[1], []], 8, sharePrefixes: false).ToList()).Message, StringComparison.Ordinal);
    }

    private static int Rows(int[][] texts, int maxTokens, bool share = true) => Packer.Pack(texts, maxTokens, share).Sum(batch => batch.Rows);

    /// <summary>Every row belongs to one segment, sees itself last, and sees, for each text it is a row of, that text's tokens up to itself.</summary>
    private static void AssertSound(MicroBatch batch, int[][] texts)
    {
        int[] segmentOf = new int[batch.Rows];
        int next = 0;
        for (int s = 0; s < batch.Segments.Length; s++)
        {
            AttentionSegment segment = batch.Segments[s];
            Assert.Equal(next, segment.QueryRow);
            Assert.True(segment.QueryCount > 0);
            for (int i = 0; i < segment.QueryCount; i++, next++)
            {
                segmentOf[next] = s;
                Assert.Equal(segment.QueryPosition + i, batch.Positions[next]);
                Assert.Equal(next, KeyRow(segment, segment.QueryPosition + i));
            }
        }
        Assert.Equal(batch.Rows, next);
        Assert.Equal(batch.Rows, batch.Positions.Length);

        bool[] needed = new bool[batch.Rows];
        for (int i = 0; i < batch.Texts.Length; i++)
        {
            int[] text = texts[batch.Texts[i]];
            ReadRow read = Assert.Single(batch.Reads[i]);
            Assert.Equal(0, read.BatchesBack);
            AttentionSegment last = batch.ReadSegments[read.Index];
            Assert.Equal((read.Index, 1, text.Length - 1), (last.QueryRow, last.QueryCount, last.QueryPosition));
            Assert.Equal((text.Length, text.Length - 1), (batch.TokenCounts[i], batch.ReadPositions[read.Index]));
            Assert.Equal(KeyRow(last, text.Length - 1), batch.ReadRows[read.Index]);
            for (int p = 0; p < text.Length; p++)
            {
                int row = KeyRow(last, p);
                needed[row] = true;
                Assert.Equal((text[p], p), (batch.TokenIds[row], batch.Positions[row]));
                for (int key = 0; key <= p; key++) Assert.Equal(text[key], batch.TokenIds[KeyRow(batch.Segments[segmentOf[row]], key)]);
            }
        }
        Assert.DoesNotContain(false, needed); // no row is computed for nothing
        Assert.Equal((batch.Texts.Length, batch.Texts.Length), (batch.Reads.Length, batch.TokenCounts.Length));
        Assert.Equal((batch.ReadRows.Length, batch.ReadRows.Length), (batch.ReadPositions.Length, batch.ReadSegments.Length));
        Assert.Distinct(batch.ReadRows); // a row is read once for all texts
    }

    private static int KeyRow(AttentionSegment segment, int position) =>
        position < segment.PrefixLength ? segment.PrefixRow + position : segment.OwnRow + position - segment.PrefixLength;
}
