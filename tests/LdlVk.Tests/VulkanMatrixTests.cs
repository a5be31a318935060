using LdlVk.Runtime.Devices;
using LdlVk.Vulkan;
using Xunit;

namespace LdlVk.Tests;

/// <summary>What may be tuned about Linear on matrix units changes no bit.</summary>
public sealed class VulkanMatrixTests : VulkanTest
{
    [Theory]
    [MemberData(nameof(Drivers))]
    public void AllTilesGiveTheSameBits(int index)
    {
        using VulkanDevice device = Open(index, cacheFolder: CacheFile.DefaultFolder, linear: LinearFamily.Matrix);
        if (device.LinearKernels.MatrixUnitsFor(WeightFormat.Fp16) is null)
        {
            Assert.Skip($"{device.Info.Name} has no matrix units.");
            return;
        }

        const int Rows = 70, Features = 75, Columns = 160;
        Random random = new(3);
        float[] x = [.. Enumerable.Range(0, Rows * Columns).Select(_ => (float)((random.NextDouble() - 0.5) * Math.Pow(2, random.Next(20))))];
        using ITensor input = device.CreateTensor(Rows, Columns), output = device.CreateTensor(Rows, Features), scratch = device.CreateTensor(Rows, Features);
        device.Write(input, 0, x);
        using IWeight half = device.CreateWeight(new RowWeight(Features, Columns, WeightFormat.Fp16)), int8 = device.CreateWeight(new RowWeight(Features, Columns, WeightFormat.Int8));
        MatrixTiles[] all = [.. device.LinearKernels.Candidates(device.LinearKernels.KeyOf(new LinearProduct(WeightFormat.Fp16, false, Features, Columns, Rows))).Cast<MatrixTiles>()];
        Assert.Contains(all, t => t.Buffers == 1);
        Assert.Contains(all, t => t.Buffers == 2);

        // A driver on a processor compiles for seconds: there, every seventh and the first.
        IEnumerable<MatrixTiles> tried = device.Info.Kind == DeviceKind.Software ? all.Where((_, i) => i % 7 == 0) : all;
        float[]? wanted = null;
        foreach (MatrixTiles tiles in tried)
        {
            device.LinearKernels.Forced = tiles.Name;
            device.Linear(output, input, int8);
            float[] linear = Read(device, output);
            device.GatedLinear(output, scratch, input, half, half);
            float[] got = [.. linear, .. Read(device, output)];
            wanted ??= got;
            Assert.True(wanted.AsSpan().SequenceEqual(got), $"{tiles} gives other bits than {all[0]}");
        }

        // Scales of the rows are powers of two: one element of each weight row is not zero, so the result is a rounded product.
        for (int r = 0; r < Rows; r++)
            for (int n = 0; n < Features; n++)
            {
                var weight = new RowWeight(Features, Columns);
                double exact = (double)x[(r * Columns) + weight.ColumnOf(n)] * RowWeight.ValueOf(n), largest = x.AsSpan(r * Columns, Columns).ToArray().Max(Math.Abs);
                Assert.InRange(wanted![(r * Features) + n], exact - Math.Max(Math.Abs(exact) / 1024, largest * 1e-7), exact + Math.Max(Math.Abs(exact) / 1024, largest * 1e-7));
            }
    }
}
