namespace LdlVk.Runtime.Text.Normalizing;

/// <summary>
/// Decompositions, combining classes and compositions of Unicode as the Rust library <c>tokenizers</c> has them, which knows fewer
/// characters than .NET. .NET's own normalization is not used: its data are those of the system's ICU, and a program without ICU has none.
/// Written by eng/normalization-table.
/// </summary>
internal sealed class NormalizationTable
{
    private static readonly Lazy<NormalizationTable> Loaded = new(() => new NormalizationTable());

    private const int HangulFirst = 0xAC00, HangulCount = 11172, LeadFirst = 0x1100, VowelFirst = 0x1161, TailFirst = 0x11A7;
    private const int LeadCount = 19, VowelCount = 21, TailCount = 28;

    private readonly Dictionary<int, int[]> _canonical, _compatible;
    private readonly Dictionary<int, byte> _classes = [];
    private readonly Dictionary<long, int> _compositions = [];

    // By code point below 0x30000: whether all normalizations leave it alone, whatever stands beside it.
    private readonly bool[] _isInert = new bool[0x30000];

    private NormalizationTable()
    {
        using Stream stream = typeof(NormalizationTable).Assembly.GetManifestResourceStream("LdlVk.normalization.bin")
            ?? throw new InvalidOperationException("The table of normalization is not part of the assembly.");
        byte[] bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        int at = 0, code = 0;
        _canonical = Decompositions();
        _compatible = Decompositions();
        int count = Number();
        for (code = 0; count > 0; count--)
        {
            code += Number();
            int length = Number();
            byte order = (byte)Number();
            for (int i = 0; i < length; i++) _classes.Add(code + i, order);
        }

        HashSet<int> composing = [];
        count = Number();
        for (code = 0; count > 0; count--)
        {
            code += Number();
            int first = Number(), second = Number();
            _compositions.Add(((long)first << 32) | (uint)second, code);
            composing.Add(second);
        }

        for (int c = 0; c < _isInert.Length; c++)
            _isInert[c] = !_canonical.ContainsKey(c) && !_compatible.ContainsKey(c) && !_classes.ContainsKey(c) && !composing.Contains(c)
                && c is not ((>= LeadFirst and < 0x1200) or (>= HangulFirst and < HangulFirst + HangulCount));

        int Number()
        {
            int value = 0, shift = 0;
            for (; bytes[at] > 127; shift += 7) value |= (bytes[at++] & 127) << shift;
            return value | (bytes[at++] << shift);
        }

        Dictionary<int, int[]> Decompositions()
        {
            Dictionary<int, int[]> found = [];
            int c = 0;
            for (int entries = Number(); entries > 0; entries--)
            {
                c += Number();
                int[] parts = new int[Number()];
                for (int i = 0; i < parts.Length; i++) parts[i] = Number();
                found.Add(c, parts);
            }

            return found;
        }
    }

    /// <summary>The table, read when it is first needed.</summary>
    public static NormalizationTable Instance => Loaded.Value;

    /// <summary>Whether a character stays as it is, and neither moves nor joins with its neighbors, in every form.</summary>
    public bool IsInert(int code) => code >= _isInert.Length || _isInert[code];

    /// <summary>The canonical combining class; 0 for all but marks.</summary>
    public byte Class(int code) => code < 0x300 ? (byte)0 : _classes.GetValueOrDefault(code);

    /// <summary>Appends the full decomposition of a character.</summary>
    public void Decompose(int code, bool compatible, List<int> to)
    {
        if (compatible && _compatible.TryGetValue(code, out int[]? parts)) to.AddRange(parts);
        else if (_canonical.TryGetValue(code, out parts)) to.AddRange(parts);
        else if (code - HangulFirst is >= 0 and < HangulCount and int syllable)
        {
            to.Add(LeadFirst + (syllable / (VowelCount * TailCount)));
            to.Add(VowelFirst + (syllable / TailCount % VowelCount));
            if (syllable % TailCount > 0) to.Add(TailFirst + (syllable % TailCount));
        }
        else to.Add(code);
    }

    /// <summary>The character that two others make; -1 if they make none.</summary>
    public int Compose(int first, int second)
    {
        if (first - LeadFirst is >= 0 and < LeadCount and int lead && second - VowelFirst is >= 0 and < VowelCount and int vowel)
            return HangulFirst + (((lead * VowelCount) + vowel) * TailCount);
        if (first - HangulFirst is >= 0 and < HangulCount and int syllable && syllable % TailCount == 0
            && second - TailFirst is > 0 and < TailCount and int tail)
            return first + tail;
        return _compositions.GetValueOrDefault(((long)first << 32) | (uint)second, -1);
    }
}
