using System.Globalization;

namespace LdlVk.Runtime.Text.Patterns;

/// <summary>
/// Reads a regular expression in the syntax of Oniguruma, which the Rust library <c>tokenizers</c> uses: <c>^</c> and <c>$</c> are the ends
/// of lines, <c>?+ *+ ++</c> never go back, <c>{n,m}+</c> repeats the repetition, and <c>[</c> in a class begins a class.
/// </summary>
internal sealed class PatternParser
{
    private const int MaxLength = 8192, MaxDepth = 64, MaxRepeats = 1000;

    private readonly string _source;
    private int _at, _depth;

    private PatternParser(string source) => _source = source;

    /// <summary>Parses a pattern.</summary>
    /// <exception cref="PatternException">It is not one, or uses what is not implemented.</exception>
    public static PatternNode Parse(string source)
    {
        if (source.Length > MaxLength)
            throw new PatternException($"has {source.Length} characters, more than the {MaxLength} that are read");
        PatternParser parser = new(source);
        PatternNode node = parser.Alternation(ignoresCase: false);
        return parser._at == source.Length ? node : throw new PatternException($"has a ')' too many at {parser._at}");
    }

    private bool Take(string text)
    {
        if (string.CompareOrdinal(_source, _at, text, 0, text.Length) != 0) return false;
        _at += text.Length;
        return true;
    }

    private PatternNode Alternation(bool ignoresCase)
    {
        if (++_depth > MaxDepth) throw new PatternException($"has groups more than {MaxDepth} deep");
        List<PatternNode> parts = [];
        do parts.Add(Sequence(ignoresCase));
        while (Take("|"));
        _depth--;
        return parts is [var only] ? only : new PatternNode.Alternation(parts);
    }

    private PatternNode Sequence(bool ignoresCase)
    {
        List<PatternNode> parts = [];
        char before = '\0'; // the letter before, where one character of another kind may fold to both
        while (_at < _source.Length && _source[_at] is not ('|' or ')'))
        {
            int start = _at;
            // An option without a group holds to the end of the group around it, over its bars too.
            if (Take("(?i)"))
            {
                parts.Add(Alternation(ignoresCase: true));
                break;
            }

            if (Take("(?-i)"))
            {
                parts.Add(Alternation(ignoresCase: false));
                break;
            }

            PatternNode part = Repeats(Atom(ignoresCase));
            char letter = ignoresCase && _at == start + 1 ? char.ToLowerInvariant(_source[start]) : '\0';
            if ((before, letter) is ('s', 's') or ('s', 't') or ('f', 'f') or ('f', 'i') or ('f', 'l'))
                throw new PatternException(
                    $"has \"{before}{letter}\" without regard to case, which a single character like ß matches too");
            before = letter;
            parts.Add(part);
        }

        return parts is [var only] ? only : new PatternNode.Sequence(parts);
    }

    private PatternNode Repeats(PatternNode part)
    {
        while (_at < _source.Length)
        {
            (int min, int max, bool isInterval) = (0, 0, false);
            if (Take("*")) (min, max) = (0, int.MaxValue);
            else if (Take("+")) (min, max) = (1, int.MaxValue);
            else if (Take("?")) (min, max) = (0, 1);
            else if (Interval() is { } interval) (min, max, isInterval) = (interval.Min, interval.Max, true);
            else break;
            if (part is PatternNode.LookAhead or PatternNode.LookBehind or PatternNode.Place)
                throw new PatternException($"repeats what matches no character, at {_at}");
            if (max == int.MaxValue && part.IsNullable) throw new PatternException($"repeats without end what may be empty, at {_at}");
            // {n}? is {n} or nothing, and {n,m}+ is {n,m} once or more.
            if (isInterval && min == max && Take("?"))
            {
                part = new PatternNode.Repeat(new PatternNode.Repeat(part, min, max, RepeatMode.Greedy), 0, 1, RepeatMode.Greedy);
                continue;
            }

            RepeatMode mode = Take("?") ? RepeatMode.Lazy : !isInterval && Take("+") ? RepeatMode.Possessive : RepeatMode.Greedy;
            part = new PatternNode.Repeat(part, min, max, mode);
        }

        return part;
    }

