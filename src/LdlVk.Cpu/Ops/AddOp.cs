using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LdlVk.Cpu.Memory;

namespace LdlVk.Cpu.Ops;

/// <summary>residual += y.</summary>
internal static unsafe class AddOp
{
    public static void Run(Workers workers, CpuTensor residual, CpuTensor y)
    {
        float* source = y.Data, destination = residual.Data;
        int stride = y.Stride;
        workers.Run(y.Rows, (long)y.Rows * stride, [MethodImpl(MethodImplOptions.AggressiveOptimization)] (row, _) =>
            Row(destination + ((long)row * stride), source + ((long)row * stride), stride));
    }

    /// <summary>A row of y, added to one of the residual.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Row(float* residual, float* y, int stride)
    {
        for (int i = 0; i < stride; i += 8) (Vector256.Load(residual + i) + Vector256.Load(y + i)).Store(residual + i);
    }
}
