using LdlVk.Runtime.Formatting;

namespace LdlVk.Datasets.Containers;

/// <summary>
/// Bounds the lines that an input stands for by the bytes that were read of it. Runs, dictionaries and names that each row repeats stand
/// for any number of rows: 126 bytes of Parquet can hold 2³¹ rows of nulls.
/// </summary>
/// <param name="bytes">Number of bytes that were read.</param>
/// <param name="perByte">Maximum of rows, and of bytes of JSON, for each byte of the input.</param>
internal sealed class ExpansionLimit(Func<long> bytes, long perByte = ExpansionLimit.MaxPerByte)
{
    /// <summary>
    /// Maximum of rows, and of bytes of JSON, for each byte of the input. Deflate reaches 1,032 bytes. Arrow 25 writes 10 million rows of
    /// one constant column in 47 kB, 221 a byte.
    /// </summary>
    public const long MaxPerByte = 1 << 10;

    /// <summary>The same for tables of results, whose rows may have the same 3 kB of details but for their number.</summary>
    public const long MaxPerResultByte = 1 << 14;

    private const long FreeRows = 1 << 16, FreeBytes = 64 << 20;

    private long _rows, _json;

    /// <summary>Maximum number of rows.</summary>
    public long MaxRows => FreeRows + (perByte * bytes());

    /// <summary>Counts a row.</summary>
    /// <param name="json">Its length as JSON.</param>
    /// <exception cref="InvalidDataException">The input stands for too much.</exception>
    public void Add(long json)
    {
        _rows++;
        _json += json;
        if (_rows <= FreeRows && _json <= FreeBytes) return;
        if (_rows > MaxRows || _json > FreeBytes + (perByte * bytes()))
            throw new InvalidDataException(
                $"its {Readable.Count(bytes())} bytes stand for more than {Readable.Count(perByte)} times as much.");
    }
}
