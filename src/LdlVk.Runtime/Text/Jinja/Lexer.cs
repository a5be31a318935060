using System.Buffers;
using System.Globalization;
using System.Text;

namespace LdlVk.Runtime.Text.Jinja;

/// <summary>
/// Divides a template into tokens as Jinja2's lexer does with the settings of transformers: <c>trim_blocks</c> (the newline behind a block
/// is dropped), <c>lstrip_blocks</c> (so is the indentation before one), and no newline at the end of the template.
/// </summary>
internal sealed class Lexer
{
    private static readonly SearchValues<char> SpaceAndTab = SearchValues.Create(" \t\n\r\f\v");

    private static readonly string[] Operators =
    [
        "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":",
        "|", ",", ";",
    ];

    private readonly string _source;
    private readonly List<Token> _tokens = [];
    private int _at, _line = 1;

    private Lexer(string source) => _source = source;

    public static List<Token> Read(string source)
    {
        source = source.ReplaceLineEndings("\n");
        if (source.EndsWith('\n')) source = source[..^1];
        Lexer lexer = new(source);
        lexer.ReadAll();
        return lexer._tokens;
    }

    private void ReadAll()
    {
        bool startsLine = true; // what came before ended with a newline
        while (_at < _source.Length)
        {
            int open = NextTag();
            string text = _source[_at..open];
            char kind = open < _source.Length ? _source[open + 1] : ' ';
            char sign = open + 2 < _source.Length ? _source[open + 2] : ' ';
            Data(kind == ' ' ? text : BeforeTag(text, kind, sign, startsLine));
            Count(text);
            _at = open;
            if (kind == ' ') break;
            int begin = _at;
            _at += sign is '-' or '+' ? 3 : 2;
            switch (kind)
            {
                case '#': SkipComment(); break;
                case '{': Code(TokenKind.PrintBegin, TokenKind.PrintEnd); break;
                default:
                    if (!TryRaw(sign)) Code(TokenKind.BlockBegin, TokenKind.BlockEnd);
                    break;
            }

            startsLine = _at > begin && _source[_at - 1] == '\n';
        }

        _tokens.Add(new(TokenKind.End, "", _line));
    }

    private int NextTag()
    {
        for (int i = _at; i + 1 < _source.Length; i++)
            if (_source[i] == '{' && _source[i + 1] is '{' or '%' or '#') return i;
        return _source.Length;
    }

    /// <summary>The text before a tag, without the white space that the tag takes.</summary>
    private static string BeforeTag(string text, char kind, char sign, bool startsLine)
    {
        if (sign == '-') return Python.StripEnd(text);
        if (sign == '+' || kind == '{') return text;
        int line = text.LastIndexOf('\n') + 1;
        return (line > 0 || startsLine) && text.AsSpan(line).IndexOfAnyExcept(SpaceAndTab) < 0 ? text[..line] : text;
    }

    private void Data(string text)
    {
        if (text.Length > 0) _tokens.Add(new(TokenKind.Data, text, _line));
    }

    private void Count(ReadOnlySpan<char> passed) => _line += passed.Count('\n');

    private void SkipComment()
    {
        int end = _source.IndexOf("#}", _at, StringComparison.Ordinal);
        if (end < 0) throw Error("A comment, {#, is not closed.");
        Count(_source.AsSpan(_at, end - _at));
        char sign = end > _at ? _source[end - 1] : ' ';
        _at = end + 2;
        AfterTag(sign);
    }

    /// <summary>Passes the white space that the end of a comment or block takes.</summary>
    private void AfterTag(char sign)
    {
        int from = _at;
        if (sign == '-') while (_at < _source.Length && Python.IsSpace(_source[_at])) _at++;
        else if (sign != '+' && _at < _source.Length && _source[_at] == '\n') _at++;
        Count(_source.AsSpan(from, _at - from));
    }

    /// <summary>Reads <c>{% raw %}…{% endraw %}</c>, if that is what begins here.</summary>
    private bool TryRaw(char sign)
    {
        int at = Word(_at, "raw");
        if (at < 0) return false;
        bool strips = At(at) == '-';
        if (strips) at++;
        if (!_source.AsSpan(at).StartsWith("%}")) return false;
        Count(_source.AsSpan(_at, at - _at));
        _at = at + 2;
        if (strips) AfterTag('-');
        for (int open = _at; ; open++)
        {
            open = _source.IndexOf("{%", open, StringComparison.Ordinal);
            if (open < 0) throw Error("{% raw %} is not closed by {% endraw %}.");
            sign = At(open + 2);
            int end = Word(open + (sign is '-' or '+' ? 3 : 2), "endraw");
            if (end < 0) continue;
            char last = At(end);
            if (last is '-' or '+') end++;
            if (!_source.AsSpan(end).StartsWith("%}")) continue;
            string text = _source[_at..open];
            Data(BeforeTag(text, '%', sign, startsLine: _at > 0 && _source[_at - 1] == '\n'));
            Count(_source.AsSpan(_at, end - _at));
            _at = end + 2;
            AfterTag(last);
            return true;
        }
    }

    /// <summary>The position behind a word and the white space around it; -1 if it is not there.</summary>
    private int Word(int at, string word)
    {
        while (Python.IsSpace(At(at))) at++;
        if (!_source.AsSpan(Math.Min(at, _source.Length)).StartsWith(word)) return -1;
        at += word.Length;
        while (Python.IsSpace(At(at))) at++;
        return at;
    }

