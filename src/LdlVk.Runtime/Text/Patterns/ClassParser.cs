using System.Globalization;
using System.Text;

namespace LdlVk.Runtime.Text.Patterns;

/// <summary>Reads what stands for one character in a regular expression: a class in brackets, an escape, or the character itself.</summary>
internal sealed class ClassParser(string source, int at, bool ignoresCase)
{
    private const int MaxDepth = 16;

    // In the order of UnicodeCategory.
    private static readonly string[] Categories =
    [
        "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Pc", "Pd", "Ps", "Pe",
        "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Cn",
    ];

    /// <summary>Reads a class whose bracket has been read; <paramref name="end"/> is behind the other bracket.</summary>
    public CharacterSet Class(out int end)
    {
        CharacterSet set = Inner(0);
        end = at;
        return set;
    }

    /// <summary>Reads an escape or a character; <paramref name="end"/> is behind it.</summary>
    public CharacterSet Single(out int end)
    {
        CharacterSet? set = source[at] == '\\' ? EscapedSet(isAlone: true) : null;
        set ??= Fold(new CharacterSet(), Character());
        end = at;
        return set;
    }

    private CharacterSet Inner(int depth)
    {
        int start = at - 1;
        if (depth > MaxDepth) throw new PatternException($"has classes more than {MaxDepth} deep");
        CharacterSet set = new();
        bool isNegated = at < source.Length && source[at] == '^';
        if (isNegated) at++;
        if (at < source.Length && source[at] == ']') throw new PatternException($"has a class at {start} that begins with ']'");
        while (true)
        {
            if (at >= source.Length) throw new PatternException($"has a '[' without its ']' at {start}");
            if (source[at] == ']')
            {
                at++;
                return isNegated ? set.Negate() : set;
            }

            if (Is("&&")) throw new PatternException($"has && at {at}, the intersection of classes, which is not implemented");
            if (Is("[:")) throw new PatternException($"has a class [:…:] at {at}, which is not implemented");
            if (source[at] == '[')
            {
                at++;
                set.Add(Inner(depth + 1));
                continue;
            }

            if (source[at] == '\\' && EscapedSet() is { } escaped)
            {
                set.Add(escaped);
                continue;
            }

            int first = Character();
            if (at + 1 < source.Length && source[at] == '-' && source[at + 1] != ']')
            {
                at++;
                if (source[at] == '[' || (source[at] == '\\' && EscapedSet() is not null))
                    throw new PatternException($"has a range that ends in a class, at {at}");
                int last = Character();
                if (last < first) throw new PatternException($"has a range that ends before it begins, at {at}");
                Fold(set, first, last);
            }
            else Fold(set, first);
        }
    }

    private bool Is(string text) => string.CompareOrdinal(source, at, text, 0, text.Length) == 0;

    private CharacterSet Fold(CharacterSet set, int code) => Fold(set, code, code);

    /// <summary>Adds a range, and where case is ignored what differs from its letters in case alone.</summary>
    private CharacterSet Fold(CharacterSet set, int first, int last)
    {
        set.Add(first, last);
        if (!ignoresCase) return set;
        if (last > 127) throw new PatternException("ignores the case of a character outside ASCII, which is not implemented");
        for (int code = first; code <= last; code++)
        {
            if (!char.IsAsciiLetter((char)code)) continue;
            set.Add(code ^ 32, code ^ 32);
            if ((code | 32) == 's') set.Add('\u017F', '\u017F');
            if ((code | 32) == 'k') set.Add('\u212A', '\u212A');
        }

        return set;
    }

    /// <summary>Reads an escape that stands for a set; null, and nothing is read, if it stands for a character.</summary>
    private CharacterSet? EscapedSet(bool isAlone = false)
    {
        if (at + 1 >= source.Length) throw new PatternException("ends in a backslash");
        char letter = source[at + 1];
        CharacterSet? set = letter switch
        {
            's' or 'S' => new CharacterSet().AddWhiteSpace(),
            'd' or 'D' => new CharacterSet().Add(UnicodeCategory.DecimalDigitNumber),
            'w' or 'W' => new CharacterSet().AddWord(isAlone),
            'h' or 'H' => new CharacterSet().Add('0', '9').Add('a', 'f').Add('A', 'F'),
            _ => null,
        };
        if (set is not null)
        {
            at += 2;
            return char.IsAsciiLetterUpper(letter) ? set.Negate() : set;
        }

        if (letter is not ('p' or 'P')) return null;
        int end = at + 2 < source.Length && source[at + 2] == '{' ? source.IndexOf('}', at) : -1;
        if (end < 0) throw new PatternException($"has \\{letter} without {{…}} at {at}");
        string name = source[(at + 3)..end];
        bool isNegated = name.StartsWith('^');
        set = Property(isNegated ? name[1..] : name);
        at = end + 1;
        return isNegated != (letter == 'P') ? set.Negate() : set;
    }

    private CharacterSet Property(string name)
    {
        if (ignoresCase && name.Length == 2 && name[0] is 'L' or 'l')
            throw new PatternException($"ignores the case of \\p{{{name}}}, which is not implemented");
        CharacterSet set = new();
        bool found = false;
        for (int i = 0; i < Categories.Length; i++)
        {
            if (name.Length is not (1 or 2) || !Categories[i].StartsWith(name, StringComparison.OrdinalIgnoreCase)) continue;
            set.Add((UnicodeCategory)i);
            found = true;
        }

        return found ? set : throw new PatternException($"has \\p{{{Shown.Short(name)}}}, which is not implemented");
    }

    /// <summary>Reads a character or the escape of one.</summary>
    private int Character()
    {
        if (source[at] != '\\')
        {
            Rune.DecodeFromUtf16(source.AsSpan(at), out Rune rune, out int length);
            at += length;
            return rune.Value;
        }

        if (at + 1 >= source.Length) throw new PatternException("ends in a backslash");
        char letter = source[at + 1];
        int start = at;
        at += 2;
        switch (letter)
        {
            case 'n': return '\n';
            case 'r': return '\r';
            case 't': return '\t';
            case 'f': return '\f';
            case 'v': return '\v';
            case 'a': return '\a';
            case 'e': return 27;
            case 'x' when at < source.Length && source[at] == '{':
                int end = source.IndexOf('}', at);
                at++;
                int braced = Hexadecimal(end < at ? 0 : end - at, start);
                at++;
                return braced;
            case 'x': return Hexadecimal(2, start);
            case 'u': return Hexadecimal(4, start);
            default:
                if (char.IsAsciiLetterOrDigit(letter))
                    throw new PatternException($"has \\{letter} at {start}, which is not implemented");
                at = start + 1;
                Rune.DecodeFromUtf16(source.AsSpan(at), out Rune escaped, out int length);
                at += length;
                return escaped.Value;
        }
    }

    private int Hexadecimal(int digits, int start)
    {
        if (digits is < 1 or > 8 || at + digits > source.Length
            || !int.TryParse(source.AsSpan(at, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int code)
            || !Rune.IsValid(code) || (source[start + 1] == 'x' && digits == 2 && source[start + 2] != '{' && code > 127))
            throw new PatternException($"has an escape at {start} that is no character");
        at += digits;
        return code;
    }
}
