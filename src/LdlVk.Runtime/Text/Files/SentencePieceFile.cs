using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using LdlVk.Runtime.Files;
using LdlVk.Runtime.Text.Normalizing;
using LdlVk.Runtime.Text.Splitting;

namespace LdlVk.Runtime.Text.Files;

/// <summary>
/// Reads a tokenizer.model: SentencePiece's protobuf of pieces and scores, of the kind BPE, as Hugging Face's converter makes a
/// tokenizer.json of it. Two pieces merge if the vocabulary has them joined; the higher score merges first, and of one score the longer
/// left piece, then the longer right one.
/// </summary>
internal sealed class SentencePieceFile
{
    // More than real files need: Gemma-3 has 262,144 pieces, of up to 48 characters, and 514,906 merges.
    private const int MaxPieces = 1 << 21, MaxPieceLength = 256, MaxMerges = 1 << 22;

    private const int Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Byte = 6;

    private readonly string _path;
    private readonly List<(string Text, float Score, int Type)> _pieces = [];
    private readonly Dictionary<string, int> _ids = new(StringComparer.Ordinal);
    private long _kind = 1, _bosId = 1;
    private string _bosPiece = "<s>", _rule = "";
    private bool _hasFallback, _addsPrefix = true, _removesSpaces = true, _escapesSpaces = true, _hasCharacterMap, _isSuffix;

    private SentencePieceFile(string path, ReadOnlySpan<byte> file)
    {
        _path = path;
        ProtobufReader reader = new(file, path);
        while (reader.Next(out int field))
        {
            if (field == 1 && reader.IsBytes) ReadPiece(reader.Bytes);
            else if (field == 2 && reader.IsBytes) ReadTrainer(reader.Bytes);
            else if (field == 3 && reader.IsBytes) ReadNormalizer(reader.Bytes);
        }

        Check();
    }

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="CheckpointException">It is damaged, or of a kind that is not implemented.</exception>
    public static TokenizerParts Read(string path)
    {
        if (!File.Exists(path)) throw new CheckpointException($"{path} does not exist. Copy it from the model's page.");
        WrongContent.RequireOrdinary(path);
        byte[] bytes;
        try
        {
            if (new FileInfo(path).Length > TokenizerFile.MaxBytes)
                throw new CheckpointException(
                    $"{path} has more than the {TokenizerFile.MaxBytes:N0} bytes that are read. Is it the right file?");
            bytes = File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException($"{path} cannot be read: {e.Message}", e);
        }

        WrongContent.Check(path, bytes);
        return new SentencePieceFile(path, bytes).ToParts(TokenizerConfig.Read(path));
    }

    private CheckpointException Error(string why) => new($"{_path}: {why} {PipelineReader.Advice}");

    private void ReadPiece(ReadOnlySpan<byte> message)
    {
        ProtobufReader reader = new(message, _path);
        string text = "";
        float score = 0;
        long type = Normal;
        while (reader.Next(out int field))
        {
            if (field == 1 && reader.IsBytes) text = reader.Text();
            else if (field == 2 && reader.Bytes.Length == 4) score = BinaryPrimitives.ReadSingleLittleEndian(reader.Bytes);
            else if (field == 3) type = reader.Number;
        }

        if (text.Length is 0 or > MaxPieceLength)
            throw Error($"piece {_pieces.Count} has {text.Length} characters, not 1 to {MaxPieceLength}.");
        if (_pieces.Count == MaxPieces) throw Error($"it has more than {MaxPieces:N0} pieces.");
        if (!float.IsFinite(score)) throw Error($"the score of piece {_pieces.Count} is no finite number.");
        if (!_ids.TryAdd(text, _pieces.Count))
            throw Error($"piece {_pieces.Count} is {Shown.Quoted(text)}, which piece {_ids[text]} is too.");
        _pieces.Add((text, score, (int)Math.Clamp(type, 0, 99)));
    }

    private void ReadTrainer(ReadOnlySpan<byte> message)
    {
        ProtobufReader reader = new(message, _path);
        while (reader.Next(out int field))
        {
            switch (field)
            {
                case 3: _kind = reader.Number; break;
                case 24: _isSuffix = reader.Number != 0; break;
                case 35: _hasFallback = reader.Number != 0; break;
                case 41: _bosId = reader.Number; break;
                case 46 when reader.IsBytes: _bosPiece = reader.Text(); break;
            }
        }
    }

    private void ReadNormalizer(ReadOnlySpan<byte> message)
    {
        ProtobufReader reader = new(message, _path);
        while (reader.Next(out int field))
        {
            switch (field)
            {
                case 1 when reader.IsBytes: _rule = reader.Text(); break;
                case 2: _hasCharacterMap = reader.Bytes.Length > 0; break;
                case 3: _addsPrefix = reader.Number != 0; break;
                case 4: _removesSpaces = reader.Number != 0; break;
                case 5: _escapesSpaces = reader.Number != 0; break;
            }
        }
    }

