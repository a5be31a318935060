using System.Buffers.Binary;
using System.Text;

namespace LdlVk.Testing;

/// <summary>Writes tokenizer.model files, as SentencePiece does.</summary>
public static class SentencePieceModel
{
    /// <summary>Returns the bytes of a model.</summary>
    /// <param name="pieces">Text, score and type of each piece.</param>
    /// <param name="kind">1 for UNIGRAM, 2 for BPE.</param>
    /// <param name="hasFallback">Whether bytes stand for unknown characters.</param>
    /// <param name="addsPrefix">Whether texts get a space in front.</param>
    /// <param name="removesSpaces">Whether spaces beside each other become one.</param>
    /// <param name="characterMap">A map of characters; empty for identity.</param>
    public static byte[] Write(
        IEnumerable<(string Text, float Score, int Type)> pieces, int kind = 2, bool hasFallback = true, bool addsPrefix = true,
        bool removesSpaces = false, string characterMap = "")
    {
        List<byte> file = [];
        foreach ((string text, float score, int type) in pieces)
        {
            List<byte> piece = [];
            Bytes(piece, 1, Encoding.UTF8.GetBytes(text));
            byte[] number = new byte[4];
            BinaryPrimitives.WriteSingleLittleEndian(number, score);
            piece.AddRange([(2 << 3) | 5, .. number]);
            if (type != 1) Number(piece, 3, type);
            Bytes(file, 1, piece);
        }

        List<byte> trainer = [], normalizer = [];
        Number(trainer, 3, kind);
        Number(trainer, 35, hasFallback ? 1 : 0);
        Number(trainer, 41, 1);
        Bytes(file, 2, trainer);
        Bytes(normalizer, 1, Encoding.UTF8.GetBytes(characterMap.Length > 0 ? "nmt_nfkc" : "identity"));
        Bytes(normalizer, 2, Encoding.UTF8.GetBytes(characterMap));
        Number(normalizer, 3, addsPrefix ? 1 : 0);
        Number(normalizer, 4, removesSpaces ? 1 : 0);
        Bytes(file, 3, normalizer);
        return [.. file];
    }

    private static void Bytes(List<byte> to, int field, IReadOnlyCollection<byte> value)
    {
        Varint(to, (field << 3) | 2);
        Varint(to, value.Count);
        to.AddRange(value);
    }

    private static void Number(List<byte> to, int field, int value)
    {
        Varint(to, field << 3);
        Varint(to, value);
    }

    private static void Varint(List<byte> to, int value)
    {
        for (; value > 127; value >>= 7) to.Add((byte)(value | 128));
        to.Add((byte)value);
    }
}
