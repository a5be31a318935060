using System.Text;
using System.Text.Json;
using LdlVk.Runtime.Json;
using LdlVk.Runtime.Text.Normalizing;
using LdlVk.Runtime.Text.Patterns;
using LdlVk.Runtime.Text.Splitting;

namespace LdlVk.Runtime.Text.Files;

/// <summary>Reads the normalizer, the pre-tokenizer and the decoder of a tokenizer.json. What is not implemented is an error.</summary>
internal static class PipelineReader
{
    internal const string Advice =
        "Score token ids made elsewhere (\"input_ids\") instead, or use the tokenizer.json of the original checkpoint.";

    private const int MaxSteps = 64, MaxContent = 256;

    /// <summary>Reads the normalizer; null if there is none.</summary>
    public static Normalizer? Normalizer(JsonField root)
    {
        List<Normalizer> steps = [.. Steps(root, "normalizer", "normalizers").Select(NormalizerStep)];
        return steps.Count switch { 0 => null, 1 => steps[0], _ => new NormalizerSequence(steps) };
    }

    /// <summary>Reads the pre-tokenizer; null if there is none.</summary>
    /// <param name="root">The file.</param>
    /// <param name="isByteLevel">Whether its last step is <c>ByteLevel</c>, so that the symbols are bytes.</param>
    public static PreTokenizer? PreTokenizer(JsonField root, out bool isByteLevel)
    {
        isByteLevel = false;
        List<PreTokenizer> steps = [];
        foreach (JsonField step in Steps(root, "pre_tokenizer", "pretokenizers"))
        {
            if (isByteLevel)
                throw step.Error($"stands behind a ByteLevel step, which LdlVk implements only as the last one. {Advice}");
            string type = step.Get("type").String();
            isByteLevel = type == "ByteLevel";
            if (isByteLevel) steps.AddRange(ByteLevelSteps(step));
            else steps.Add(PreTokenizerStep(step, type));
        }

        for (int i = 1; i < steps.Count; i++) steps[i - 1].Next = steps[i];
        return steps.FirstOrDefault();
    }

    /// <summary>Reads the decoder. One that is not implemented is an error only when it is used: it changes no id.</summary>
    public static Decoder Decoder(JsonField root, bool isByteLevel)
    {
        List<Decoder> steps = [.. Steps(root, "decoder", "decoders").Select(DecoderStep)];
        if (steps.Count > 0) return Decoders.Sequence(steps);
        return isByteLevel
            ? Decoders.ByteLevelCharacters
            : Decoders.Sequence([Decoders.Replace(new LiteralMatcher("▁"), " "), Decoders.ByteFallback, Decoders.Fuse]);
    }

    private static Normalizer NormalizerStep(JsonField step)
    {
        string type = step.Get("type").String();
        switch (type)
        {
            case "NFC": return new UnicodeNormalizer(compatible: false, composes: true);
            case "NFD": return new UnicodeNormalizer(compatible: false, composes: false);
            case "NFKC": return new UnicodeNormalizer(compatible: true, composes: true);
            case "NFKD": return new UnicodeNormalizer(compatible: true, composes: false);
            case "Prepend": return new PrependNormalizer(Content(step.Get("prepend")));
            case "Strip": return new StripNormalizer(step.Get("strip_left").Boolean(), step.Get("strip_right").Boolean());
            case "Nmt": return new RuneNormalizer(Nmt);
            case "Replace":
                string content = Content(step.Get("content"));
                JsonField pattern = step.Get("pattern");
                return pattern.TryGet("String", out JsonField literal) && literal.String().Length == 1 && content.Length == 1
                    ? new UnitNormalizer(literal.String()[0], content[0])
                    : new ReplaceNormalizer(Matcher(pattern), content);
            default: throw NotImplemented(step.Get("type"), type);
        }
    }

    private static void Nmt(Rune rune, List<int> mapped)
    {
        switch (rune.Value)
        {
            case (>= 1 and <= 8) or 0xB or (>= 0xE and <= 0x1F) or 0x7F or 0x8F or 0x9F: return;
            case 9 or 0xA or 0xC or 0xD or 0x1680 or (>= 0x200B and <= 0x200F) or 0x2028 or 0x2029 or 0x2581 or 0xFEFF or 0xFFFD:
                mapped.Add(' ');
                return;
            default:
                mapped.Add(rune.Value);
                return;
        }
    }

    private static IEnumerable<PreTokenizer> ByteLevelSteps(JsonField step)
    {
        if (step.Get("add_prefix_space").Boolean()) yield return new SpacePrefixer();
        if (!step.TryGet("use_regex", out JsonField regex) || regex.Boolean()) yield return new WordStep(new Gpt2Words());
    }

    private static PreTokenizer PreTokenizerStep(JsonField step, string type)
    {
        switch (type)
        {
            case "Split":
                return Split(step);
            case "Metaspace":
                bool isSplit = !step.TryGet("split", out JsonField splits) || splits.Boolean();
                return new Metaspace(Replacement(step), Scheme(step), isSplit);
            case "Digits":
                bool isSingle = step.TryGet("individual_digits", out JsonField single) && single.Boolean();
                return new MatchSplitter(
                    new CharacterMatcher(CharacterSets.Numeric), isSingle ? MatchBehavior.Isolated : MatchBehavior.Contiguous,
                    isInverted: false);
            case "Punctuation":
                return new MatchSplitter(
                    new CharacterMatcher(CharacterSets.Punctuation),
                    step.TryGet("behavior", out JsonField behavior) ? Behavior(behavior) : MatchBehavior.Isolated, isInverted: false);
            case "Whitespace":
                return new MatchSplitter(new WordMatcher(), MatchBehavior.Removed, isInverted: true);
            case "WhitespaceSplit":
                return new MatchSplitter(new CharacterMatcher(CharacterSets.WhiteSpace), MatchBehavior.Removed, isInverted: false);
            default:
                throw NotImplemented(step.Get("type"), type);
        }
    }

