using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LdlVk.Cpu.Memory;

namespace LdlVk.Cpu.Ops;

/// <summary>
/// x·rsqrt(mean(x²) + ε)·w of each head of each row in place. The squares are summed in double, as in <see cref="RmsNormOp"/>.
/// </summary>
internal static unsafe class HeadNormOp
{
    public static void Run(Workers workers, CpuTensor x, int heads, CpuTensor weight, float epsilon)
    {
        float* data = x.Data, w = weight.Data;
        int dimension = weight.Columns;
        workers.Run(x.Rows, (long)x.Rows * x.Stride, [MethodImpl(MethodImplOptions.AggressiveOptimization)] (row, _) =>
        {
            float* head = data + ((long)row * x.Stride);
            for (int h = 0; h < heads; h++, head += dimension) Norm(head, w, dimension, epsilon);
        });
    }

    /// <summary>Eight sums side by side and then a fixed tree; the elements after the last whole vector follow one by one.</summary>
    private static void Norm(float* x, float* w, int count, float epsilon)
    {
        int vectors = count / 8 * 8, i;
        Vector256<double> low = default, high = default;
        for (i = 0; i < vectors; i += 8)
        {
            (Vector256<double> a, Vector256<double> b) = Vector256.Widen(Vector256.Load(x + i));
            low += a * a;
            high += b * b;
        }

        Vector256<double> sums = low + high;
        double squares = sums[0] + sums[2] + (sums[1] + sums[3]);
        for (; i < count; i++) squares += (double)x[i] * x[i];
        float factor = (float)(1 / Math.Sqrt((squares / count) + epsilon));
        for (i = 0; i < vectors; i += 8) (Vector256.Load(x + i) * factor * Vector256.Load(w + i)).Store(x + i);
        for (; i < count; i++) x[i] = x[i] * factor * w[i];
    }
}
