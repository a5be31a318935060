using System.Text;
using CsCheck;
using LdlVk.Runtime.Text;
using Xunit;

namespace LdlVk.Runtime.Tests.Text;

public class TokenizerTests
{
    private static readonly NaiveTokenizer Naive = new(Goldens.MiniPath);
    private static readonly Tokenizer Uncached = Tokenizer.Load(Goldens.MiniPath, cacheWords: false);

    // Bits that meet every rule: words, runs, added tokens and their beginnings, characters of 1 to 4 bytes, lone surrogates.
    private static readonly Gen<string> Text = Gen.OneOfConst(
        "the", "The ", " quick", "ing", "a", "aa", "e", "s", ",", ". ", "'", "-", "1", "23", "_", " ", "  ", "    ", "▁", "▁▁", "▁▁▁",
        "\n", "\n\n", "\n\n\n\n\n\n\n\n\n\n", "\t", "\r\n", "\0", "\u0085", "\u00a0", "é", "ß", "Ж", "漢", "字", "😀", "👩‍👩‍👧", "e\u0301", "\u200d",
        "\ufffd", "\ufeff", "\ud83d", "\ude00", "<", "<bos", "<bos>", "<start_of_turn>", "<end_of_turn>", "<pad>", "<0x41>", "<unused1>", "<unused10>", "0>")
        .Array[0, 40].Select(bits => string.Concat(bits));

    private static string WellFormed(string text) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));

    [Fact]
    public void Ids_are_those_of_the_definition() => Text.Sample(text => Assert.Equal(Naive.Encode(WellFormed(text)), Goldens.Mini.Encode(text)));

    [Fact]
    public void The_word_cache_changes_nothing() => Text.Sample(text =>
    {
        int[] expected = Uncached.Encode(text);
        Assert.Equal(expected, Goldens.Mini.Encode(text));
        Assert.Equal(expected, Goldens.Mini.Encode(text)); // now from the cache
    });

    [Fact]
    public void Ids_decode_to_the_text() => Text.Sample(text =>
        Assert.Equal(WellFormed(text).Replace('▁', ' '), Naive.Decode(Goldens.Mini.Encode(text))));

    [Fact]
    public void Text_splits_at_added_tokens() => Gen.Select(Text, Text, Gen.OneOfConst("<bos>", "<start_of_turn>", "<end_of_turn>", "<pad>"))
        .Sample((before, after, token) =>
        {
            before = before.Replace("<", "", StringComparison.Ordinal); // so that none begins in it
            Assert.True(Goldens.Mini.TryGetId(token, out int id));
            Assert.Equal([.. Goldens.Mini.Encode(before), id, .. Goldens.Mini.Encode(after)], Goldens.Mini.Encode(before + token + after));
        });

    [Fact]
    public void Ids_stay_below_the_vocabulary_size() => Text.Sample(text =>
        Assert.All(Goldens.Mini.Encode(text), id => Assert.InRange(id, 0, Goldens.Mini.VocabularySize - 1)));

    [Fact]
    public void Threads_share_a_tokenizer()
    {
        string[] texts = [.. Goldens.Lines("tests", "data", "ldl-mini", "eval-permissive.jsonl").Select(line => line.Text("chosen"))];
        int[][] expected = [.. texts.Select(Uncached.Encode)];
        Tokenizer shared = Tokenizer.Load(Goldens.MiniPath);
        Parallel.For(0, 8 * texts.Length, new ParallelOptions { MaxDegreeOfParallelism = 8 },
            i => Assert.Equal(expected[i % texts.Length], shared.Encode(texts[i % texts.Length])));
    }

    [Fact]
    public void A_lone_surrogate_counts_as_the_replacement_character()
    {
        // No theory: its data would pass through UTF-8, which replaces them in its own way.
        Assert.Equal(Goldens.Mini.Encode("a\ufffd"), Goldens.Mini.Encode("a\ud83d"));
        Assert.Equal(Goldens.Mini.Encode("\ufffd\ufffd"), Goldens.Mini.Encode("\ude00\ud83d"));
        Assert.Equal(Goldens.Mini.Encode("\ufffd\ud83d\ude00"), Goldens.Mini.Encode("\ud83d\ud83d\ude00"));
    }

    [Fact]
    public void An_empty_text_has_no_ids() => Assert.Empty(Goldens.Mini.Encode(""));

    [Fact]
    public void Tokens_are_found_by_content()
    {
        Assert.True(Goldens.Mini.TryGetId("<bos>", out int bos));
        Assert.Equal(Goldens.Mini.Bos, bos);
        Assert.False(Goldens.Mini.TryGetId("no such piece", out _));
    }

    [Fact]
    public void A_text_beyond_the_limit_is_refused() =>
        Assert.Contains("67108864", Assert.Throws<InputException>(() => Goldens.Mini.Encode(new string('a', (1 << 26) + 1))).Message, StringComparison.Ordinal);

    // Time that grew with the square of the length would take hours for a million characters that never part.
    [Theory]
    [InlineData("a")]
    [InlineData("ab")]
    [InlineData("漢")]
    [InlineData("=-")]
    [InlineData(" ")]
    [InlineData("<unused")]
    public async Task A_long_word_takes_no_quadratic_time(string bit)
    {
        string text = string.Concat(Enumerable.Repeat(bit, 1_000_000 / bit.Length));
        Tokenizer tokenizer = TokenizerGoldenTests.Gemma2();
        int[] ids = await Task.Run(() => tokenizer.Encode(text)).WaitAsync(TimeSpan.FromMinutes(5));
        Assert.InRange(ids.Length, text.Length / 64, text.Length);
    }
}
