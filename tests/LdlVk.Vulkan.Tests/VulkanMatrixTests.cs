using LdlVk.Cpu;
using LdlVk.Runtime.Devices;
using LdlVk.Testing;
using LdlVk.Vulkan.Device;
using LdlVk.Vulkan.Kernels;

namespace LdlVk.Vulkan.Tests;

/// <summary>What tuning may choose for kernels on matrix units changes no bit.</summary>
public sealed class VulkanMatrixTests : VulkanTest
{
    private const int Rows = 70, Columns = 160;

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void All_tiles_give_the_same_bits(int index)
    {
        using VulkanDevice device = Open(index, cacheFolder: CacheFile.DefaultFolder, linear: LinearFamily.Matrix);
        if (!device.Resources.LinearKernels.UsesMatrixUnitsFor(WeightFormat.Fp16))
        {
            Assert.Skip($"{device.Info.Name} has no matrix units.");
            return;
        }

        MatrixTiles[] all = [.. device.Resources.LinearKernels.Candidates(device.Resources.LinearKernels.KeyOf(new LinearProduct(WeightFormat.Fp16, false, 75, Columns, Rows))).Cast<MatrixTiles>()];
        Assert.Contains(all, t => t.Buffers == 1);
        Assert.Contains(all, t => t.Buffers == 2);

        // A driver on a processor takes seconds to compile, so there only every seventh tiling is tried.
        IEnumerable<MatrixTiles> tried = device.Info.Kind == DeviceKind.Software ? all.Where((_, i) => i % 7 == 0) : all;
        AssertSameBits(device, features: 75, tried, tiles => device.Resources.LinearKernels.Forced = tiles.Name);
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void All_tiles_with_sums_in_fp16_give_the_same_bits(int index)
    {
        using VulkanDevice device = Open(index, cacheFolder: CacheFile.DefaultFolder, linear: LinearFamily.Matrix);
        if (!device.Info.SumsHalves)
        {
            Assert.Skip($"{device.Info.Name} has no matrix units with sums in fp16.");
            return;
        }

        LinearKernels kernels = device.Resources.LinearKernels;
        LinearProduct product = new(WeightFormat.Fp16, false, 75, Columns, Rows, SumFormat.Fp16);
        Assert.Equal("linear_half_matrix", kernels.KernelFor(product).Shader);
        Assert.Equal("linear_matrix", kernels.KernelFor(product with { Sums = SumFormat.Fp32 }).Shader);
        Assert.NotEqual("linear_half_matrix", kernels.KernelFor(product with { Format = WeightFormat.Fp32 }).Shader);
        IReadOnlyList<ITiling> all = kernels.Candidates(kernels.KeyOf(product));
        IEnumerable<ITiling> tried = device.Info.Kind == DeviceKind.Software ? all.Where((_, i) => i % 21 == 0) : all;
        AssertSameBits(device, features: 75, tried, tiles => kernels.Forced = tiles.Name, SumFormat.Fp16);
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Any_number_of_flexible_matrices_gives_the_same_bits(int index)
    {
        using VulkanDevice device = Open(index, cacheFolder: CacheFile.DefaultFolder, linear: LinearFamily.MatrixNv);
        LinearKernels kernels = device.Resources.LinearKernels;
        if (kernels.Flexible is not { } flexible || !kernels.UsesMatrixUnitsFor(WeightFormat.Fp16))
        {
            Assert.Skip($"{device.Info.Name} has no matrices of flexible size.");
            return;
        }

        // It does not take weights in fp32 or with fewer features than a matrix.
        foreach (WeightFormat format in new[] { WeightFormat.Fp16, WeightFormat.Int8 })
        {
            Assert.Equal("linear_matrix_nv", kernels.KernelFor(new LinearProduct(format, false, (int)flexible.N, Columns, 1)).Shader);
            Assert.Equal("linear_matrix", kernels.KernelFor(new LinearProduct(format, false, (int)flexible.N - 1, Columns, 1)).Shader);
        }

        Assert.False(kernels.UsesMatrixUnitsFor(WeightFormat.Fp32));
        AssertSameBits<(uint, uint)>(device, features: (int)(4 * flexible.N) + 11, [(1, 1), (2, 1), (1, 2)], products => kernels.ForcedProducts = products);
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Attention_is_right_however_many_subgroups_share_a_head(int index)
    {
        using VulkanDevice device = Open(index, cacheFolder: CacheFile.DefaultFolder, linear: LinearFamily.Matrix);
        if (device.Resources.LinearKernels.MatrixUnits is not { } units)
        {
            Assert.Skip($"{device.Info.Name} has no matrix units.");
            return;
        }

        using IDevice cpu = CpuBackend.Open(CpuBackend.DeviceId);
        foreach (int dimension in new[] { 64, 128, 256 })
        {
            float[] exact = Attention(cpu, dimension);
            Dictionary<uint, float[]> bySplit = [];
            HashSet<string> kernels = [];
            foreach (uint sums in new uint[] { 1024, 128, 32, 16, 8 })
            {
                AttentionKernel kernel = AttentionKernels.MatrixKernelOn(units with { MaxSums = sums }, dimension, MatrixLimits.Of(device.Resources.Facts))!.Value;
                if (!kernels.Add(string.Join(',', kernel.Constants))) continue;
                device.Resources.AttentionKernels.ForcedSums = sums;
                float[] got = Attention(device, dimension);
                double error = Math.Sqrt(got.Zip(exact, (g, e) => Math.Pow(g - e, 2)).Sum() / exact.Sum(e => Math.Pow(e, 2)));
                Assert.True(error < 2e-3, $"heads of {dimension}, {string.Join(", ", kernel.Constants)}: relative error {error}");
                // The order of sums does not depend on whether queries are in registers, or on their number in a workgroup.
                uint split = kernel.Constants[7];
                if (!bySplit.TryAdd(split, got)) Assert.True(bySplit[split].AsSpan().SequenceEqual(got), $"heads of {dimension}: {string.Join(", ", kernel.Constants)} gives other bits");
            }

            Assert.True(kernels.Count > 2, "too few ways to share a head were tried");
        }
    }

    /// <summary>Attention of made-up queries with a prefix and a window.</summary>
    private static float[] Attention(IDevice device, int dimension)
    {
        const int Queries = 75, Prefix = 40;
        Random random = new(5);
        using ITensor q = Filled(Queries, 2 * dimension), k = Filled(Prefix + Queries, dimension), v = Filled(Prefix + Queries, dimension), y = device.CreateTensor(Queries, 2 * dimension);
        using ISegmentList segments = device.CreateSegments([new AttentionSegment(0, Queries, Prefix, 0, Prefix, Prefix)]);
        device.Attention(y, q, k, v, segments, new AttentionShape(2, 1, dimension, 0.1f, 50, 64, HalvesOperands: true));
        return Read(device, y);

        ITensor Filled(int rows, int columns)
        {
            ITensor tensor = device.CreateTensor(rows, columns);
            device.Write(tensor, 0, [.. Enumerable.Range(0, rows * columns).Select(_ => (float)((random.NextDouble() - 0.5) * 4))]);
            return tensor;
        }
    }

    /// <summary>Linear and GatedLinear give the same and the right values whichever way is forced.</summary>
    private static void AssertSameBits<T>(VulkanDevice device, int features, IEnumerable<T> ways, Action<T> force, SumFormat sums = SumFormat.Fp32)
    {
        Random random = new(3);
        float[] x = [.. Enumerable.Range(0, Rows * Columns).Select(_ => (float)((random.NextDouble() - 0.5) * Math.Pow(2, random.Next(20))))];
        using ITensor input = device.CreateTensor(Rows, Columns), output = device.CreateTensor(Rows, features), scratch = device.CreateTensor(Rows, features);
        device.Write(input, 0, x);
        using IWeight half = device.CreateWeight(new RowWeight(features, Columns, WeightFormat.Fp16)), int8 = device.CreateWeight(new RowWeight(features, Columns, WeightFormat.Int8));
        float[]? wanted = null;
        foreach (T way in ways)
        {
            force(way);
            device.Linear(output, input, int8, sums: sums);
            float[] linear = Read(device, output);
            device.GatedLinear(output, scratch, input, half, half, GateActivation.Gelu, sums);
            float[] got = [.. linear, .. Read(device, output)];
            wanted ??= got;
            Assert.True(wanted.AsSpan().SequenceEqual(got), $"{way} gives other bits than the first");
        }

        // These weights are far below those of a checkpoint, and fp16 sums lose them; the conformance tests hold such sums to the formula.
        if (sums == SumFormat.Fp16) return;
        // One element of each weight row is not zero and scales of rows are powers of two, so the result is a rounded product.
        for (int r = 0; r < Rows; r++)
            for (int n = 0; n < features; n++)
            {
                var weight = new RowWeight(features, Columns);
                double exact = (double)x[(r * Columns) + weight.ColumnOf(n)] * RowWeight.ValueOf(n), largest = x.AsSpan(r * Columns, Columns).ToArray().Max(Math.Abs);
                Assert.InRange(wanted![(r * features) + n], exact - Math.Max(Math.Abs(exact) / 1024, largest * 1e-7), exact + Math.Max(Math.Abs(exact) / 1024, largest * 1e-7));
            }
    }
}