    private void Check()
    {
        if (_pieces.Count == 0) throw Error("it has no pieces of a SentencePiece model.");
        if (_kind != 2)
        {
            string kind = _kind switch { 1 => "UNIGRAM", 3 => "WORD", 4 => "CHAR", _ => _kind.ToString(CultureInfo.InvariantCulture) };
            throw Error($"its trainer_spec.model_type is {kind}; LdlVk implements BPE.");
        }

        if (_hasCharacterMap)
            throw Error($"its normalizer_spec is {Shown.Quoted(_rule)}, with a map of characters; LdlVk implements identity.");
        if (_removesSpaces) throw Error("its normalizer_spec has remove_extra_whitespaces, which LdlVk does not implement.");
        if (!_escapesSpaces) throw Error("its normalizer_spec has no escape_whitespaces; LdlVk implements models that have it.");
        if (_isSuffix) throw Error("its trainer_spec has treat_whitespace_as_suffix, which LdlVk does not implement.");
    }

    private TokenizerParts ToParts(TokenizerConfig config)
    {
        Dictionary<int, int> characters = [];
        int[] bytes = new int[256];
        Array.Fill(bytes, -1);
        int unknown = -1;
        Dictionary<int, AddedToken> added = [];
        for (int id = 0; id < _pieces.Count; id++)
        {
            (string text, _, int type) = _pieces[id];
            if (type == Unknown && unknown < 0) unknown = id;
            if (type is Unknown or Control or UserDefined) added.Add(id, new AddedToken(text, id, IsSpecial: type != UserDefined));
            if (text.Length <= 2 && Rune.TryGetRuneAt(text, 0, out Rune rune) && rune.Utf16SequenceLength == text.Length)
                characters[rune.Value] = id;
            if (_hasFallback && type == Byte && text is ['<', '0', 'x', _, _, '>']
                && byte.TryParse(text.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte value))
                bytes[value] = id;
        }

        bool isComplete = Enumerable.Range(0, 256).All(b => bytes[b] >= 0 || (b < 128 && characters.ContainsKey(b)));
        if (!isComplete && unknown < 0) throw Error("it has neither a piece for every byte nor one for unknown characters.");
        foreach (AddedToken token in config.Added)
        {
            if (token.Id < _pieces.Count && _pieces[token.Id].Text != token.Content)
                throw Error($"piece {token.Id} is {Shown.Quoted(_pieces[token.Id].Text)}, and {Shown.Quoted(token.Content)} in "
                    + $"{config.Source}.");
            if (_ids.TryGetValue(token.Content, out int known) && known != token.Id)
                throw Error($"{Shown.Quoted(token.Content)} is piece {known}, and has the id {token.Id} in {config.Source}.");
            added[token.Id] = token;
        }

        WordBoundaries? cuts = isComplete ? new() : null;
        bool isLegacy = config.IsLegacy ?? true, addsPrefix = config.AddsPrefix ?? _addsPrefix;
        Normalizer spaces = new UnitNormalizer(' ', '▁');
        return new TokenizerParts
        {
            Vocabulary = new BytePairVocabulary(_ids, characters, bytes, Merges(cuts))
            {
                Unknown = isComplete ? -1 : unknown,
                FusesUnknown = true,
            },
            Cuts = cuts,
            // Since transformers 4.35 only the text's beginning gets a space, where tokenizer_config.json says that legacy is false.
            Normalizer = !addsPrefix ? spaces : isLegacy ? new NormalizerSequence([new PrependNormalizer("▁"), spaces]) : null,
            PreTokenizer = addsPrefix && !isLegacy ? new Metaspace('▁', PrependScheme.First, splits: false) : null,
            Decoder = Decoders.Sequence(
                [
                    Decoders.Replace(new LiteralMatcher("▁"), " "), Decoders.ByteFallback, Decoders.Fuse,
                    .. addsPrefix ? new[] { Decoders.Strip(' ', 1, 0) } : [],
                ]),
            Added = [.. added.Values.OrderBy(token => token.Id)],
            Surroundings = new(_bosId >= 0 && _ids.ContainsKey(_bosPiece) ? [_bosPiece] : [], []),
        };
    }

    /// <summary>The merges that make each piece: all ways to divide it into two pieces.</summary>
    private Dictionary<ulong, (int Rank, int Id)> Merges(WordBoundaries? cuts)
    {
        List<(int Id, int Left, int Right, int LeftLength, int RightLength)> found = [];
        var ids = _ids.GetAlternateLookup<ReadOnlySpan<char>>();
        for (int id = 0; id < _pieces.Count; id++)
        {
            string text = _pieces[id].Text;
            for (int i = 1; i < text.Length; i++)
            {
                if (char.IsLowSurrogate(text[i]) || !ids.TryGetValue(text.AsSpan(0, i), out int left)
                    || !ids.TryGetValue(text.AsSpan(i), out int right)) continue;
                if (found.Count == MaxMerges) throw Error($"its pieces make more than {MaxMerges:N0} merges.");
                found.Add((id, left, right, i, text.Length - i));
                cuts?.Join(text[i - 1], text[i]);
            }
        }

        Dictionary<ulong, (int, int)> merges = new(found.Count);
        int rank = 0;
        // Stable: of equal ones, the first piece's. Lengths are in characters.
        foreach (var merge in found.OrderByDescending(m => _pieces[m.Id].Score)
            .ThenByDescending(m => Characters(m.Left)).ThenByDescending(m => Characters(m.Right)))
            merges.TryAdd(BytePairVocabulary.Pair(merge.Left, merge.Right), (rank++, merge.Id));
        return merges;
    }

    private int Characters(int id)
    {
        int count = 0;
        foreach (char unit in _pieces[id].Text) count += char.IsLowSurrogate(unit) ? 0 : 1;
        return count;
    }
}
