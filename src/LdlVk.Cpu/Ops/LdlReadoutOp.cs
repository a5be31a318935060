using System.Runtime.Intrinsics;
using LdlVk.Cpu.Memory;

namespace LdlVk.Cpu.Ops;

/// <summary>
/// The LDL readout: rewards = softmax over each attribute's bins, weights = the gates or their softmax, distribution = weights·rewards,
/// score = Σᵦ distribution[b]·b/(bins − 1). A row is a few hundred numbers, so this is plain scalar code; sums are in double because
/// the weights have both signs and cancel.
/// </summary>
internal static unsafe class LdlReadoutOp
{
    public static void Run(
        Workers workers, CpuTensor output, CpuTensor regression, CpuTensor gating, int attributes, int bins, float temperature)
    {
        float* r = regression.Data, g = gating.Data, y = output.Data;
        workers.Run(output.Rows, (long)output.Rows * attributes * bins * 20, (row, _) =>
        {
            float* gates = g + ((long)row * gating.Stride), logits = r + ((long)row * regression.Stride);
            float* score = y + ((long)row * output.Stride), distribution = score + 1;
            float* weights = distribution + bins, rewards = weights + attributes;

            for (int a = 0; a < attributes; a++) Softmax(logits + (a * bins), rewards + (a * bins), bins, 1);
            if (temperature > 0) Softmax(gates, weights, attributes, temperature);
            else new Span<float>(gates, attributes).CopyTo(new Span<float>(weights, attributes));

            double total = 0;
            for (int b = 0; b < bins; b++)
            {
                double sum = 0;
                for (int a = 0; a < attributes; a++) sum += (double)weights[a] * rewards[(a * bins) + b];
                distribution[b] = (float)sum;
                total += sum * b / (bins - 1);
            }
            *score = (float)total;
        });
    }

    /// <summary>y = softmax(x / temperature).</summary>
    private static void Softmax(float* x, float* y, int count, float temperature)
    {
        float max = float.NegativeInfinity;
        for (int i = 0; i < count; i++) max = MathF.Max(max, x[i]);
        double sum = 0;
        for (int i = 0; i < count; i++)
        {
            y[i] = VectorMath.Exp(Vector256.Create((x[i] - max) / temperature)).ToScalar();
            sum += y[i];
        }
        for (int i = 0; i < count; i++) y[i] = (float)(y[i] / sum);
    }
}
