using LdlVk.DirectML.Memory;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML.Ops;

/// <summary><see cref="IDevice.GatherRows"/>: the row numbers are known to the host, so that it takes copies and no graph.</summary>
internal static class GatherRowsOp
{
    public static void Run(OpContext context, IDirectMLTensor output, IDirectMLTensor input, DirectMLIndices rows)
    {
        ReadOnlySpan<int> numbers = rows.Values;
        for (int first = 0, count; first < numbers.Length; first += count)
        {
            // Rows that follow one another are one copy.
            for (count = 1; first + count < numbers.Length && numbers[first + count] == numbers[first] + count;) count++;
            context.Copy(output.RegionOf(first, count), input.RegionOf(numbers[first], count));
        }
    }
}
