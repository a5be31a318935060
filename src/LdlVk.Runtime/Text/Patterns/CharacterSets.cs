using System.Globalization;

namespace LdlVk.Runtime.Text.Patterns;

/// <summary>
/// Sets of characters that pre-tokenizers divide by. The Rust library takes them from several sources, of other versions of Unicode than
/// .NET's 16; the differences were read off it for every character.
/// </summary>
internal static class CharacterSets
{
    // Category P of Unicode 16 that is not yet of it in Unicode 8.
    private static readonly (int First, int Last)[] LaterPunctuation =
    [
        (0x61D, 0x61D), (0x9FD, 0x9FD), (0xA76, 0xA76), (0xC77, 0xC77), (0xC84, 0xC84), (0x1B4E, 0x1B4F), (0x1B7D, 0x1B7F),
        (0x2E43, 0x2E4F), (0x2E52, 0x2E5D), (0x10D6E, 0x10D6E), (0x10EAD, 0x10EAD), (0x10F55, 0x10F59), (0x10F86, 0x10F89),
        (0x113D4, 0x113D5), (0x113D7, 0x113D8), (0x1144B, 0x1144F), (0x1145A, 0x1145B), (0x1145D, 0x1145D), (0x11660, 0x1166C),
        (0x116B9, 0x116B9), (0x1183B, 0x1183B), (0x11944, 0x11946), (0x119E2, 0x119E2), (0x11A3F, 0x11A46), (0x11A9A, 0x11A9C),
        (0x11A9E, 0x11AA2), (0x11B00, 0x11B09), (0x11BE1, 0x11BE1), (0x11C41, 0x11C45), (0x11C70, 0x11C71), (0x11EF7, 0x11EF8),
        (0x11F43, 0x11F4F), (0x11FFF, 0x11FFF), (0x12FF1, 0x12FF2), (0x16D6D, 0x16D6F), (0x16E97, 0x16E9A), (0x16FE2, 0x16FE2),
        (0x1E5FF, 0x1E5FF), (0x1E95E, 0x1E95F),
    ];

    /// <summary>White space.</summary>
    public static CharacterSet WhiteSpace { get; } = new CharacterSet().AddWhiteSpace();

    /// <summary><c>Digits</c>: all of category N, of Unicode 17.</summary>
    public static CharacterSet Numeric { get; } = new CharacterSet()
        .Add(UnicodeCategory.DecimalDigitNumber).Add(UnicodeCategory.LetterNumber).Add(UnicodeCategory.OtherNumber)
        .Add(0x11DE0, 0x11DE9).Add(0x16FF4, 0x16FF6);

    /// <summary><c>Punctuation</c>: ASCII's, and category P of Unicode 8.</summary>
    public static CharacterSet Punctuation { get; } = MakePunctuation();

    private static CharacterSet MakePunctuation()
    {
        // What is not category P, or is it only later; turned round, category P of before.
        CharacterSet none = new CharacterSet().Add(Category('P').Negate());
        foreach ((int first, int last) in LaterPunctuation) none.Add(first, last);
        return new CharacterSet().Add(none.Negate()).Add('!', '/').Add(':', '@').Add('[', '`').Add('{', '~')
            .Add(0x166D, 0x166D).Add(0x111C9, 0x111C9);
    }

    /// <summary>The categories of Unicode by their first letter.</summary>
    private static CharacterSet Category(char letter) => new ClassParser($"\\p{{{letter}}}", 0, ignoresCase: false).Single(out _);
}
