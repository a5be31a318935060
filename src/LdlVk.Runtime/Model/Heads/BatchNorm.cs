using LdlVk.Runtime.Checkpoints;

namespace LdlVk.Runtime.Model.Heads;

/// <summary>
/// A BatchNorm1d with its running statistics, y = (x − mean)/√(var + ε)·weight + bias = s⊙x + t, which is folded into the linear layer that
/// follows: W·(s⊙x + t) + b = (W·diag(s))·x + (b + W·t). The fold is computed in double from the tensors of the file.
/// </summary>
internal sealed class BatchNorm
{
    /// <summary>PyTorch's default, which no file says otherwise.</summary>
    private const double Epsilon = 1e-5;

    private readonly Lazy<(double[] Scale, double[] Shift)> _affine;

    /// <summary>Makes the norm of checked tensors.</summary>
    /// <param name="name">Its name in the head, such as <c>layers.2</c>.</param>
    /// <param name="tensors">weight, bias, running_mean and running_var.</param>
    public BatchNorm(string name, IReadOnlyList<(string Name, CheckpointTensor Tensor)> tensors)
    {
        (Name, Tensors) = (name, tensors);
        _affine = new(() =>
        {
            float[][] values = [.. tensors.Select(tensor => tensor.Tensor.ReadAll())];
            double[] scale = new double[values[0].Length], shift = new double[scale.Length];
            for (int i = 0; i < scale.Length; i++)
            {
                scale[i] = values[0][i] / Math.Sqrt(values[3][i] + Epsilon);
                shift[i] = values[1][i] - (values[2][i] * scale[i]);
                if (!double.IsFinite(scale[i]) || !double.IsFinite(shift[i]))
                    throw new CheckpointException(
                        $"{name} has no finite scale at feature {i}: running_var {Shown.Number(values[3][i])}, weight "
                        + $"{Shown.Number(values[0][i])}. The file is damaged; download it again.");
            }

            return (scale, shift);
        });
    }

    /// <summary>The tensors' names in a module, in the order of the constructor's.</summary>
    public static IReadOnlyList<string> Parts { get; } = ["weight", "bias", "running_mean", "running_var"];

    /// <summary>Its name in the head.</summary>
    public string Name { get; }

    /// <summary>Its tensors, by their names in the module.</summary>
    public IReadOnlyList<(string Name, CheckpointTensor Tensor)> Tensors { get; }

    /// <summary>W·diag(s).</summary>
    public IFloatMatrix FoldedInto(CheckpointTensor weight) => new Folded(weight, _affine.Value.Scale);

    /// <summary>b + W·t.</summary>
    public float[] FoldedBias(CheckpointTensor weight, CheckpointTensor? bias)
    {
        double[] shift = _affine.Value.Shift;
        float[] row = new float[weight.Columns], sums = bias?.ReadAll() ?? new float[weight.Rows];
        for (int n = 0; n < sums.Length; n++)
        {
            weight.Read((long)n * row.Length, row);
            double sum = sums[n];
            for (int k = 0; k < row.Length; k++) sum += row[k] * shift[k];
            sums[n] = (float)sum;
        }

        return sums;
    }

    private sealed class Folded(CheckpointTensor weight, double[] scale) : IFloatMatrix
    {
        public string Name => weight.Name;

        public int Rows => weight.Rows;

        public int Columns => weight.Columns;

        public void Read(long firstElement, Span<float> destination)
        {
            weight.Read(firstElement, destination);
            int column = (int)(firstElement % scale.Length);
            for (int i = 0; i < destination.Length; i++)
            {
                destination[i] = (float)(destination[i] * scale[column]);
                if (++column == scale.Length) column = 0;
            }
        }
    }
}
