using LdlVk.Runtime.Devices;
using LdlVk.SelfTest;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Conformance;

/// <summary>Values of Linear.</summary>
public sealed class LinearTests : ConformanceTest
{
    // M, N, K: single elements, tails of every tile, K beside multiples of 32, one row, many rows.
    private static readonly (int M, int N, int K)[] Shapes =
    [
        (1, 1, 1), (1, 3, 31), (2, 1, 33), (3, 5, 32), (5, 7, 64), (4, 16, 96), (17, 22, 40), (1, 220, 128), (33, 31, 129), (64, 48, 512),
        (65, 49, 513), (7, 130, 1056), (130, 70, 257), (16, 400, 608), (1, 1000, 300), (2, 64, 4608),
    ];

    [Theory]
    [MemberData(nameof(DevicesAndFormats))]
    public void Matches_the_reference_for_all_shapes(string id, WeightFormat format)
    {
        foreach ((int m, int n, int k) in Shapes)
        {
            Random random = new((m * 7919) + (n * 31) + k);
            TestWeight weight = TestWeight.Random(random, n, k, format);
            Compare(id, Matrix.Random(random, m, k), weight, random.Next(2) == 0 ? Matrix.Random(random, 1, n) : null, (Activation)random.Next(4));
        }
    }

    [Theory]
    [MemberData(nameof(DevicesAndFormats))]
    public void Matches_the_reference_for_random_shapes(string id, WeightFormat format)
    {
        for (int seed = 0; seed < 12; seed++)
        {
            Random random = new(seed);
            TestWeight weight = TestWeight.Random(random, random.Next(1, 150), random.Next(1, 300), format, scale: MathF.ScaleB(1, random.Next(-12, 13)));
            Compare(id, Matrix.Random(random, random.Next(1, 100), weight.InputFeatures), weight, Matrix.Random(random, 1, weight.OutputFeatures), Activation.None);
        }
    }

    [Theory]
    [MemberData(nameof(DevicesAndFormats))]
    public void Bias_and_activation_in_every_combination(string id, WeightFormat format)
    {
        Random random = new(5);
        TestWeight weight = TestWeight.Random(random, 45, 70, format, scale: 0.25f);
        Matrix x = Matrix.Random(random, 9, 70), bias = Matrix.Random(random, 1, 45);
        foreach (Activation activation in Enum.GetValues<Activation>())
        {
            Compare(id, x, weight, null, activation);
            Compare(id, x, weight, bias, activation);
        }
    }

    /// <summary>Gemma-2's residual stream and gelu(gate)·up pass fp16's 65504; nothing may overflow, and small rows keep their accuracy.</summary>
    [Theory]
    [MemberData(nameof(DevicesAndFormats))]
    public void Activations_beyond_half_precision(string id, WeightFormat format)
    {
        Random random = new(8);
        TestWeight weight = TestWeight.Random(random, 40, 288, format);
        Matrix x = Matrix.Random(random, 6, 288);
        float[] factors = [1e5f, 3e5f, 1, 1e-4f, 1e8f, 0];
        for (int m = 0; m < x.Rows; m++)
            foreach (ref float v in x.Row(m)) v *= factors[m];
        Compare(id, x, weight, null, Activation.None);
    }

