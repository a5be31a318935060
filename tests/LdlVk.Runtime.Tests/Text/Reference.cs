using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Text;

/// <summary>The Rust library tokenizers, run by node on what a test makes up.</summary>
internal static class Reference
{
    /// <summary>What the reference makes of texts; the test is skipped where it cannot be had.</summary>
    internal static JsonElement[] Of(string kind, JsonNode what, List<string> texts) => OfEach(kind, [(what, texts)])[0];

    /// <summary>As <see cref="Of"/>, of several in one process: starting one takes longer than most answers.</summary>
    internal static JsonElement[][] OfEach(string kind, IReadOnlyList<(JsonNode What, List<string> Texts)> requests)
    {
        Assert.SkipWhen(ReferenceTokenizers.WhyNot is not null, ReferenceTokenizers.WhyNot ?? "");
        return ReferenceTokenizers.Answers([.. requests.Select(request => ReferenceTokenizers.Request(kind, request.What, request.Texts))]);
    }

    private static readonly string[] Words = "the The quick don't DON'T I'll he'S we'VE they'Re 'ſ HELLO helloWorld snake_case http://example.com/a?b=c x=1; 3.14159 12345678 é café naïve Straße ß ŉ ﬁ ﬆ 漢字 日本語テキスト 한국어 각 Привет мир مرحبا שלום नमस्ते สวัสดี Ⅷ ½ ² ٣٤٥ १२३ 𝟘𝟙𝟚 𝔘𝔫 🙂 👩‍👩‍👧 👍🏽 🇩🇪 ♥️ « ” ’ — … € ™ Ǆ ǅ Σς İ ı ſ K Å Ω ﷺ ㍿ ㋿ ｶﾞ １２３ ＡＢＣ".Split(' ');

    private static readonly string[] Odd = ["\0", "\u0001", "\u007f", "\u0085", "\u00a0", "\u00ad", "\u0300", "e\u0301", "a\u0323\u0307", "a\u0307\u0323", "\u1100\u1161\u11a8", "\u200b", "\u200d", "\u2028", "\u2029", "▁", "▁▁", "\u3000", "\ufeff", "\ufffd", "\U0010ffff", "\U000e0001", "\U0001d7d8", "\U00011de0", "\U00020000", "\u0378", "\u0f73\u0f71", "\U0001d15e", "\u2126", "\u0344", "\u0898", "<0x41>", "Ġ", "Ã©", "\u00b2", "\u24b6", "ＡＢ"];

    private static readonly string[] Spaces = [" ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", " \n ", "\v", "\f", "\u00a0", "\u2003", "          ", "\n\n\n\n\n", "\r"];

    private static readonly string[] Marks = ["!", "!!", "?", ".", "...", "---", "\"", "'", "''", "(", ")", "[[", "]]", "{", "/", "//", "\\", "#", "$", "%", "&", "*", "+", "=", "<", ">", "|", "~", "`", "```", ";", ":", "_", ",", "-", "→", "。", "！"];

    /// <summary>Texts of made-up mixtures, the same for one seed.</summary>
    /// <param name="count">How many.</param>
    /// <param name="seed">The seed.</param>
    /// <param name="tokens">Tokens to write among the words.</param>
    internal static List<string> Texts(int count, int seed, IReadOnlyList<string> tokens)
    {
        Random random = new(seed);
        List<string> texts = [];
        while (texts.Count < count)
        {
            StringBuilder text = new();
            bool isWild = random.Next(8) == 0;
            for (int bits = 1 + random.Next(12); bits > 0; bits--)
            {
                int kind = isWild ? 95 + random.Next(5) : random.Next(100);
                text.Append(kind switch
                {
                    < 38 => Some(Words),
                    < 55 => Some(Spaces),
                    < 67 => Some(Marks),
                    < 78 => Some(Odd),
                    < 83 => random.NextInt64((long)Math.Pow(10, 1 + random.Next(12))).ToString(System.Globalization.CultureInfo.InvariantCulture),
                    < 92 when tokens.Count > 0 => Some(["", " ", "  ", "\n", "a"]) + Some(tokens) + Some(["", " ", "\n ", "b", "1"]),
                    < 95 => string.Concat(Enumerable.Repeat(Some(["a", "9", " ", "\n", "!", "é", "漢", "😀"]), 1 + random.Next(60))),
                    _ => Any(),
                });
                if (random.Next(3) == 0) text.Append(' ');
            }

            texts.Add(text.ToString());
        }

        return texts;

        string Some(IReadOnlyList<string> list) => list[random.Next(list.Count)];

        string Any()
        {
            while (true)
            {
                int code = random.Next(random.Next(3) switch { 0 => 0x110000, 1 => 0x3000, _ => 0x20000 });
                if (Rune.IsValid(code)) return new Rune(code).ToString();
            }
        }
    }
}
