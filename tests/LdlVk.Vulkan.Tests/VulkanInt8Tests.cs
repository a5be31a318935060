using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Device;
using LdlVk.Vulkan.Kernels;

namespace LdlVk.Vulkan.Tests;

/// <summary>Int8Linear by ordinary arithmetic, by an instruction for products of four bytes, and on matrix units: the same bits.</summary>
public sealed class VulkanInt8Tests : VulkanTest
{
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void All_kernels_give_the_same_bits(int index)
    {
        using VulkanDevice device = Open(index, cacheFolder: CacheFile.DefaultFolder, linear: LinearFamily.Matrix);
        if (device.Ops.Int8Linear.Units == Int8Units.Scalar)
        {
            Assert.Skip($"{device.Info.Name} has neither integer dot products nor matrix units: conformance tests its only kernel.");
            return;
        }

        Int8Units[] all = device.Ops.Int8Linear.Units == Int8Units.Matrix ? [Int8Units.Scalar, Int8Units.Dot, Int8Units.Matrix] : [Int8Units.Scalar, Int8Units.Dot];
        Random random = new(3);
        foreach (WeightFormat format in new[] { WeightFormat.Int8, WeightFormat.Int4 })
        {
            foreach ((int rows, int features, int columns) in new[] { (1, 3, 33), (20, 70, 96), (70, 75, 640) })
            {
                using IWeight weight = device.CreateWeight(new Noise(features, columns, format));
                using ITensor input = device.CreateTensor(rows, columns), output = device.CreateTensor(rows, features);
                device.Write(input, 0, [.. Enumerable.Range(0, rows * columns).Select(_ => (float)((random.NextDouble() - 0.5) * Math.Pow(2, random.Next(20))))]);
                float[]? wanted = null;
                foreach (Int8Units units in all)
                {
                    device.Ops.Int8Linear.Units = units;
                    device.Int8Linear(output, input, weight);
                    float[] got = Read(device, output);
                    wanted ??= got;
                    Assert.True(wanted.AsSpan().SequenceEqual(got), $"{units}, {format} [{rows}, {features}, {columns}]");
                }

                if (device.Ops.Int8Linear.Units == Int8Units.Matrix)
                {
                    // Each of the hundreds of tilings is a pipeline to compile, so only some are tried.
                    IReadOnlyList<ITiling> tilings = device.Resources.LinearKernels.Candidates(LinearKernels.Int8KeyOf(new LinearProduct(format, false, features, columns, rows)));
                    foreach (ITiling tiling in tilings.Where((_, i) => i % 97 == 50))
                    {
                        device.Resources.LinearKernels.Forced = tiling.Name;
                        device.Int8Linear(output, input, weight);
                        Assert.True(wanted.AsSpan().SequenceEqual(Read(device, output)), $"tiles {tiling.Name}, {format} [{rows}, {features}, {columns}]");
                    }

                    device.Resources.LinearKernels.Forced = null;
                }

                Assert.Contains(wanted!, v => v != 0);
            }
        }
    }

    /// <summary>Bytes of all values, −128 included.</summary>
    private sealed class Noise(int outputFeatures, int inputFeatures, WeightFormat format) : IWeightSource
    {
        public string Name => "noise";
        public int OutputFeatures => outputFeatures;
        public int InputFeatures => inputFeatures;
        public WeightFormat Format => format;
        public float Scale => 0.5f;

        public void ReadRows(int firstRow, int rowCount, Span<byte> values, Span<Half> scales)
        {
            new Random(firstRow).NextBytes(values);
            for (int i = 0; i < scales.Length; i++) scales[i] = (Half)(0.01f * (1 + (i % 5)));
        }
    }
}
