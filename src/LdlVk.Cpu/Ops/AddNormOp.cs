using System.Runtime.CompilerServices;
using LdlVk.Cpu.Memory;
using LdlVk.Runtime.Devices;

namespace LdlVk.Cpu.Ops;

/// <summary><see cref="IDevice.AddNorm"/>: the rows of its two ops one after the other, while they are in the cache.</summary>
internal static unsafe class AddNormOp
{
    public static void Run(
        Workers workers, CpuTensor output, CpuTensor residual, CpuTensor y, CpuTensor? yWeight, CpuTensor weight, float epsilon)
    {
        float* source = y.Data, sums = residual.Data, destination = output.Data;
        float* w = weight.Data, wOfY = yWeight is null ? null : yWeight.Data;
        int stride = y.Stride, columns = y.Columns;
        workers.Run(y.Rows, 2L * y.Rows * stride, [MethodImpl(MethodImplOptions.AggressiveOptimization)] (row, _) =>
        {
            float* sum = sums + ((long)row * stride), from = source + ((long)row * stride), to = destination + ((long)row * stride);
            if (wOfY == null) AddOp.Row(sum, from, stride);
            else RmsNormOp.Row(sum, from, wOfY, stride, columns, epsilon, add: true);
            residual.ClearPadding(sum);
            RmsNormOp.Row(to, sum, w, stride, columns, epsilon, add: false);
            output.ClearPadding(to);
        });
    }
}
