namespace LdlVk.Evaluation.Statistics;

/// <summary>Counts of values in bins of equal width, whose edges are round numbers, 0 among them.</summary>
/// <param name="First">Lower edge of the first bin.</param>
/// <param name="Width">Width of a bin.</param>
/// <param name="Counts">Number of values in each bin; a value on an edge belongs to the bin above it.</param>
public sealed record Histogram(double First, double Width, long[] Counts)
{
    /// <summary>Lower edge of a bin, or upper edge of the one before it.</summary>
    public double Edge(int bin) => First + (bin * Width);

    /// <summary>Counts values.</summary>
    /// <param name="values">Finite values.</param>
    /// <param name="most">Maximum number of bins between the smallest and the largest value.</param>
    public static Histogram Of(IReadOnlyList<double> values, int most = 48)
    {
        if (values.Count == 0) return new Histogram(0, 1, [0]);
        double least = values.Min(), largest = values.Max(), width = RoundWidth((largest - least) / most);
        long first = (long)Math.Floor(least / width), last = (long)Math.Floor(largest / width);
        long[] counts = new long[last - first + 1];
        foreach (double value in values) counts[Math.Clamp((long)Math.Floor(value / width) - first, 0, counts.Length - 1)]++;
        return new Histogram(first * width, width, counts);
    }

    /// <summary>Returns the smallest of 1, 2, 5 times a power of ten that is not below <paramref name="width"/>.</summary>
    public static double RoundWidth(double width)
    {
        // Equal values have no range, so any width works.
        if (!(width > 1e-12)) return width > 0 ? 1e-12 : 1;
        double power = Math.Pow(10, Math.Floor(Math.Log10(width)));
        foreach (double step in (double[])[1, 2, 5])
            if (step * power >= width) return step * power;
        return 10 * power;
    }
}