    private char At(int index) => index < _source.Length ? _source[index] : '\0';

    private void Code(TokenKind begin, TokenKind end)
    {
        char mark = end == TokenKind.PrintEnd ? '}' : '%';
        int opened = _line;
        _tokens.Add(new(begin, mark == '}' ? "{{" : "{%", _line));
        Stack<char> brackets = [];
        while (true)
        {
            while (Python.IsSpace(At(_at)))
            {
                if (_source[_at] == '\n') _line++;
                _at++;
            }

            if (_at >= _source.Length) throw Error($"A tag of line {opened} is not closed by {mark}}}.");
            char c = _source[_at], last = c is '-' or '+' && !(c == '+' && mark == '}') ? c : ' ';
            int close = last == ' ' ? _at : _at + 1;
            if (brackets.Count == 0 && At(close) == mark && At(close + 1) == '}')
            {
                _tokens.Add(new(end, $"{mark}}}", _line));
                _at = close + 2;
                if (mark == '%' || last == '-') AfterTag(last);
                return;
            }

            Token token = char.IsLetter(c) || c == '_' ? Name()
                : char.IsAsciiDigit(c) ? Number()
                : c is '"' or '\'' ? Literal(c) : Operator(brackets);
            _tokens.Add(token);
        }
    }

    private Token Name()
    {
        int from = _at;
        while (char.IsLetterOrDigit(At(_at)) || At(_at) == '_') _at++;
        return new(TokenKind.Name, _source[from.._at], _line);
    }

    private Token Number()
    {
        int from = _at;
        bool real = false;
        Digits();
        if (At(_at) == '.' && char.IsAsciiDigit(At(_at + 1)))
        {
            real = true;
            _at++;
            Digits();
        }

        if (At(_at) is 'e' or 'E' && (char.IsAsciiDigit(At(_at + 1)) || (At(_at + 1) is '+' or '-' && char.IsAsciiDigit(At(_at + 2)))))
        {
            real = true;
            _at += 2;
            Digits();
        }

        if (char.IsLetter(At(_at))) throw Error($"{_source[from..(_at + 1)]}… is not a number that is known here.");
        return new(real ? TokenKind.Float : TokenKind.Integer, _source[from.._at].Replace("_", "", StringComparison.Ordinal), _line);

        void Digits()
        {
            while (char.IsAsciiDigit(At(_at)) || (At(_at) == '_' && char.IsAsciiDigit(At(_at + 1)))) _at++;
        }
    }

    private Token Operator(Stack<char> brackets)
    {
        string? found = Array.Find(Operators, o => _source.AsSpan(_at).StartsWith(o));
        if (found is null) throw Error($"{Shown.Quoted(_source[_at].ToString())} has no meaning in a tag.");
        switch (found[0])
        {
            case '(' or '[' or '{':
                brackets.Push(found[0] == '(' ? ')' : found[0] == '[' ? ']' : '}');
                break;
            case ')' or ']' or '}':
                if (!brackets.TryPop(out char wanted)) throw Error($"{found} closes no bracket.");
                if (wanted != found[0]) throw Error($"{found} stands where {wanted} closes a bracket.");
                break;
        }

        _at += found.Length;
        return new(TokenKind.Operator, found, _line);
    }

    private Token Literal(char quote)
    {
        int line = _line, end = _at + 1;
        while (end < _source.Length && _source[end] != quote) end += _source[end] == '\\' ? 2 : 1;
        if (end >= _source.Length) throw Error($"A string that begins with {quote} is not closed.");
        string text = _source[(_at + 1)..end];
        Count(text);
        _at = end + 1;
        return new(TokenKind.String, Unescape(text), line);
    }

    /// <summary>Python's unicode-escape.</summary>
    private string Unescape(string text)
    {
        if (!text.Contains('\\', StringComparison.Ordinal)) return text;
        StringBuilder output = new();
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] != '\\' || i + 1 == text.Length)
            {
                output.Append(text[i]);
                continue;
            }

            char c = text[++i];
            int simple = "\\'\"abfnrtv".IndexOf(c, StringComparison.Ordinal);
            if (simple >= 0) output.Append("\\'\"\a\b\f\n\r\t\v"[simple]);
            else if (c is 'x' or 'u' or 'U') i = Hexadecimal(text, i, c == 'x' ? 2 : c == 'u' ? 4 : 8, output);
            else if (c is >= '0' and <= '7')
            {
                int from = i, value = 0;
                while (i < text.Length && i < from + 3 && text[i] is >= '0' and <= '7') value = (value * 8) + text[i++] - '0';
                i--;
                output.Append((char)value);
            }
            else if (c == 'N') throw Error("\\N{…} in a string is not known here; write the character.");
            else if (c != '\n') output.Append('\\').Append(c);
        }

        return output.ToString();
    }

    private int Hexadecimal(string text, int at, int digits, StringBuilder output)
    {
        if (at + digits >= text.Length
            || !uint.TryParse(text.AsSpan(at + 1, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint code)
                || code > 0x10ffff)
            throw Error($"\\{text[at]} in a string is not followed by {digits} hexadecimal digits of a character.");
        if (code > 0xffff) output.Append(char.ConvertFromUtf32((int)code));
        else output.Append((char)code);
        return at + digits;
    }

    private JinjaException Error(string message) => new(message, JinjaFault.Syntax, _line);
}
