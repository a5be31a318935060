using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using System.Security.Cryptography;
using LdlVk.Cpu.Ops;
using LdlVk.Runtime.Devices;
using LdlVk.SelfTest;
using LdlVk.Testing;

// The shared devices are not thread-safe.
[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace LdlVk.Cpu.Tests;

/// <summary>What the CPU device promises beyond the op set's contract.</summary>
public sealed class CpuDeviceTests : OperandTest
{
    private const string Cpu = CpuBackend.DeviceId;

    [Fact]
    public void The_processor_is_the_only_device()
    {
        DeviceInfo info = Assert.Single(CpuBackend.Enumerate());
        Assert.Equal((Cpu, DeviceKind.Cpu), (info.Id, info.Kind));
        Assert.NotEmpty(info.Name);
        Assert.InRange(info.FreeMemoryBytes, 1, info.MemoryBytes);
        Assert.Contains("cpu", Assert.Throws<UsageException>(() => CpuBackend.Open("vulkan:0")).Message);
    }

    [Fact]
    public void Allocated_bytes_are_the_padded_rows()
    {
        IDevice device = Open(Cpu);
        using (device.CreateTensor(7, 33)) Assert.Equal(7 * 64 * 4, device.AllocatedBytes);
        using (device.CreateWeight(TestWeight.Random(new Random(1), 5, 70, WeightFormat.Int8)))
            Assert.Equal(WeightLayout.MatrixBytes(WeightFormat.Int8, 5, 70), device.AllocatedBytes);
    }

    /// <summary>Random tensors and weights against an account on the side: refused is what would pass the limit, to the byte, and nothing else.</summary>
    [Fact]
    public void The_memory_limit_is_kept_to_the_byte()
    {
        for (int seed = 0; seed < 20; seed++)
        {
            Random random = new(seed);
            long limit = random.NextInt64(1 << 16, 1 << 20), held = 0, peak = 0;
            using IDevice device = CpuBackend.Open(Cpu, limit);
            List<(IDisposable Made, long Bytes)> made = [];
            int refused = 0;
            for (int step = 0; step < 300; step++)
            {
                int rows = random.Next(1, 200), columns = random.Next(1, 300);
                bool tensor = random.Next(2) == 0;
                if (random.Next(3) == 0 && made.Count > 0)
                {
                    int i = random.Next(made.Count);
                    made[i].Made.Dispose();
                    held -= made[i].Bytes;
                    made.RemoveAt(i);
                    continue;
                }

                long bytes = WeightLayout.MatrixBytes(tensor ? WeightFormat.Fp32 : WeightFormat.Int8, rows, columns);
                long first = tensor ? bytes : rows * WeightLayout.RowBytes(WeightFormat.Int8, columns);
                if (held + bytes <= limit)
                {
                    made.Add((tensor ? device.CreateTensor(rows, columns) : device.CreateWeight(WeightFormat.Int8, rows, columns), bytes));
                    held += bytes;
                    peak = Math.Max(peak, held);
                }
                else
                {
                    Assert.Throws<DeviceException>(() => tensor ? (IDisposable)device.CreateTensor(rows, columns) : device.CreateWeight(WeightFormat.Int8, rows, columns));
                    // The values of a weight are allocated before its scales.
                    if (held + first <= limit) peak = Math.Max(peak, held + first);
                    refused++;
                }

                Assert.Equal((held, peak), (device.AllocatedBytes, device.PeakBytes));
            }

            Assert.InRange(refused, 1, 299);
        }
    }

    [Fact]
    public void Too_large_a_tensor_says_how_much_was_wanted()
    {
        DeviceException e = Assert.Throws<DeviceException>(() => Open(Cpu).CreateTensor(int.MaxValue, 1 << 20));
        Assert.Contains("[2147483647, 1048576]", e.Message);
        Assert.Contains("8589934588.0 MiB", e.Message);
        Assert.Contains("Weights = int8", e.Message);
    }

    [Fact]
    public void Closing_the_device_frees_what_is_left()
    {
        IDevice device = CpuBackend.Open(Cpu);
        ITensor tensor = device.CreateTensor(4, 4);
        device.Dispose();
        device.Dispose();
        Assert.Equal(0, device.AllocatedBytes);
        tensor.Dispose();
        Assert.Throws<ObjectDisposedException>(() => device.CreateTensor(1, 1));
        Assert.Throws<ObjectDisposedException>(() => device.Read(tensor, new float[16]));
    }

    /// <summary>Tensors are used again: a NaN in one use must not stay in the padding behind the last column.</summary>
    [Fact]
    public void Padding_stays_zero_after_NaN()
    {
        IDevice device = Open(Cpu);
        TestWeight weight = TestWeight.Random(new Random(1), 3, 33, WeightFormat.Fp32);
        Matrix x = Matrix.Random(new Random(2), 2, 33), notNumbers = Matrix.Filled(2, 33, float.NaN);
        ITensor tensor = Upload(device, notNumbers), w = Empty(device, 1, 33), output = Empty(device, 2, 3);
        device.RmsNorm(tensor, tensor, w, 0);
        device.NormAdd(tensor, Upload(device, notNumbers), w, 0);
        device.GateMultiply(tensor, tensor, Upload(device, notNumbers), GateActivation.Gelu);
        device.Write(tensor, 0, x.Data);
        device.Linear(output, tensor, Own(device.CreateWeight(weight)));
        (double[] wanted, double[] bounds) = Reference64.Linear(x, weight, null, Activation.None, 0);
        Check.Close("Linear on cpu from a tensor that held NaN", Read(device, output), wanted, bounds);
    }

    /// <summary>The same bits with any number of threads.</summary>
    [Theory]
    [InlineData(2)]
    [InlineData(5)]
    [InlineData(16)]
    public void Bits_do_not_depend_on_the_threads(int threads)
    {
        Matrix[] alone = All(1), together = All(threads);
        for (int i = 0; i < alone.Length; i++) Check.SameBits($"op {i} on cpu with {threads} threads", together[i], alone[i]);
    }

    /// <summary>The same bits in blocks of 256 rows, which few threads take, in blocks of 128, and of a row by itself.</summary>
    [Fact]
    public void Bits_do_not_depend_on_the_block()
    {
        Random random = new(3);
        Matrix x = Matrix.Random(random, 300, 160), bias = Matrix.Random(random, 1, 500);
        TestWeight weight = TestWeight.Random(random, 500, 160, WeightFormat.Int8);
        using CpuDevice one = new(CpuBackend.Enumerate()[0], 1), many = new(CpuBackend.Enumerate()[0], 16);
        Matrix[] wanted = Products(one, weight, x, bias), got = Products(many, weight, x, bias);
        for (int i = 0; i < wanted.Length; i++) Check.SameBits($"product {i} with 16 threads", got[i], wanted[i]);
        foreach (int row in (int[])[0, 127, 128, 255, 256, 299])
        {
            Matrix[] alone = Products(one, weight, x.Pick(row), bias);
            for (int i = 0; i < wanted.Length; i++)
                Check.SameBits($"product {i} of row {row}", alone[i], wanted[i].Pick(row));
        }
    }

    /// <summary>
    /// The same bits with every choice of instructions, for tiles that are whole and for all that are not. Products of bytes are emulated
    /// where the processor lacks them, so that all but the instruction itself is tested everywhere.
    /// </summary>
    [Theory]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public void Bits_do_not_depend_on_the_vectors(bool wide, bool bytes)
    {
        Assert.SkipWhen(wide && !Avx512DQ.IsSupported, "This processor has no vectors of 512 bits (AVX-512).");
        DeviceInfo info = CpuBackend.Enumerate()[0];
        using CpuDevice narrow = new(info, 2, vectors: new(false, false)), other = new(info, 2, vectors: new(wide, bytes));
        Random random = new(1);
        (int, int, int)[] shapes =
        [
            (1, 1, 1), (1, 8, 512), (2, 33, 40), (3, 7, 513), (4, 31, 1056), (5, 17, 300), (17, 500, 160), (130, 49, 64), (259, 12, 32),
        ];
        foreach (WeightFormat format in Enum.GetValues<WeightFormat>())
            foreach ((int m, int n, int k) in shapes)
            {
                TestWeight values = TestWeight.Random(random, n, k, format);
                Matrix x = Matrix.Random(random, m, k), bias = Matrix.Random(random, 1, n);
                // Infinity and not-a-number stay in their row; the smallest numbers are not lost.
                if (m > 4) (x.Data[k], x.Data[2 * k], x.Data[(3 * k) + k - 1]) = (float.PositiveInfinity, float.NaN, 1e-40f);
                Matrix[] wanted = Products(narrow, values, x, bias), got = Products(other, values, x, bias);
                for (int i = 0; i < wanted.Length; i++)
                    Check.SameBits($"product {i}, {m} × {n} × {k} in {format}, {other.Info.Name}", got[i], wanted[i]);
            }
    }

    /// <summary>
    /// The same for attention: heads of all sizes, alone and in groups, windows that begin in a tile, and rows that are NaN or infinite.
    /// </summary>
    [Fact]
    public void Bits_of_attention_do_not_depend_on_the_vectors()
    {
        Assert.SkipUnless(Avx512DQ.IsSupported, "This processor has no vectors of 512 bits (AVX-512).");
        DeviceInfo info = CpuBackend.Enumerate()[0];
        using CpuDevice narrow = new(info, 2, vectors: new(false, false)), wide = new(info, 2, vectors: new(true, false));
        Random random = new(2);
        foreach (int dimension in (int[])[3, 8, 20, 32, 64, 80, 96, 128, 200])
            foreach ((int heads, int shared, int window) in ((int, int, int)[])[(1, 1, 0), (6, 3, 70), (4, 1, 0), (5, 1, 33), (9, 1, 0), (70, 1, 5)])
            {
                Matrix q = Matrix.Random(random, 230, heads * dimension), k = Matrix.Random(random, 230, shared * dimension);
                Matrix v = Matrix.Random(random, 230, shared * dimension);
                // What a text's later keys and values are does not reach its earlier queries, nor another text.
                (q.Data[0], k.Data[^1], v.Data[^1]) = (float.NaN, float.PositiveInfinity, float.NaN);
                AttentionShape shape = new(heads, shared, dimension, 0.3f, Softcap: window == 70 ? 5 : 0, window);
                Matrix wanted = Attended(narrow, q, k, v, shape), got = Attended(wide, q, k, v, shape);
                Check.SameBits($"attention with {heads} heads of {dimension}, {shared} of keys, window {window}", got, wanted);
            }
    }

    /// <summary>
    /// A hash of results, the same on every processor: this test is run on x86-64 with vectors of 256 and 512 bits and on Arm64
    /// (eng/lab-arm64). A change of an op's order of sums changes it on all of them.
    /// </summary>
    [Fact]
    public void Bits_do_not_depend_on_the_processor()
    {
        using CpuDevice device = new(CpuBackend.Enumerate()[0], 2);
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Random random = new(1);
        foreach (WeightFormat format in Enum.GetValues<WeightFormat>())
        {
            TestWeight values = TestWeight.Random(random, 45, 1056, format);
            foreach (Matrix m in Products(device, values, Matrix.Random(random, 37, 1056), Matrix.Random(random, 1, 45)))
                hash.AppendData(MemoryMarshal.AsBytes(m.Data.AsSpan()));
        }
        foreach (Matrix m in All(2)) hash.AppendData(MemoryMarshal.AsBytes(m.Data.AsSpan()));
        Assert.Equal("87AEC970247ACDAC", Convert.ToHexString(hash.GetHashAndReset())[..16]);
    }

    [Fact]
    public void Exp_is_within_one_ulp()
    {
        for (long bits = 0; bits < int.MaxValue; bits += 99991)
            foreach (float x in new[] { BitConverter.Int32BitsToSingle((int)bits), -BitConverter.Int32BitsToSingle((int)bits) })
            {
                float got = VectorMath.Exp(Vector256.Create(x))[3];
                double wanted = Math.Exp(x);
                if (float.IsNaN(x)) Assert.True(float.IsNaN(got));
                else if (wanted > float.MaxValue) Assert.Equal(float.PositiveInfinity, got);
                else Assert.True(Math.Abs(got - wanted) <= 1.01 * Ulp(wanted), $"exp({x:R}) is {got:R}, wanted {wanted:R}");
            }
    }

    [Fact]
    public void Tanh_is_within_three_ulps()
    {
        for (long bits = 0; bits < int.MaxValue; bits += 99991)
            foreach (float x in new[] { BitConverter.Int32BitsToSingle((int)bits), -BitConverter.Int32BitsToSingle((int)bits) })
            {
                float got = VectorMath.Tanh(Vector256.Create(x))[5];
                double wanted = Math.Tanh(x);
                if (float.IsNaN(x)) Assert.True(float.IsNaN(got));
                else Assert.True(Math.Abs(got - wanted) <= 3 * Ulp(wanted), $"tanh({x:R}) is {got:R}, wanted {wanted:R}");
            }
        Assert.Equal(-0f, VectorMath.Tanh(Vector256.Create(-0f))[0]);
    }

    /// <summary>GELU keeps its relative accuracy where 1 + tanh would cancel.</summary>
    [Fact]
    public void Gelu_is_accurate_for_negative_arguments()
    {
        for (float x = -5; x < 5; x += 0.00317f)
        {
            double u = Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x)), wanted = x / (1 + Math.Exp(-2 * u));
            Assert.Equal(wanted, GateMultiplyOp.Gelu(Vector256.Create(x))[0], 3e-6 * Math.Abs(wanted));
        }
    }

    private static Matrix[] Products(CpuDevice device, TestWeight values, Matrix x, Matrix bias)
    {
        using ITensor input = device.CreateTensor(x.Rows, x.Columns), added = device.CreateTensor(1, bias.Columns);
        using ITensor output = device.CreateTensor(x.Rows, bias.Columns);
        using IWeight weight = device.CreateWeight(values);
        device.Write(input, 0, x.Data);
        device.Write(added, 0, bias.Data);
        List<Matrix> results = [];
        void Keep() => results.Add(Read(device, output));
        device.Linear(output, input, weight);
        Keep();
        device.Linear(output, input, weight, added, Activation.Selu);
        Keep();
        if (WeightLayout.HasScales(values.Format))
        {
            device.Int8Linear(output, input, weight);
            Keep();
            device.Int8Linear(output, input, weight, added);
            Keep();
        }
        return [.. results];
    }

    /// <summary>Attention of a text alone, and of one behind a prefix that it shares.</summary>
    private static Matrix Attended(CpuDevice device, Matrix q, Matrix k, Matrix v, AttentionShape shape)
    {
        using ITensor queries = device.CreateTensor(q.Rows, q.Columns), keys = device.CreateTensor(k.Rows, k.Columns);
        using ITensor values = device.CreateTensor(v.Rows, v.Columns), output = device.CreateTensor(q.Rows, q.Columns);
        using ISegmentList segments = device.CreateSegments([new(0, 131, 0, 0, 0, 0), new(131, 99, 70, 0, 70, 131)]);
        device.Write(queries, 0, q.Data);
        device.Write(keys, 0, k.Data);
        device.Write(values, 0, v.Data);
        device.Attention(output, queries, keys, values, segments, shape);
        return Read(device, output);
    }

    private static double Ulp(double x) => Math.Max(Math.ScaleB(1, Math.ILogB(x) - 23), float.Epsilon);

    private static Matrix[] All(int threads)
    {
        using CpuDevice device = new(CpuBackend.Enumerate()[0], threads);
        Random random = new(1);
        Matrix x = Matrix.Random(random, 150, 160);
        using ITensor input = device.CreateTensor(150, 160), products = device.CreateTensor(150, 500), attended = device.CreateTensor(150, 160);
        using ITensor w = device.CreateTensor(1, 160), normed = device.CreateTensor(150, 160);
        using IWeight weight = device.CreateWeight(TestWeight.Random(random, 500, 160, WeightFormat.Int8));
        using ISegmentList segments = device.CreateSegments([new(0, 100, 0, 0, 0, 0), new(100, 50, 30, 0, 30, 100)]);
        device.Write(input, 0, x.Data);
        device.Linear(products, input, weight);
        device.Attention(attended, input, input, input, segments, new AttentionShape(5, 5, 32, 0.2f, 50, 40));
        device.RmsNorm(normed, input, w, 1e-6f);
        device.GateMultiply(normed, normed, input, GateActivation.Gelu);
        return [Read(device, products), Read(device, attended), Read(device, normed)];
    }
}
