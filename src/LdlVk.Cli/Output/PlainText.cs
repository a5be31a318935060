using System.Text;

namespace LdlVk.Cli.Output;

/// <summary>
/// Text for terminals that cannot show Unicode: signs become similar ones of ASCII, and other characters a question mark.
/// </summary>
internal static class PlainText
{
    private static readonly Dictionary<char, string> Similar = new()
    {
        ['…'] = "...", ['×'] = "x", ['·'] = "-", ['–'] = "-", ['—'] = "-", ['−'] = "-", ['→'] = "->", ['≤'] = "<=",
        ['≥'] = ">=", ['±'] = "+-", ['“'] = "\"", ['”'] = "\"", ['‘'] = "'", ['’'] = "'", ['∞'] = "infinite",
        ['√'] = "sqrt ", ['‖'] = "||", ['θ'] = "theta", ['µ'] = "u", ['█'] = "#", ['▉'] = "#", ['▊'] = "#",
        ['▋'] = "#", ['▌'] = "#", ['▍'] = "-", ['▎'] = "-", ['▏'] = "-", ['░'] = ".", ['\u00a0'] = " ",
    };

    /// <summary>The encoding.</summary>
    public static Encoding Ascii { get; } = Encoding.GetEncoding("us-ascii", new Fallback(), DecoderFallback.ReplacementFallback);

    /// <summary>Whether the terminal shows UTF-8, as the locale says.</summary>
    public static bool IsUnicode(Func<string, string?> environment)
    {
        string? locale = ((string[])["LC_ALL", "LC_CTYPE", "LANG"]).Select(environment).FirstOrDefault(value =>
            !string.IsNullOrEmpty(value));
        return locale?.Replace("-", "", StringComparison.Ordinal).Contains("utf8", StringComparison.OrdinalIgnoreCase) == true;
    }

    private sealed class Fallback : EncoderFallback
    {
        public override int MaxCharCount => Similar.Values.Max(text => text.Length);

        public override EncoderFallbackBuffer CreateFallbackBuffer() => new FallbackBuffer();
    }

    private sealed class FallbackBuffer : EncoderFallbackBuffer
    {
        private string _text = "";
        private int _at;

        public override int Remaining => _text.Length - _at;

        public override bool Fallback(char charUnknown, int index)
        {
            (_text, _at) = (Similar.GetValueOrDefault(charUnknown, "?"), 0);
            return true;
        }

        public override bool Fallback(char charUnknownHigh, char charUnknownLow, int index)
        {
            (_text, _at) = ("?", 0);
            return true;
        }

        public override char GetNextChar() => _at < _text.Length ? _text[_at++] : '\0';

        public override bool MovePrevious()
        {
            if (_at == 0) return false;
            _at--;
            return true;
        }

        public override void Reset() => (_text, _at) = ("", 0);
    }
}
