using System.Runtime.InteropServices;

namespace LdlVk.Runtime.Devices;

/// <summary>
/// A made-up matrix for measurements: uniformly distributed, about gain 1, the same for the same seed. Its stored words are a hash of
/// where they stand, so a device may make them itself instead of asking for rows (shaders/fill_random.comp); the bits are the same.
/// <para>
/// Word w of row r is hash(hash(seed + r) + w), read as elements of the format and zero beyond the last column; the scale with index s
/// is hash(~seed + s). Values of every format lie within ±2¹⁵, as those of a real checkpoint do
/// (<see cref="Checkpoints.WeightSource"/>), and <see cref="Scale"/> takes that back.
/// </para>
/// </summary>
/// <param name="name">Its name in messages and profiles.</param>
/// <param name="outputFeatures">Rows.</param>
/// <param name="inputFeatures">Columns.</param>
/// <param name="format">Format of the elements.</param>
/// <param name="seed">Another seed gives another matrix.</param>
public sealed class RandomWeightSource(string name, int outputFeatures, int inputFeatures, WeightFormat format, uint seed) : IWeightSource
{
    /// <summary>Stored values are about uniform within ±2^this.</summary>
    private const int Magnitude = 14;

    /// <inheritdoc/>
    public string Name => name;

    /// <inheritdoc/>
    public int OutputFeatures => outputFeatures;

    /// <inheritdoc/>
    public int InputFeatures => inputFeatures;

    /// <inheritdoc/>
    public WeightFormat Format => format;

    /// <summary>The seed of the hash.</summary>
    public uint Seed => seed;

    /// <summary>
    /// The power of two nearest to √(3/K)/2¹⁴: a matrix of uniform elements within ±√(3/K) keeps the mean square of what goes
    /// through.
    /// </summary>
    public float Scale { get; } = MathF.ScaleB(1, (int)Math.Round(Math.Log2(Math.Sqrt(3.0 / inputFeatures))) - Magnitude);

    /// <inheritdoc/>
    public void ReadRows(int firstRow, int rowCount, Span<byte> values, Span<Half> scales)
    {
        Span<uint> words = MemoryMarshal.Cast<byte, uint>(values);
        int wordsPerRow = words.Length / Math.Max(1, rowCount),
            elementsPerWord = WeightLayout.PaddedRow(inputFeatures) / Math.Max(1, wordsPerRow);
        for (int row = 0; row < rowCount; row++)
        {
            uint start = Hash(seed + (uint)(firstRow + row));
            Span<uint> of = words.Slice(row * wordsPerRow, wordsPerRow);
            for (int w = 0; w < of.Length; w++)
                of[w] = Word(Hash(start + (uint)w), Math.Clamp(inputFeatures - (w * elementsPerWord), 0, elementsPerWord));
        }

        uint first = ~seed + (uint)((long)firstRow * WeightLayout.ScalesPerRow(format, inputFeatures));
        for (int s = 0; s < scales.Length; s++) scales[s] = ScaleOf(Hash(first + (uint)s));
    }

    /// <summary>
    /// A well-mixed function of 32 bits (PCG's output permutation; Jarzynski and Olano 2020, "Hash Functions for GPU Rendering").
    /// </summary>
    public static uint Hash(uint x)
    {
        uint state = (x * 747796405u) + 2891336453u;
        uint word = ((state >> (int)((state >> 28) + 4)) ^ state) * 277803737u;
        return (word >> 22) ^ word;
    }

    /// <summary>A stored word with its first <paramref name="count"/> elements.</summary>
    private uint Word(uint hash, int count) => format switch
    {
        WeightFormat.Int4 => Nibbles(hash, count),
        _ when count == 0 => 0,
        WeightFormat.Fp32 => BitConverter.SingleToUInt32Bits(((int)(hash >> 8) - (1 << 23)) * MathF.ScaleB(1, Magnitude - 23)),
        WeightFormat.Fp16 => HalfBits(hash) | (count > 1 ? HalfBits(hash >> 16) << 16 : 0),
        WeightFormat.Int8 => Bytes(hash, count),
        _ => throw new ArgumentOutOfRangeException(nameof(count), $"{format} has no random words."),
    };

    /// <summary>11 bits as a half that represents them exactly.</summary>
    private static uint HalfBits(uint bits) => BitConverter.HalfToUInt16Bits((Half)(((int)(bits & 2047) - 1024) * (1 << (Magnitude - 10))));

    /// <summary>Bytes from −127: no quantizer produces −128.</summary>
    private static uint Bytes(uint hash, int count)
    {
        uint word = 0;
        for (int i = 0; i < count; i++) word |= (uint)(byte)Math.Max((sbyte)(hash >> (8 * i)), (sbyte)-127) << (8 * i);
        return word;
    }

    /// <summary>Nibbles in the order of <see cref="WeightLayout"/>; for the code −8, which has no opposite, 0 is taken.</summary>
    private static uint Nibbles(uint hash, int count)
    {
        uint word = 0;
        for (int i = 0; i < 8; i++)
        {
            int shift = (i / 2 * 4) + (i % 2 * 16);
            uint nibble = (hash >> shift) & 15;
            word |= (i < count && nibble > 0 ? nibble : 8) << shift;
        }
        return word;
    }

    /// <summary>128 to 255: times 127 about 2^<see cref="Magnitude"/> and more.</summary>
    private static Half ScaleOf(uint hash) => (Half)(128 + (hash & 127));
}
