using System.Text.Json;
using System.Text.RegularExpressions;
using CsCheck;
using LdlVk.Testing;
using Microsoft.ML.Tokenizers;
using Xunit;

namespace LdlVk.Runtime.Tests.Text;

/// <summary>
/// A second oracle, written by others: Microsoft.ML.Tokenizers' BpeTokenizer with the same vocabulary and merges. It knows neither the
/// added tokens nor byte fallback of Gemma-2, so it gets the text between added tokens, and no character outside the vocabulary.
/// </summary>
public class BpeTokenizerTests
{
    private static readonly Lazy<Oracle> Mini = new(() => new Oracle(Goldens.MiniPath)), Gemma2 = new(() => new Oracle(FetchedTokenizer.Gemma2.File.Path!));

    // Few characters, often repeated: neighboring pairs of equal rank, and pairs that overlap.
    private static readonly Gen<string> Ties = Gen.Select(Gen.OneOf(Gen.Char["aehlnst"], Gen.Char["  1230.,!?-='\"()_*/éЖ漢\t"]), Gen.OneOf(Gen.Const(1), Gen.Int[1, 40]))
        .Select((c, count) => new string(c, count)).Array[0, 40].Select(runs => string.Concat(runs));

    // The same without runs: every length and order of a handful of letters.
    private static readonly Gen<string> Letters = Gen.OneOf(Gen.String["ab "], Gen.String["esth "], Gen.String["01 ."], Gen.String["\n\t a"], Gen.String["-=_* "]);

    [Fact]
    public void Ldl_mini_gives_the_oracles_ids_for_prose() => Assert.All(Prose(), text => AssertSame(Goldens.Mini, Mini.Value, text));

    [Fact]
    public void Gemma2_gives_the_oracles_ids_for_prose()
    {
        Runtime.Text.Tokenizer tokenizer = TokenizerGoldenTests.Gemma2();
        Assert.All(Prose(), text => AssertSame(tokenizer, Gemma2.Value, text));
    }

    [Fact]
    public void Ldl_mini_gives_the_oracles_ids_for_ties() => Gen.OneOf(Ties, Letters).Sample(text => AssertSame(Goldens.Mini, Mini.Value, text), iter: 2000);

    [Fact]
    public void Gemma2_gives_the_oracles_ids_for_ties()
    {
        Runtime.Text.Tokenizer tokenizer = TokenizerGoldenTests.Gemma2();
        Gen.OneOf(Ties, Letters).Sample(text => AssertSame(tokenizer, Gemma2.Value, text), iter: 2000);
    }

    private static void AssertSame(Runtime.Text.Tokenizer tokenizer, Oracle oracle, string text)
    {
        text = oracle.WithoutUnknown(text);
        Assert.Equal(oracle.Encode(text), tokenizer.Encode(text));
    }

    private static IEnumerable<string> Prose() => Goldens.Lines("tests", "data", "ldl-mini", "eval-permissive.jsonl")
        .SelectMany(line => new[] { line.Text("prompt"), line.Text("chosen"), line.Text("rejected") });

    private sealed class Oracle
    {
        private readonly BpeTokenizer bpe;
        private readonly Dictionary<string, int> ids;
        private readonly Regex addedTokens;

        internal Oracle(string path)
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(path));
            JsonElement model = document.RootElement.GetProperty("model");
            ids = model.GetProperty("vocab").EnumerateObject().ToDictionary(piece => piece.Name, piece => piece.Value.GetInt32());
            bpe = BpeTokenizer.Create(new BpeOptions(ids)
            {
                Merges = [.. model.GetProperty("merges").EnumerateArray().Select(merge => merge.GetString()!)],
            });
            // The first alternative that fits wins, so the longest comes first.
            string[] added = [.. document.RootElement.GetProperty("added_tokens").EnumerateArray().Select(token => token.Text("content"))];
            addedTokens = new Regex($"({string.Join('|', added.OrderByDescending(token => token.Length).Select(Regex.Escape))})", RegexOptions.CultureInvariant);
        }

        internal string WithoutUnknown(string text) =>
            string.Concat(text.EnumerateRunes().Where(rune => rune.Value == ' ' || ids.ContainsKey(rune.ToString())));

        /// <summary>Regex.Split gives the text between two added tokens at even places, and the tokens, which it captures, at odd ones.</summary>
        internal IEnumerable<int> Encode(string text) => addedTokens.Split(text).SelectMany(
            (part, i) => i % 2 == 1 ? [ids[part]] : bpe.EncodeToIds(part.Replace(' ', '▁'), considerPreTokenization: false));
    }
}
