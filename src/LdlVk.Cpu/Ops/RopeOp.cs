using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LdlVk.Cpu.Memory;

namespace LdlVk.Cpu.Ops;

/// <summary>Half-split rotary embedding: (x[i], x[i+h]) ← (x[i]·cos − x[i+h]·sin, x[i+h]·cos + x[i]·sin).</summary>
internal static unsafe class RopeOp
{
    public static void Run(Workers workers, CpuTensor x, int heads, int[] positions, CpuTensor table)
    {
        int half = table.Columns / 2;
        float* data = x.Data, angles = table.Data;
        workers.Run(x.Rows, (long)x.Rows * x.Stride, [MethodImpl(MethodImplOptions.AggressiveOptimization)] (row, _) =>
        {
            float* cos = angles + ((long)positions[row] * table.Stride);
            float* sin = cos + half;
            float* head = data + ((long)row * x.Stride);
            for (int h = 0; h < heads; h++, head += 2 * half) Rotate(head, head + half, cos, sin, half);
        });
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rotate(float* first, float* second, float* cos, float* sin, int count)
    {
        int i = 0;
        for (; i + 8 <= count; i += 8)
        {
            Vector256<float> a = Vector256.Load(first + i), b = Vector256.Load(second + i);
            Vector256<float> c = Vector256.Load(cos + i), s = Vector256.Load(sin + i);
            ((a * c) - (b * s)).Store(first + i);
            ((b * c) + (a * s)).Store(second + i);
        }
        for (; i < count; i++)
        {
            float a = first[i], b = second[i];
            first[i] = (a * cos[i]) - (b * sin[i]);
            second[i] = (b * cos[i]) + (a * sin[i]);
        }
    }
}
