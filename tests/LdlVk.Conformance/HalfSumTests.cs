using LdlVk.Runtime.Devices;
using LdlVk.SelfTest;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Conformance;

/// <summary>Linear and GatedLinear where sums in fp16 are allowed (<see cref="SumFormat.Fp16"/>), on devices with and without them.</summary>
public sealed class HalfSumTests : ConformanceTest
{
    // Few numbers of rows: each has its own tiles, which take a driver on a processor seconds to compile.
    private static readonly (int M, int N, int K)[] Shapes =
        [(1, 1, 1), (3, 5, 31), (2, 1, 33), (7, 130, 1056), (130, 70, 257), (2, 64, 4608)];

    public static TheoryData<string, WeightFormat> Cases
    {
        get
        {
            TheoryData<string, WeightFormat> data = [];
            // Flexible matrices have no such sums: the device's other matrices compute them.
            foreach (ITheoryDataRow row in DevicesAndFormats)
                if (row.GetData() is [string id, WeightFormat format] && !id.EndsWith("-nv", StringComparison.Ordinal)) data.Add(id, format);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Errs_as_its_roundings_do(string id, WeightFormat format)
    {
        IDevice device = Open(id);
        foreach ((int m, int n, int k) in Shapes)
        {
            Random random = new((m * 7919) + (n * 31) + k);
            TestWeight weight = Weight(random, n, k, format);
            Matrix x = Matrix.Random(random, m, k), bias = Matrix.Random(random, 1, n);
            Activation activation = (Activation)random.Next(4);
            ITensor output = Empty(device, m, n);
            device.Linear(output, UploadAmongNaN(device, x), Own(device.CreateWeight(weight)), Upload(device, bias), activation, SumFormat.Fp16);
            (double[] wanted, double[] bounds) = HalfSumReference.Linear(x, weight, bias, activation);
            Check.Close($"Linear with fp16 sums on {id}, M={m} N={n} K={k} {format} {activation}", Read(device, output), wanted, bounds);
        }
    }

    /// <summary>Rows far beyond fp16's range and far below it, and the largest weights that fp16 has, of one sign: no sum overflows.</summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void Nothing_overflows(string id)
    {
        const int K = 320;
        IDevice device = Open(id);
        Random random = new(3);
        TestWeight weight = TestWeight.Random(random, 40, K, WeightFormat.Fp16, 15000, 1f / 16384);
        Matrix x = new(5, K);
        float[] magnitudes = [1, 1e5f, 3e30f, 1e-6f, 1e-30f];
        for (int m = 0; m < x.Rows; m++)
            for (int k = 0; k < K; k++) x[m, k] = magnitudes[m] * (1 + (0.01f * random.NextSingle())) * Math.Sign(weight[m, k]);
        ITensor output = Empty(device, x.Rows, 40);
        device.Linear(output, Upload(device, x), Own(device.CreateWeight(weight)), sums: SumFormat.Fp16);
        (double[] wanted, double[] bounds) = HalfSumReference.Linear(x, weight, null, Activation.None);
        // Of one sign, the sums of output m with row m grow with K, and their roundings with them.
        for (int i = 0; i < bounds.Length; i++) bounds[i] += 32 * Math.Abs(wanted[i]) / 2048;
        Check.Close($"Linear with fp16 sums on {id}", Read(device, output), wanted, bounds);
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Rows_that_are_not_finite_stay_so(string id)
    {
        IDevice device = Open(id);
        Random random = new(4);
        Matrix x = Matrix.Random(random, 4, 70);
        (x[1, 3], x[2, 69]) = (float.NaN, float.PositiveInfinity);
        ITensor output = Empty(device, 4, 20);
        device.Linear(output, Upload(device, x), Own(device.CreateWeight(Weight(random, 20, 70, WeightFormat.Fp16))), sums: SumFormat.Fp16);
        Matrix got = Read(device, output);
        for (int m = 0; m < 4; m++) Assert.All(got.Row(m).ToArray(), v => Assert.Equal(m is 0 or 3, float.IsFinite(v)));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_row_has_the_same_bits_in_every_batch_and_gated(string id, WeightFormat format)
    {
        // More than a tile's rows, and no more than an emulation takes a second for.
        const int Rows = 70, N = 36, K = 70;
        IDevice device = Open(id);
        Random random = new(5);
        IWeight gate = Own(device.CreateWeight(Weight(random, N, K, format))), up = Own(device.CreateWeight(Weight(random, N, K, format)));
        Matrix x = Matrix.Random(random, Rows, K);
        Matrix all = Run(x);
        foreach (int count in new[] { 1, 16, 67 })
        {
            int[] picked = [.. Enumerable.Range(0, count).Select(_ => random.Next(Rows))];
            Check.SameBits($"fp16 sums on {id}, {format}: {count} rows of {Rows}", Run(x.Pick(picked)), all.Pick(picked));
        }

        ITensor gated = Empty(device, Rows, N), left = Empty(device, Rows, N), right = Empty(device, Rows, N), input = Upload(device, x);
        device.GatedLinear(gated, left, input, gate, up, GateActivation.Silu, SumFormat.Fp16);
        device.Linear(left, input, gate, sums: SumFormat.Fp16);
        device.Linear(right, input, up, sums: SumFormat.Fp16);
        device.GateMultiply(left, left, right, GateActivation.Silu);
        Check.SameBits($"GatedLinear with fp16 sums on {id}, {format}, by its parts", Read(device, gated), Read(device, left));

        Matrix Run(Matrix rows)
        {
            ITensor output = Empty(device, rows.Rows, N);
            device.Linear(output, UploadAmongNaN(device, rows), gate, sums: SumFormat.Fp16);
            return Read(device, output);
        }
    }

    /// <summary>A tensor that was an operand of one kind of sums is converted anew for the other.</summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void Both_kinds_of_sums_may_read_a_tensor(string id)
    {
        IDevice device = Open(id);
        Random random = new(6);
        IWeight weight = Own(device.CreateWeight(Weight(random, 20, 64, WeightFormat.Fp16)));
        Matrix x = Matrix.Random(random, 6, 64);
        ITensor input = Upload(device, x);
        Matrix[] alone = [Run(SumFormat.Fp32, Upload(device, x)), Run(SumFormat.Fp16, Upload(device, x))];
        foreach (SumFormat sums in (SumFormat[])[SumFormat.Fp32, SumFormat.Fp16, SumFormat.Fp32])
            Check.SameBits($"{sums} sums on {id}", Run(sums, input), alone[(int)sums]);

        Matrix Run(SumFormat sums, ITensor rows)
        {
            ITensor output = Empty(device, 6, 20);
            device.Linear(output, rows, weight, sums: sums);
            return Read(device, output);
        }
    }

    /// <summary>
    /// The CPU device's definition, bit by bit, on integers whose products and sums of 16 are exact: a sum is rounded to fp16 after each 16
    /// products, to nearest, and added to an fp32 sum after each 32.
    /// </summary>
    [Fact]
    public void The_processor_rounds_as_defined()
    {
        const int M = 5, N = 40, K = 173;
        IDevice device = Open("cpu");
        Random random = new(7);
        Matrix x = new(M, K);
        for (int m = 0; m < M; m++)
            for (int k = 0; k < K; k++) x[m, k] = k == 0 ? 63 : random.Next(-63, 64);
        // Stored weights are 2^11 times these, and their scale is the inverse.
        IntegerHalves weight = new(random, N, K);
        ITensor output = Empty(device, M, N);
        device.Linear(output, Upload(device, x), Own(device.CreateWeight(weight)), sums: SumFormat.Fp16);
        Matrix got = Read(device, output);
        int rounded = 0;
        for (int m = 0; m < M; m++)
        {
            for (int n = 0; n < N; n++)
            {
                float total = 0, half = 0;
                for (int k = 0; k < K; k += 16)
                {
                    float exact = half;
                    for (int i = k; i < Math.Min(k + 16, K); i++) exact += x[m, i] * weight.Values[(n * K) + i];
                    half = (float)(Half)exact;
                    if (half != exact) rounded++;
                    if (k % 32 == 0 && k + 16 < K) continue;
                    (total, half) = (total + half, 0);
                }

                Assert.Equal(total, got[m, n]);
            }
        }

        Assert.True(rounded > 100, $"only {rounded} sums were rounded");
    }

    private static TestWeight Weight(Random random, int n, int k, WeightFormat format) =>
        TestWeight.Random(random, n, k, format, HalfSumReference.Deviation, HalfSumReference.Scale);

    /// <summary>Integers of up to 15, times 2^11, with the scale 2^−11.</summary>
    private sealed class IntegerHalves(Random random, int outputs, int inputs) : IWeightSource
    {
        public int[] Values { get; } = [.. Enumerable.Range(0, outputs * inputs).Select(_ => random.Next(-15, 16))];
        public string Name => "integers";
        public int OutputFeatures => outputs;
        public int InputFeatures => inputs;
        public WeightFormat Format => WeightFormat.Fp16;
        public float Scale => 1f / 2048;

        public void ReadRows(int firstRow, int rowCount, Span<byte> values, Span<Half> scales)
        {
            values.Clear();
            Span<Half> halves = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, Half>(values);
            int stride = WeightLayout.PaddedRow(inputs);
            for (int r = 0; r < rowCount; r++)
                for (int k = 0; k < inputs; k++) halves[(r * stride) + k] = (Half)(2048f * Values[((firstRow + r) * inputs) + k]);
        }
    }
}
