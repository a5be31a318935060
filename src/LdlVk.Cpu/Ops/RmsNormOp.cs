using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LdlVk.Cpu.Memory;

namespace LdlVk.Cpu.Ops;

/// <summary>
/// output = x·rsqrt(mean(x²) + ε)·w, or that added to the output (<see cref="NormAddOp"/>). The squares are summed in double: they are
/// exact there, cannot overflow, and the sum costs nothing next to reading the row.
/// </summary>
internal static unsafe class RmsNormOp
{
    public static void Run(Workers workers, CpuTensor output, CpuTensor input, CpuTensor weight, float epsilon, bool add)
    {
        float* w = weight.Data, source = input.Data, destination = output.Data;
        int stride = input.Stride;
        workers.Run(input.Rows, (long)input.Rows * stride, [MethodImpl(MethodImplOptions.AggressiveOptimization)] (row, _) =>
        {
            float* y = destination + ((long)row * stride);
            Row(y, source + ((long)row * stride), w, stride, input.Columns, epsilon, add);
            output.ClearPadding(y);
        });
    }

    /// <summary>A row of x, to y.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Row(float* y, float* x, float* w, int stride, int columns, float epsilon, bool add)
    {
        double mean = SumOfSquares(x, stride) / columns;
        Vector256<float> factor = Vector256.Create((float)(1 / Math.Sqrt(mean + epsilon)));
        for (int i = 0; i < stride; i += 8)
        {
            Vector256<float> normed = Vector256.Load(x + i) * factor * Vector256.Load(w + i);
            (add ? Vector256.Load(y + i) + normed : normed).Store(y + i);
        }
    }

    /// <summary>Σ x² in double, eight sums side by side and then a fixed tree.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static double SumOfSquares(float* x, int length)
    {
        Vector256<double> low = default, high = default;
        for (int i = 0; i < length; i += 8)
        {
            (Vector256<double> a, Vector256<double> b) = Vector256.Widen(Vector256.Load(x + i));
            low += a * a;
            high += b * b;
        }
        Vector256<double> s = low + high;
        return s[0] + s[2] + (s[1] + s[3]);
    }
}
