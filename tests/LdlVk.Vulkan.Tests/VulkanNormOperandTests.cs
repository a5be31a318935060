using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Device;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Memory;

namespace LdlVk.Vulkan.Tests;

/// <summary>On matrix units a norm writes its rows as operands of the products after it, in the bits of a conversion afterwards.</summary>
public sealed class VulkanNormOperandTests : VulkanTest
{
    private const int Rows = 40, Columns = 130, Features = 64;

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void A_norm_writes_the_operands_that_a_conversion_would(int index)
    {
        using VulkanDevice device = Open(index, cacheFolder: CacheFile.DefaultFolder, linear: LinearFamily.Matrix);
        if (!device.Resources.LinearKernels.UsesMatrixUnitsFor(WeightFormat.Fp16))
        {
            Assert.Skip($"{device.Info.Name} has no matrix units.");
            return;
        }

        using IWeight weight = device.CreateWeight(new RandomWeightSource("weight", Features, Columns, WeightFormat.Fp16, 1));
        using ITensor x = device.CreateTensor(Rows, Columns), norm = device.CreateTensor(1, Columns), again = device.CreateTensor(Rows, Columns);
        for (int seed = 0; seed < 4; seed++)
        {
            device.Write(x, 0, Values(Rows, seed));
            device.Write(norm, 0, [.. Values(1, seed + 10).Select(v => MathF.Abs(v) < 1e3f ? v : 1)]);
            // A new tensor's rows are converted when a product reads them.
            using ITensor fresh = device.CreateTensor(Rows, Columns), wanted = device.CreateTensor(Rows, Features), got = device.CreateTensor(Rows, Features);
            device.RmsNorm(fresh, x, norm, 1e-6f);
            Assert.Equal(0, ((VulkanTensor)fresh).ConvertedRows.Count);
            device.Linear(wanted, fresh, weight);
            // From the second time on the norm does it.
            device.RmsNorm(again, x, norm, 1e-6f);
            Assert.Equal(seed == 0 ? 0 : Rows, ((VulkanTensor)again).ConvertedRows.Count);
            device.Linear(got, again, weight);
            Assert.Equal(Bits(Read(device, wanted)), Bits(Read(device, got)));
            Assert.Equal(Bits(Read(device, fresh)), Bits(Read(device, again)));
        }
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Rows_that_are_written_are_converted_again_and_the_others_are_not(int index)
    {
        using VulkanDevice device = Open(index);
        using var tensor = (VulkanTensor)device.CreateTensor(10, Columns);
        OperandKind kind = OperandKind.Halves(tensor.Stride);
        foreach ((int first, int count, int heldFirst, int heldCount) in ((int, int, int, int)[])
            [(0, 2, 2, 6), (0, 3, 3, 5), (6, 4, 0, 6), (8, 2, 0, 8), (0, 10, 0, 0), (3, 1, 4, 4), (5, 1, 0, 5), (7, 1, 0, 7)])
        {
            tensor.SetConverted(0, 8, kind);
            tensor.SetWritten(first, count);
            Assert.Equal((heldFirst, heldCount), (tensor.ConvertedRows.First, tensor.ConvertedRows.Count));
            for (int row = 0; row < 10; row++)
                if (tensor.HoldsOperand(row, 1, kind)) Assert.True((row < first || row >= first + count) && row < 8, $"row {row} was written");
        }

        tensor.SetConverted(4, 3, kind);
        tensor.SetWritten(0, 2);
        Assert.True(tensor.HoldsOperand(4, 3, kind));
        tensor.SetWritten(9, 1);
        Assert.True(tensor.HoldsOperand(4, 3, kind));
        tensor.SetWritten(6, 4);
        Assert.True(tensor.HoldsOperand(4, 2, kind));
        Assert.False(tensor.HoldsOperand(4, 3, kind));
    }

    /// <summary>Rows of very different magnitudes, one of zeros, and one that is not finite.</summary>
    private static float[] Values(int rows, int seed)
    {
        var random = new Random(seed);
        float[] values = new float[rows * Columns];
        for (int row = 0; row < rows; row++)
        {
            float magnitude = MathF.Pow(10, (row % 30) - 12);
            for (int c = 0; c < Columns; c++) values[(row * Columns) + c] = row == 5 ? 0 : magnitude * ((2 * random.NextSingle()) - 1);
        }

        if (rows > 7) values[7 * Columns] = float.NaN;
        return values;
    }

    private static int[] Bits(float[] values) => [.. values.Select(v => float.IsNaN(v) ? -1 : BitConverter.SingleToInt32Bits(v))];
}
