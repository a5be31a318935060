namespace LdlVk.SelfTest;

/// <summary>A row-major fp32 matrix on the host.</summary>
public sealed class Matrix(int rows, int columns)
{
    /// <summary>Number of rows.</summary>
    public int Rows => rows;

    /// <summary>Number of columns.</summary>
    public int Columns => columns;

    /// <summary>The elements, row by row.</summary>
    public float[] Data { get; } = new float[rows * columns];

    /// <summary>An element.</summary>
    public ref float this[int row, int column] => ref Data[(row * columns) + column];

    /// <summary>A row.</summary>
    public Span<float> Row(int row) => Data.AsSpan(row * columns, columns);

    /// <summary>A matrix of equal elements.</summary>
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
