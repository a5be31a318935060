using System.Globalization;

namespace LdlVk.Datasets.Lines;

/// <summary>
/// One machine's part of a dataset: of every <paramref name="Count"/> blocks of <see cref="BlockLines"/> lines, the block with number
/// <paramref name="Index"/>. Neighboring lines stay together, because they often share their prompt. The number of lines need not be
/// known.
/// </summary>
/// <param name="Index">Index of the part from 0, as in array jobs of Slurm and Kubernetes.</param>
/// <param name="Count">Number of parts.</param>
public readonly record struct Shard(int Index, int Count)
{
    /// <summary>Number of lines of a block.</summary>
    public const int BlockLines = 256;

    /// <summary>The whole dataset as one part.</summary>
    public static Shard Whole { get; } = new(0, 1);

    /// <summary>Whether a line, counted from 0, belongs to this part.</summary>
    public bool Has(long line) => line / BlockLines % Count == Index;

    /// <summary>Returns the number of a line of the input, counted from 0, by its number in this part.</summary>
    public long LineOf(long row) => (((row / BlockLines * Count) + Index) * BlockLines) + (row % BlockLines);

    /// <summary>Reads a part as I/N.</summary>
    /// <exception cref="UsageException">The text is malformed.</exception>
    public static Shard Parse(string text)
    {
        string[] parts = text.Split('/');
        if (parts.Length != 2 || !Number(parts[0], out int index) || !Number(parts[1], out int count) || count == 0)
            throw new UsageException($"{text}: give the part's number, from 0, and the number of parts, as 0/8.");
        return index < count ? new Shard(index, count)
            : throw new UsageException($"{text}: parts are counted from 0, so the last of {count} is {count - 1}/{count}.");

        static bool Number(string text, out int number) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Index}/{Count}");
}