    /// <summary>A row with one enormous element among small ones: the outliers of the residual stream.</summary>
    [Theory]
    [MemberData(nameof(DevicesAndFormats))]
    public void Outliers_among_small_elements(string id, WeightFormat format)
    {
        Random random = new(9);
        TestWeight weight = TestWeight.Random(random, 33, 160, format);
        Matrix x = Matrix.Random(random, 4, 160);
        for (int m = 0; m < x.Rows; m++) x[m, (m * 41) % 160] = m % 2 == 0 ? 2.5e5f : -2.5e5f;
        Compare(id, x, weight, null, Activation.None);
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Large_half_precision_weights_with_a_large_scale(string id)
    {
        Random random = new(10);
        TestWeight weight = TestWeight.Random(random, 20, 100, WeightFormat.Fp16, deviation: 15000, scale: 1024);
        Compare(id, Matrix.Random(random, 5, 100), weight, null, Activation.None);
    }

    [Theory]
    [MemberData(nameof(DevicesAndFormats))]
    public void Views_as_input_and_output(string id, WeightFormat format)
    {
        IDevice device = Open(id);
        Random random = new(11);
        TestWeight weight = TestWeight.Random(random, 37, 75, format);
        Matrix x = Matrix.Random(random, 6, 75);
        ITensor input = UploadAmongNaN(device, x);
        ITensor whole = Upload(device, Matrix.Filled(11, 37, 7));
        device.Linear(whole.View(2, 6), input, Own(device.CreateWeight(weight)));

        Matrix got = Read(device, whole);
        (double[] wanted, double[] bounds) = Reference64.Linear(x, weight, null, Activation.None, TestDevices.Get(id).OperandRounding(weight.Format));
        Check.Close($"Linear into a view on {id}, {format}", got.Pick(2, 3, 4, 5, 6, 7), wanted, bounds);
        foreach (int row in new[] { 0, 1, 8, 9, 10 }) Assert.All(got.Row(row).ToArray(), v => Assert.Equal(7, v));
    }

    /// <summary>NaN and infinities in the input are not swallowed: a score that is not finite must be seen as such.</summary>
    [Theory]
    [MemberData(nameof(DevicesAndFormats))]
    public void NaN_in_a_row_stays_in_that_row(string id, WeightFormat format)
    {
        IDevice device = Open(id);
        Random random = new(12);
        Matrix x = Matrix.Random(random, 5, 96);
        x[1, 17] = float.NaN;
        ITensor output = Empty(device, 5, 10);
        device.Linear(output, Upload(device, x), Own(device.CreateWeight(TestWeight.Random(random, 10, 96, format))));
        Matrix got = Read(device, output);
        for (int m = 0; m < 5; m++)
            for (int n = 0; n < 10; n++)
                Assert.True(float.IsNaN(got[m, n]) == (m == 1), $"Linear on {id}, {format}: element [{m}, {n}] is {got[m, n]}, and row 1 of the input holds a NaN");
    }

    /// <summary>More than 128 MiB, which is all that some drivers let one buffer binding reach.</summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void Weight_beyond_128_MiB(string id)
    {
        IDevice device = Open(id);
        LargeWeight weight = new(9000, 4096);
        Assert.True(WeightLayout.MatrixBytes(weight.Format, weight.OutputFeatures, weight.InputFeatures) > 128 << 20);
        Matrix x = Matrix.Random(new Random(13), 2, weight.InputFeatures);
        ITensor output = Empty(device, 2, weight.OutputFeatures);
        device.Linear(output, Upload(device, x), Own(device.CreateWeight(weight)));
        (double[] wanted, double[] bounds) = Reference64.Linear(
            x, weight.OutputFeatures, LargeWeight.Element, null, Activation.None, TestDevices.Get(id).OperandRounding(weight.Format));
        Check.Close($"Linear on {id} with a weight of 147 MB", Read(device, output), wanted, bounds);
    }

    private void Compare(string id, Matrix x, TestWeight weight, Matrix? bias, Activation activation)
    {
        IDevice device = Open(id);
        (double[] wanted, double[] bounds) = Reference64.Linear(x, weight, bias, activation, TestDevices.Get(id).OperandRounding(weight.Format));
        using ITensor input = device.CreateTensor(x.Rows, x.Columns), output = device.CreateTensor(x.Rows, weight.OutputFeatures);
        using IWeight uploaded = device.CreateWeight(weight);
        using ITensor? uploadedBias = bias is null ? null : device.CreateTensor(1, bias.Columns);
        device.Write(input, 0, x.Data);
        if (bias is not null) device.Write(uploadedBias!, 0, bias.Data);
        device.Linear(output, input, uploaded, uploadedBias, activation);
        string what = $"Linear on {id}, M={x.Rows} N={weight.OutputFeatures} K={x.Columns} {weight.Format} scale {weight.Scale}, bias {bias is not null}, {activation}";
        Check.Close(what, Read(device, output), wanted, bounds);
    }

    /// <summary>An fp32 matrix that is made while it is read.</summary>
    private sealed class LargeWeight(int outputFeatures, int inputFeatures) : IWeightSource
    {
        public string Name => "large weight";

        public int OutputFeatures => outputFeatures;

        public int InputFeatures => inputFeatures;

        public WeightFormat Format => WeightFormat.Fp32;

        public float Scale => 1;

        public static double Element(int n, int k) => (float)((int)((((uint)n * 4096) + (uint)k) * 2654435761) * 1e-11);

        public void ReadRows(int firstRow, int rowCount, Span<byte> values, Span<Half> scales)
        {
            Span<float> floats = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(values);
            for (int i = 0; i < floats.Length; i++) floats[i] = (float)Element(firstRow + (i / inputFeatures), i % inputFeatures);
        }
    }
}
