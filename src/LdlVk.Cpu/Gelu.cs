using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace LdlVk.Cpu;

/// <summary>
/// output = gelu(gate)·up. gelu_pytorch_tanh, x/2·(1 + tanh u), is x·sigmoid(2u) = x / (1 + e^(−2u)); written so it keeps its relative
/// accuracy where tanh u approaches −1, and no exponential that overflows does harm: x/∞ is 0.
/// </summary>
internal static unsafe class Gelu
{
    public static void Run(Workers workers, CpuTensor output, CpuTensor gate, CpuTensor up)
    {
        Aligned(output, gate);
        Aligned(output, up);
        float* g = gate.Data, u = up.Data, y = output.Data;
        int stride = output.Stride;
        workers.Run(output.Rows, (long)output.Rows * stride * 8, (row, _) =>
        {
            // The padding stays zero by itself: gelu(0)·0 = 0.
            long first = (long)row * stride;
            for (long i = first; i < first + stride; i += 8)
                (Value(Vector256.Load(g + i)) * Vector256.Load(u + i)).Store(y + i);
        });
    }

    /// <summary>gelu of eight elements.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<float> Value(Vector256<float> x)
    {
        // −2u = −2·√(2/π)·(x + 0.044715·x³) = x·(a + b·x²)
        Vector256<float> a = Vector256.Create(-1.5957691216057308f), b = Vector256.Create(-0.07135481282553154f);
        Vector256<float> exponent = x * Vector256.FusedMultiplyAdd(b, x * x, a);
        return x / (Vector256.Create(1f) + VectorMath.Exp(exponent));
    }

    private static void Aligned(CpuTensor output, CpuTensor input)
    {
        if (output.Overlaps(input) && output.Data != input.Data)
            throw new ArgumentException("GeluMultiply: output and input overlap without being the same.");
    }
}
