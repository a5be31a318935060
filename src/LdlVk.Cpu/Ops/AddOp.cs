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
        {
            float* from = source + ((long)row * stride), to = destination + ((long)row * stride);
            for (int i = 0; i < stride; i += 8) (Vector256.Load(to + i) + Vector256.Load(from + i)).Store(to + i);
        });
    }
}
