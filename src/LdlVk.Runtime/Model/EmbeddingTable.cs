using System.Buffers;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model;

/// <summary>
/// The token embeddings. The table stays in the checkpoint's file; only the rows of the batch's tokens are copied to the device.
/// </summary>
internal sealed class EmbeddingTable(IFloatMatrix table, float factor)
{
    /// <summary>Number of rows converted and written at a time; they fit a core's cache.</summary>
    private const int Chunk = 32;

    /// <summary>Creates the table of a checkpoint.</summary>
    public static EmbeddingTable Of(Checkpoint checkpoint, EmbeddingScale scale)
    {
        CheckpointTensor table = checkpoint.Embedding;
        if (!checkpoint.Config.Architecture.ScalesEmbeddings) return new EmbeddingTable(table, 1);
        float exact = MathF.Sqrt(table.Columns);
        return new EmbeddingTable(table, checkpoint.RoundsEmbeddingScale(scale) ? RoundToBf16(exact) : exact);
    }

    /// <summary>residual[r] = table[ids[r]]·factor.</summary>
    /// <exception cref="InputException">An id is outside the vocabulary.</exception>
    public void Write(IDevice device, ITensor residual, ReadOnlySpan<int> ids)
    {
        int hidden = table.Columns;
        float[] rows = ArrayPool<float>.Shared.Rent(Math.Min(Chunk, ids.Length) * hidden);
        for (int done = 0; done < ids.Length; done += Chunk)
        {
            int count = Math.Min(Chunk, ids.Length - done);
            for (int i = 0; i < count; i++)
            {
                Span<float> row = rows.AsSpan(i * hidden, hidden);
                table.Read((long)ids[done + i] * hidden, row);
                System.Numerics.Tensors.TensorPrimitives.Multiply(row, factor, row);
            }

            device.Write(residual, done, rows.AsSpan(0, count * hidden));
        }

        ArrayPool<float>.Shared.Return(rows);
    }

    /// <summary>Rounds to bf16, to nearest, ties to even.</summary>
    private static float RoundToBf16(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return BitConverter.UInt32BitsToSingle((bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000);
    }
}
