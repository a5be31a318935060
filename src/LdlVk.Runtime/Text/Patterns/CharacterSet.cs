using System.Globalization;
using System.Text;

namespace LdlVk.Runtime.Text.Patterns;

/// <summary>
/// A set of characters as a regular expression writes it: ranges, categories of Unicode, and sets within it, or all that is in none of
/// them. Its members are looked up once a block of 256 and kept. Thread-safe.
/// </summary>
internal sealed class CharacterSet
{
    private readonly List<(int First, int Last)> _ranges = [];
    private readonly List<CharacterSet> _sets = [];
    private readonly ulong[]?[]?[] _planes = new ulong[]?[]?[17];
    private uint _categories;
    private bool _hasWhiteSpace, _hasWord, _hasNumbersOfLatin1, _isNegated;

    /// <summary>Adds the characters from first to last.</summary>
    public CharacterSet Add(int first, int last)
    {
        _ranges.Add((first, last));
        return this;
    }

    /// <summary>Adds what another set has.</summary>
    public CharacterSet Add(CharacterSet set)
    {
        _sets.Add(set);
        return this;
    }

    /// <summary>Adds a category of Unicode.</summary>
    public CharacterSet Add(UnicodeCategory category)
    {
        _categories |= 1u << (int)category;
        return this;
    }

    /// <summary>Adds <c>\s</c>.</summary>
    public CharacterSet AddWhiteSpace()
    {
        _hasWhiteSpace = true;
        return this;
    }

    /// <summary>Adds <c>\w</c>.</summary>
    /// <param name="isAlone">Whether it stands outside a class: only there the reference counts ², ³, ¹, ¼, ½ and ¾.</param>
    public CharacterSet AddWord(bool isAlone)
    {
        (_hasWord, _hasNumbersOfLatin1) = (true, isAlone);
        return this;
    }

    /// <summary>Makes it the set of all that was not in it.</summary>
    public CharacterSet Negate()
    {
        _isNegated = !_isNegated;
        return this;
    }

    /// <summary>Whether a character is in the set.</summary>
    public bool Contains(int code)
    {
        ulong[] block = Volatile.Read(ref _planes[code >> 16]) is { } plane && Volatile.Read(ref plane[(code >> 8) & 255]) is { } found
            ? found
            : Fill(code >> 8);
        return (block[(code >> 6) & 3] & (1UL << (code & 63))) != 0;
    }

    /// <summary>A character of <c>\w</c>: letters, marks, decimal digits, and other characters that Unicode counts as alphabetic.</summary>
    /// <param name="code">The character.</param>
    /// <param name="category">Its category.</param>
    public static bool IsWord(int code, UnicodeCategory category) => category <= UnicodeCategory.LetterNumber
        || category == UnicodeCategory.ConnectorPunctuation
        || code is (>= 0x24B6 and <= 0x24E9) or (>= 0x1F130 and <= 0x1F149) or (>= 0x1F150 and <= 0x1F169) or (>= 0x1F170 and <= 0x1F189);

    private ulong[] Fill(int number)
    {
        ulong[] block = new ulong[4];
        for (int i = 0; i < 256; i++)
            if (Find((number << 8) + i)) block[i >> 6] |= 1UL << (i & 63);
        ref ulong[]?[]? place = ref _planes[number >> 8];
        ulong[]?[] plane = Volatile.Read(ref place) ?? Interlocked.CompareExchange(ref place, new ulong[256][], null) ?? place!;
        Volatile.Write(ref plane[number & 255], block);
        return block;
    }

    private bool Find(int code)
    {
        UnicodeCategory category = CharUnicodeInfo.GetUnicodeCategory(code);
        bool found = (_categories & (1u << (int)category)) != 0
            || (_hasWhiteSpace && Rune.IsValid(code) && Rune.IsWhiteSpace(new Rune(code)))
            || (_hasWord && IsWord(code, category))
            || (_hasNumbersOfLatin1 && code is 0xB2 or 0xB3 or 0xB9 or (>= 0xBC and <= 0xBE));
        for (int i = 0; !found && i < _ranges.Count; i++) found = code >= _ranges[i].First && code <= _ranges[i].Last;
        for (int i = 0; !found && i < _sets.Count; i++) found = _sets[i].Contains(code);
        return found != _isNegated;
    }
}
