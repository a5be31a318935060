using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Memory;

namespace LdlVk.Vulkan.Ops;

/// <summary>
/// Fills weights with random values on the device (fill_random.comp): to measure a 27B model, no 52 GB are made and uploaded.
/// </summary>
internal sealed class RandomFill(OpContext context)
{
    /// <summary>Words of a dispatch: the kernel's indexes stay far below 2³¹.</summary>
    private const int WordsPerDispatch = 1 << 28;

    public void Record(RandomWeightSource source, VulkanWeight weight)
    {
        Allocation target = weight.Allocation;
        uint format = (uint)source.Format;
        int wordsPerRow = (int)WeightLayout.RowBytes(source.Format, source.InputFeatures) / sizeof(uint);
        int rowsAtOnce = Math.Max(1, WordsPerDispatch / wordsPerRow);
        for (int row = 0; row < source.OutputFeatures; row += rowsAtOnce)
        {
            int rows = Math.Min(rowsAtOnce, source.OutputFeatures - row);
            ulong address = target.Address + ((ulong)row * (ulong)wordsPerRow * sizeof(uint));
            Fill(address, row, rows, wordsPerRow, [format, 0]);
        }

        // Two scales a word. With an odd number the last word is half used; the allocation's alignment leaves room for it, and kernels read
        // it.
        long scales = (long)source.OutputFeatures * WeightLayout.ScalesPerRow(source.Format, source.InputFeatures);
        ulong scalesOffset = VulkanWeight.ScalesOffset(source.Format, source.OutputFeatures, source.InputFeatures);
        Fill(target.Address + scalesOffset, 0, 1, (int)((scales + 1) / 2), [format, 1]);

        void Fill(ulong address, int firstRow, int rows, int words, ReadOnlySpan<uint> constants)
        {
            PushConstants push = new PushConstants()
                .Add(address).Add(firstRow).Add(rows).Add(words).Add(source.InputFeatures).Add(source.Seed);
            MemoryRange written = new(address, (ulong)rows * (ulong)words * sizeof(uint), weight.Shared);
            context.DispatchLooping("fill_random", constants, push, OpContext.Groups(words, 64), rows,
                Work.Elementwise("FillRandom", rows, words), reads: [], writes: [written]);
        }
    }
}
