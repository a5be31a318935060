using System.Numerics.Tensors;

namespace LdlVk.Runtime.Checkpoints.Adapters;

/// <summary>
/// The change that a LoRA adapter makes to a matrix: s·B·A (Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models"). It is
/// added to the elements of the matrix as they are read, so that no merged copy exists. Thread-safe.
/// </summary>
/// <param name="a">A [rank, in].</param>
/// <param name="b">B [out, rank].</param>
/// <param name="scale">s.</param>
/// <param name="magnitudes">What scales the updated matrix (DoRA); null for nothing.</param>
internal sealed class LowRankUpdate(CheckpointTensor a, CheckpointTensor b, float scale, Magnitudes? magnitudes = null)
{
    private const int Piece = 2048;

    private readonly int _rank = a.Rows, _columns = a.Columns;
    private Factors? _factors;

    /// <summary>Updates consecutive elements of the matrix.</summary>
    /// <param name="firstElement">Index of the first element, counted row by row.</param>
    /// <param name="elements">The elements as stored.</param>
    public void AddTo(long firstElement, Span<float> elements)
    {
        AddProduct(firstElement, elements);
        magnitudes?.Scale(this, firstElement, elements);
    }

    /// <summary>
    /// Adds s·B·A to consecutive elements of the matrix. The products of an element are summed in fp32 in the order of the ranks, and
    /// that sum times s is added: its bits depend neither on where a part begins nor on the processor.
    /// </summary>
    /// <param name="firstElement">Index of the first element, counted row by row.</param>
    /// <param name="elements">The elements as stored.</param>
    public void AddProduct(long firstElement, Span<float> elements)
    {
        Factors factors = _factors ??= new Factors(a.ReadAll(), b.ReadAll());
        Span<float> sums = stackalloc float[Piece];
        while (elements.Length > 0)
        {
            (long row, long column) = Math.DivRem(firstElement, _columns);
            int count = (int)Math.Min(Math.Min(elements.Length, Piece), _columns - column);
            Span<float> sum = sums[..count];
            sum.Clear();
            for (int k = 0; k < _rank; k++)
            {
                ReadOnlySpan<float> inputs = factors.A.AsSpan((int)((k * (long)_columns) + column), count);
                TensorPrimitives.MultiplyAdd(inputs, factors.B[(row * _rank) + k], sum, sum);
            }

            TensorPrimitives.MultiplyAdd(sum, scale, elements[..count], elements[..count]);
            firstElement += count;
            elements = elements[count..];
        }
    }

    /// <summary>Frees the factors, which are read again when needed.</summary>
    public void Forget() => _factors = null;

    private sealed record Factors(float[] A, float[] B);
}
