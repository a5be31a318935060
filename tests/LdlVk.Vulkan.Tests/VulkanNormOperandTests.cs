using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Device;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Memory;

namespace LdlVk.Vulkan.Tests;

/// <summary>A norm writes its rows as operands of the products after it, in the bits of a conversion afterwards.</summary>
public sealed class VulkanNormOperandTests : VulkanTest
{
    private const int Rows = 40, Columns = 130, Features = 64;

    /// <summary>The halves of matrix units.</summary>
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

        foreach (SumFormat sums in Enum.GetValues<SumFormat>())
            foreach (int columns in (int[])[Columns, 1300])
                SameOperands(device, columns, WeightFormat.Fp16, (y, x, weight) => device.Linear(y, x, weight, sums: sums));
    }

    /// <summary>The bytes of Int8Linear and their scales. A row of 1300 has a group that begins beside a whole number of workgroups.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void A_norm_writes_the_bytes_and_scales_that_a_conversion_would(int index)
    {
        using VulkanDevice device = Open(index, cacheFolder: CacheFile.DefaultFolder);
        foreach (int columns in (int[])[Columns, 1300])
            SameOperands(device, columns, WeightFormat.Int8, (y, x, weight) => device.Int8Linear(y, x, weight));
    }

    private static void SameOperands(VulkanDevice device, int columns, WeightFormat format, Action<ITensor, ITensor, IWeight> multiply)
    {
        foreach (string op in (string[])["RmsNorm", "AddNorm", "AddNorm of a norm"]) SameOperands(device, op, columns, format, multiply);
    }

    private static void SameOperands(VulkanDevice device, string op, int columns, WeightFormat format, Action<ITensor, ITensor, IWeight> multiply)
    {
        using ITensor residual = device.CreateTensor(Rows, columns), apart = device.CreateTensor(Rows, columns);
        using IWeight weight = device.CreateWeight(new RandomWeightSource("weight", Features, columns, format, 1));
        using ITensor x = device.CreateTensor(Rows, columns), norm = device.CreateTensor(1, columns), again = device.CreateTensor(Rows, columns);
        for (int seed = 0; seed < 4; seed++)
        {
            device.Write(x, 0, Values(Rows, columns, seed));
            device.Write(norm, 0, [.. Values(1, columns, seed + 10).Select(v => MathF.Abs(v) < 1e3f ? v : 1)]);
            // A new tensor's rows are converted when a product reads them.
            using ITensor fresh = device.CreateTensor(Rows, columns), wanted = device.CreateTensor(Rows, Features), got = device.CreateTensor(Rows, Features);
            Norm(fresh);
            Assert.Equal(0, ((VulkanTensor)fresh).ConvertedRows.Count);
            multiply(wanted, fresh, weight);
            // From the second time on the norm does it.
            Norm(again);
            Assert.Equal(seed == 0 ? 0 : Rows, ((VulkanTensor)again).ConvertedRows.Count);
            multiply(got, again, weight);
            Assert.Equal(Bits(Read(device, wanted)), Bits(Read(device, got)));
            Assert.Equal(Bits(Read(device, fresh)), Bits(Read(device, again)));
        }

        // AddNorm once without and once with a norm of what it adds.
        void Norm(ITensor y)
        {
            if (op == "RmsNorm")
            {
                device.RmsNorm(y, x, norm, 1e-6f);
                return;
            }

            device.Write(residual, 0, Values(Rows, columns, 20));
            device.AddNorm(y, residual, x, op == "AddNorm" ? null : norm, norm, 1e-6f);
            // In the bits of the two ops, whatever form the operands have.
            device.Write(apart, 0, Values(Rows, columns, 20));
            if (op == "AddNorm") device.Add(apart, x);
            else device.NormAdd(apart, x, norm, 1e-6f);
            Assert.Equal(Bits(Read(device, apart)), Bits(Read(device, residual)));
            device.RmsNorm(apart, apart, norm, 1e-6f);
            Assert.Equal(Bits(Read(device, apart)), Bits(Read(device, y)));
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
    private static float[] Values(int rows, int columns, int seed)
    {
        var random = new Random(seed);
        float[] values = new float[rows * columns];
        for (int row = 0; row < rows; row++)
        {
            float magnitude = MathF.Pow(10, (row % 30) - 12);
            for (int c = 0; c < columns; c++) values[(row * columns) + c] = row == 5 ? 0 : magnitude * ((2 * random.NextSingle()) - 1);
        }

        if (rows > 7) values[7 * columns] = float.NaN;
        return values;
    }

    private static int[] Bits(float[] values) => [.. values.Select(v => float.IsNaN(v) ? -1 : BitConverter.SingleToInt32Bits(v))];
}
