namespace LdlVk.Testing;

/// <summary>A row-major fp32 matrix on the test's side.</summary>
public sealed class Matrix(int rows, int columns)
{
    public int Rows => rows;

    public int Columns => columns;

    public float[] Data { get; } = new float[rows * columns];

    public ref float this[int row, int column] => ref Data[(row * columns) + column];

    public Span<float> Row(int row) => Data.AsSpan(row * columns, columns);

    public static Matrix Filled(int rows, int columns, float value)
    {
        Matrix matrix = new(rows, columns);
        Array.Fill(matrix.Data, value);
        return matrix;
    }

    /// <summary>Normally distributed elements.</summary>
    public static Matrix Random(Random random, int rows, int columns, double deviation = 1)
    {
        Matrix matrix = new(rows, columns);
        for (int i = 0; i < matrix.Data.Length; i++) matrix.Data[i] = (float)(deviation * Normal(random));
        return matrix;
    }

    /// <summary>A matrix of the rows named, in that order.</summary>
    public Matrix Pick(params int[] picked)
    {
        Matrix matrix = new(picked.Length, columns);
        for (int i = 0; i < picked.Length; i++) Row(picked[i]).CopyTo(matrix.Row(i));
        return matrix;
    }

    /// <summary>A normally distributed number (Box and Muller).</summary>
    public static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