    private static PreTokenizer Split(JsonField step)
    {
        MatchBehavior behavior = Behavior(step.Get("behavior"));
        bool isInverted = step.TryGet("invert", out JsonField invert) && invert.Boolean();
        JsonField pattern = step.Get("pattern");
        // These cover every text, so that their matches are the pieces.
        if (pattern.TryGet("Regex", out JsonField regex) && Known(regex.String()) is { } words
            && (behavior == MatchBehavior.Isolated || (behavior == MatchBehavior.Removed && isInverted)))
            return new WordStep(words);
        return new MatchSplitter(Matcher(pattern), behavior, isInverted);
    }

    private static WordSplitter? Known(string pattern) => pattern switch
    {
        Llama3Words.Pattern => new Llama3Words(3),
        Llama3Words.SingleDigitPattern => new Llama3Words(1),
        Gpt2Words.Pattern => new Gpt2Words(),
        _ => null,
    };

    private static Decoder DecoderStep(JsonField step)
    {
        string type = step.Get("type").String();
        switch (type)
        {
            case "ByteLevel": return Decoders.ByteLevelCharacters;
            case "ByteFallback": return Decoders.ByteFallback;
            case "Fuse": return Decoders.Fuse;
            case "Replace": return Decoders.Replace(Matcher(step.Get("pattern")), Content(step.Get("content")));
            case "Metaspace": return Decoders.Metaspace(Replacement(step), Scheme(step));
            case "Strip":
                if (Content(step.Get("content")) is not [var stripped])
                    throw step.Get("content").Error($"is not one character. {Advice}");
                return Decoders.Strip(stripped, step.Get("start").Integer(0, MaxContent), step.Get("stop").Integer(0, MaxContent));
            default:
                return _ => throw new InputException($"The tokenizer's decoder is a {Shown.Short(type)}, which LdlVk does not implement.");
        }
    }

    private static Matcher Matcher(JsonField pattern)
    {
        if (pattern.TryGet("String", out JsonField literal))
            return literal.String().Length > 0 ? new LiteralMatcher(literal.String()) : throw literal.Error($"is empty. {Advice}");
        JsonField regex = pattern.Get("Regex");
        try
        {
            return new Pattern(regex.String());
        }
        catch (PatternException e)
        {
            throw regex.Error($"is {Shown.Quoted(regex.String())}, which {e.Message}. {Advice}");
        }
    }

    private static MatchBehavior Behavior(JsonField field) => field.String() switch
    {
        "Removed" => MatchBehavior.Removed,
        "Isolated" => MatchBehavior.Isolated,
        "MergedWithPrevious" => MatchBehavior.MergedWithPrevious,
        "MergedWithNext" => MatchBehavior.MergedWithNext,
        "Contiguous" => MatchBehavior.Contiguous,
        var other => throw NotImplemented(field, other),
    };

    private static char Replacement(JsonField step) => step.Get("replacement").String() is [var unit]
        ? unit
        : throw step.Get("replacement").Error($"is not one character. {Advice}");

    /// <summary>The scheme, or what files of before 2024 say with <c>add_prefix_space</c>.</summary>
    private static PrependScheme Scheme(JsonField step)
    {
        bool isNever = step.TryGet("add_prefix_space", out JsonField adds) && !adds.Boolean();
        if (!step.TryGet("prepend_scheme", out JsonField scheme)) return isNever ? PrependScheme.Never : PrependScheme.Always;
        return scheme.String() switch
        {
            "never" => PrependScheme.Never,
            _ when isNever => throw scheme.Error($"contradicts add_prefix_space, which is false. {Advice}"),
            "always" => PrependScheme.Always,
            "first" => PrependScheme.First,
            var other => throw NotImplemented(scheme, other),
        };
    }

    private static string Content(JsonField field) => field.String() is { Length: <= MaxContent } content
        ? content
        : throw field.Error($"has more than {MaxContent} characters. {Advice}");

    /// <summary>The steps of a part of the file: itself, or those of a Sequence; none if it is absent or null.</summary>
    private static List<JsonField> Steps(JsonField root, string name, string list)
    {
        List<JsonField> steps = [];
        if (root.TryGet(name, out JsonField field)) Add(field);
        return steps;

        // As deep as the JSON may be.
        void Add(JsonField step)
        {
            if (step.Get("type").String() != "Sequence")
            {
                if (steps.Count == MaxSteps) throw step.Error($"is one of more than {MaxSteps} steps. {Advice}");
                steps.Add(step);
                return;
            }

            JsonField items = step.Get(list);
            int index = 0;
            foreach (JsonElement item in items.Items()) Add(items.Item(index++, item));
        }
    }

    private static CheckpointException NotImplemented(JsonField field, string value) =>
        field.Error($"is {Shown.Quoted(value)}, which LdlVk does not implement. {Advice}");
}
