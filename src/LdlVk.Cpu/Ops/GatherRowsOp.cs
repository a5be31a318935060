using LdlVk.Cpu.Memory;

namespace LdlVk.Cpu.Ops;

/// <summary>output[i] = input[rows[i]].</summary>
internal static unsafe class GatherRowsOp
{
    public static void Run(Workers workers, CpuTensor output, CpuTensor input, int[] rows)
    {
        long stride = input.Stride;
        float* x = input.Data, y = output.Data;
        workers.Run(rows.Length, rows.Length * stride, (i, _) =>
            Buffer.MemoryCopy(x + (rows[i] * stride), y + (i * stride), stride * sizeof(float), stride * sizeof(float)));
    }
}
