namespace LdlVk.Cpu;

/// <summary>output[i] = input[rows[i]].</summary>
internal static unsafe class Gather
{
    public static void Run(CpuTensor output, CpuTensor input, int[] rows)
    {
        for (int i = 0; i < rows.Length; i++)
            if (rows[i] >= input.Rows)
                throw new ArgumentException($"GatherRows: row number {i} is {rows[i]}, the input ends at row {input.Rows - 1}.");

        long stride = input.Stride;
        for (int i = 0; i < rows.Length; i++)
            Buffer.MemoryCopy(input.Data + (rows[i] * stride), output.Data + (i * stride), stride * sizeof(float), stride * sizeof(float));
    }
}