    private (int Min, int Max)? Interval()
    {
        int start = _at;
        if (!Take("{")) return null;
        int min = Number(), max = min;
        if (Take(",")) max = Number() is >= 0 and int given ? given : min < 0 ? -1 : int.MaxValue;
        if (!Take("}") || (min < 0 && max < 0))
        {
            _at = start;
            return null; // an ordinary brace
        }

        min = Math.Max(min, 0);
        if (min > MaxRepeats || max is > MaxRepeats and < int.MaxValue)
            throw new PatternException($"repeats more than {MaxRepeats} times, at {start}");
        return min <= max ? (min, max) : throw new PatternException($"has a repetition from {min} to {max}, at {start}");
    }

    private int Number()
    {
        int start = _at;
        while (_at < _source.Length && char.IsAsciiDigit(_source[_at]) && _at - start < 7) _at++;
        return _at > start ? int.Parse(_source.AsSpan(start, _at - start), NumberStyles.None, CultureInfo.InvariantCulture) : -1;
    }

    private PatternNode Atom(bool ignoresCase)
    {
        int start = _at;
        if (Take("(")) return Group(ignoresCase);
        if (Take("[")) return new PatternNode.Set(new ClassParser(_source, _at, ignoresCase).Class(out _at));
        if (Take(".")) return new PatternNode.Set(new CharacterSet().Add('\n', '\n').Negate());
        if (Take("^")) return new PatternNode.Place(PatternPlace.LineStart);
        if (Take("$")) return new PatternNode.Place(PatternPlace.LineEnd);
        if (_source[_at] is '*' or '+' or '?') throw new PatternException($"repeats nothing at {_at}");
        if (_source[_at] == '\\' && _at + 1 < _source.Length)
        {
            PatternPlace? place = _source[_at + 1] switch
            {
                'A' => PatternPlace.TextStart,
                'z' => PatternPlace.TextEnd,
                'Z' => PatternPlace.LastLineEnd,
                'b' => PatternPlace.WordEdge,
                'B' => PatternPlace.NoWordEdge,
                _ => null,
            };
            if (place is { } at)
            {
                _at = start + 2;
                return new PatternNode.Place(at);
            }
        }

        return new PatternNode.Set(new ClassParser(_source, _at, ignoresCase).Single(out _at));
    }

    private PatternNode Group(bool ignoresCase)
    {
        int start = _at - 1;
        Func<PatternNode, PatternNode> wrap = node => node;
        if (Take("?:")) { }
        else if (Take("?i:")) ignoresCase = true;
        else if (Take("?-i:")) ignoresCase = false;
        else if (Take("?>")) wrap = node => new PatternNode.Atomic(node);
        else if (Take("?=")) wrap = node => new PatternNode.LookAhead(node, IsNegative: false);
        else if (Take("?!")) wrap = node => new PatternNode.LookAhead(node, IsNegative: true);
        else if (Take("?<=")) wrap = node => Behind(node, isNegative: false, start);
        else if (Take("?<!")) wrap = node => Behind(node, isNegative: true, start);
        else if (_at < _source.Length && _source[_at] is '?' or '*')
            throw new PatternException(
                $"has a group {_source.Substring(start, Math.Min(5, _source.Length - start))}… that is not implemented");
        PatternNode inner = Alternation(ignoresCase);
        return Take(")") ? wrap(inner) : throw new PatternException($"has a '(' without its ')' at {start}");
    }

    private static PatternNode Behind(PatternNode node, bool isNegative, int start) => node is PatternNode.Set set
        ? new PatternNode.LookBehind(set.Characters, isNegative)
        : throw new PatternException($"looks back at {start} for more than one character, which is not implemented");
}
