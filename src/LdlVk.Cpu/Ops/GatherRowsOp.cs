namespace LdlVk.Cpu;

/// <summary>output[i] = input[rows[i]].</summary>
internal static unsafe class Gather
{
    public static void Run(Workers workers, CpuTensor output, CpuTensor input, int[] rows)
    {
        for (int i = 0; i < rows.Length; i++)
            if (rows[i] >= input.Rows)
                throw new ArgumentException($"GatherRows: row number {i} is {rows[i]}, the input ends at row {input.Rows - 1}.");

        long stride = input.Stride;
        float* x = input.Data, y = output.Data;
        workers.Run(rows.Length, rows.Length * stride, (i, _) =>
            Buffer.MemoryCopy(x + (rows[i] * stride), y + (i * stride), stride * sizeof(float), stride * sizeof(float)));
    }
}
