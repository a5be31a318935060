namespace LdlVk.Runtime.Checkpoints.Adapters;

/// <summary>
/// The magnitudes of DoRA (Liu et al. 2024, "DoRA: Weight-Decomposed Low-Rank Adaptation"): each row of the updated matrix has the norm
/// that the adapter learned for it, W' = m/‖W + s·B·A‖ ⊙ (W + s·B·A). Of an embedding table these are columns, as in PEFT, whose norms take
/// a pass over the table before the first row is read. The norms are kept, the matrix is not. Thread-safe.
/// </summary>
/// <param name="magnitude">m: [out], or [hidden] of an embedding table.</param>
/// <param name="original">W.</param>
/// <param name="ofColumns">Whether columns are scaled.</param>
internal sealed class Magnitudes(CheckpointTensor magnitude, CheckpointTensor original, bool ofColumns)
{
    private readonly Lock _gate = new();
    private float[]? _factors;

    /// <summary>Scales consecutive elements of W + s·B·A.</summary>
    public void Scale(LowRankUpdate update, long firstElement, Span<float> elements)
    {
        float[] factors;
        lock (_gate) factors = _factors ??= Factors(update);
        int columns = original.Columns;
        (long row, long column) = Math.DivRem(firstElement, columns);
        foreach (ref float element in elements)
        {
            element *= factors[ofColumns ? column : row];
            if (++column < columns) continue;
            column = 0;
            row++;
        }
    }

    /// <summary>m over the norms, whose squares are summed in double in the order of the elements.</summary>
    private float[] Factors(LowRankUpdate update)
    {
        int columns = original.Columns;
        float[] values = magnitude.ReadAll(), row = new float[columns];
        double[] squares = new double[values.Length];
        for (int r = 0; r < original.Rows; r++)
        {
            long first = (long)r * columns;
            original.Read(first, row);
            update.AddProduct(first, row);
            for (int c = 0; c < columns; c++) squares[ofColumns ? c : r] += (double)row[c] * row[c];
        }

        return [.. values.Zip(squares, (value, square) => (float)(value / Math.Sqrt(square)))];
    }
}
