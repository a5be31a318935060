using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LdlVk.Cpu.Memory;
using LdlVk.Runtime.Devices;

namespace LdlVk.Cpu.Ops;

/// <summary>
/// output = activation(gate)·up. Both activations are x·sigmoid: silu is x / (1 + e^(−x)), and gelu_pytorch_tanh, x/2·(1 + tanh u), is
/// x / (1 + e^(−2u)); written so they keep their relative accuracy where 1 + tanh u would cancel, and no exponential that overflows does
/// harm: x/∞ is 0.
/// </summary>
internal static unsafe class GateMultiplyOp
{
    public static void Run(Workers workers, CpuTensor output, CpuTensor gate, CpuTensor up, GateActivation activation)
    {
        float* g = gate.Data, u = up.Data, y = output.Data;
        int stride = output.Stride;
        bool silu = activation == GateActivation.Silu;
        workers.Run(output.Rows, (long)output.Rows * stride * 8, [MethodImpl(MethodImplOptions.AggressiveOptimization)] (row, _) =>
        {
            // The padding stays zero by itself: activation(0)·0 = 0.
            long first = (long)row * stride;
            for (long i = first; i < first + stride; i += 8)
            {
                Vector256<float> x = Vector256.Load(g + i);
                ((silu ? Silu(x) : Gelu(x)) * Vector256.Load(u + i)).Store(y + i);
            }
        });
    }

    /// <summary>gelu of eight elements.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<float> Gelu(Vector256<float> x)
    {
        // −2u = −2·√(2/π)·(x + 0.044715·x³) = x·(a + b·x²)
        Vector256<float> a = Vector256.Create(-1.5957691216057308f), b = Vector256.Create(-0.07135481282553154f);
        Vector256<float> exponent = x * Vector256.FusedMultiplyAdd(b, x * x, a);
        return x / (Vector256.Create(1f) + VectorMath.Exp(exponent));
    }

    /// <summary>silu of eight elements.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<float> Silu(Vector256<float> x) => x / (Vector256.Create(1f) + VectorMath.Exp(-x));
}
