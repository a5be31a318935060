using LdlVk.Runtime.Devices;
using LdlVk.SelfTest;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Conformance;

/// <summary>
/// Int8Linear: the very bits that the formula in <see cref="IDevice.Int8Linear"/> gives, step by step, on every device; and that formula's
/// distance from the exact product.
/// </summary>
public sealed class Int8LinearTests : ConformanceTest
{
    // M, N, K: single elements, tails of every tile, K beside multiples of 32, one row, many rows.
    private static readonly (int M, int N, int K)[] Shapes =
    [
        (1, 1, 1), (1, 3, 31), (2, 17, 33), (3, 5, 32), (5, 7, 64), (4, 16, 96), (17, 22, 40), (1, 220, 128), (33, 31, 129), (64, 48, 512),
        (65, 65, 513), (7, 130, 1056), (130, 70, 257), (150, 16, 300), (2, 64, 4608),
    ];

    /// <summary>Every device with the formats that have scales.</summary>
    public static TheoryData<string, WeightFormat> DevicesAndScaledFormats
    {
        get
        {
            TheoryData<string, WeightFormat> data = [];
            foreach (string id in TestDevices.Ids)
                foreach (WeightFormat format in Enum.GetValues<WeightFormat>().Where(WeightLayout.HasScales)) data.Add(id, format);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(DevicesAndScaledFormats))]
    public void Has_the_bits_of_the_formula(string id, WeightFormat format)
    {
        foreach ((int m, int n, int k) in Shapes)
        {
            Random random = new((m * 7919) + (n * 31) + k);
            TestWeight weight = TestWeight.Random(random, n, k, format, scale: MathF.ScaleB(1, random.Next(-12, 13)));
            Matrix x = Matrix.Random(random, m, k);
            Compare(id, x, weight);
            // A bias of the size of the product, whose scale spans many powers of two.
            Compare(id, x, weight, Matrix.Random(random, 1, n, 3 * weight.Scale));
        }
    }

    /// <summary>Rows and groups of all magnitudes: none may overflow, and none may decide how another is rounded.</summary>
    [Theory]
    [MemberData(nameof(DevicesAndScaledFormats))]
    public void Has_the_bits_of_the_formula_for_all_magnitudes(string id, WeightFormat format)
    {
        Random random = new(8);
        TestWeight weight = TestWeight.Random(random, 40, 288, format);
        Matrix x = Matrix.Random(random, 40, 288);
        for (int m = 0; m < x.Rows; m++)
        {
            Span<float> row = x.Row(m);
            for (int k = 0; k < row.Length; k++) row[k] = MathF.ScaleB(row[k], (m * 4) - 66 + (m % 3 == 0 ? k / 32 : 0));
            if (m % 4 == 1) row[m * 7] *= 1e5f;
            if (m % 4 == 2) row.Slice(64, 32).Clear();
        }
        x.Row(7).Clear();
        Compare(id, x, weight);
    }

    /// <summary>Numbers that lie on, or beside, the middle between two integers are rounded alike everywhere.</summary>
    [Theory]
    [MemberData(nameof(DevicesAndScaledFormats))]
    public void Has_the_bits_of_the_formula_at_ties(string id, WeightFormat format)
    {
        Random random = new(9);
        TestWeight weight = TestWeight.Random(random, 20, 256, format);
        Matrix x = new(64, 256);
        for (int m = 0; m < x.Rows; m++)
        {
            for (int k = 0; k < x.Columns; k++)
            {
                float tie = random.Next(-127, 127) + 0.5f;
                x[m, k] = (k % 32 == m % 32 ? 127 : random.Next(3) switch { 0 => MathF.BitIncrement(tie), 1 => MathF.BitDecrement(tie), _ => tie }) * MathF.ScaleB(1 + (m / 64f), m % 7);
            }
        }
        Compare(id, x, weight);
    }

    /// <summary>
    /// The distance from the exact product: each input is off by half a step at most, s/2, and a little for r, which is off by 2⁻¹⁵.
    /// </summary>
    [Theory]
    [MemberData(nameof(DevicesAndScaledFormats))]
    public void Errs_by_half_a_step_of_the_input(string id, WeightFormat format)
    {
        IDevice device = Open(id);
        Random random = new(10);
        TestWeight weight = TestWeight.Random(random, 45, 1000, format);
        Matrix x = Matrix.Random(random, 30, 1000);
        (double[] exact, double[] bounds) = Reference64.Linear(x, weight, null, Activation.None, 0);
        double squaredError = 0, squares = 0;
        Matrix got = Run(device, x, weight);
        for (int m = 0; m < x.Rows; m++)
        {
            for (int n = 0; n < 45; n++)
            {
                double steps = 0;
                for (int k = 0; k < x.Columns; k++)
                {
                    double largest = x.Row(m).Slice(k / 32 * 32, Math.Min(32, x.Columns - (k / 32 * 32))).ToArray().Max(v => Math.Abs((double)v));
                    steps += (0.5 + (127 / 32768.0)) / 127 * largest * Math.Abs(weight[n, k]);
                }
                int i = (m * 45) + n;
                bounds[i] += steps;
                squaredError += Math.Pow(got.Data[i] - exact[i], 2);
                squares += exact[i] * exact[i];
            }
        }
        Check.Close($"Int8Linear on {id}, {format}, against the exact product", got, exact, bounds);
        // Half steps of 1/127 of the largest of 32 normal numbers, about 2.1: an error of 2.1/127/√12 = 0.5 % of their deviation.
        Assert.InRange(Math.Sqrt(squaredError / squares), 0.003, 0.007);
    }

    [Theory]
    [MemberData(nameof(DevicesAndScaledFormats))]
    public void What_is_no_number_or_too_large_stays_in_its_row(string id, WeightFormat format)
    {
        Random random = new(12);
        Matrix x = Matrix.Random(random, 6, 96);
        x[1, 17] = float.NaN;
        x[2, 40] = float.NegativeInfinity;
        x[4, 95] = MathF.ScaleB(1, 116);
        Matrix got = Run(Open(id), x, TestWeight.Random(random, 10, 96, format));
        for (int m = 0; m < 6; m++)
            for (int n = 0; n < 10; n++)
                Assert.True(float.IsNaN(got[m, n]) == (m is 1 or 2 or 4), $"Int8Linear on {id}, {format}: element [{m}, {n}] is {got[m, n]}");
    }

    /// <summary>What a tensor was quantized to is not used again once it is written; Linear in between does not disturb it.</summary>
    [Theory]
    [MemberData(nameof(DevicesAndScaledFormats))]
    public void Sees_what_was_written_since(string id, WeightFormat format)
    {
        IDevice device = Open(id);
        Random random = new(4);
        TestWeight weight = TestWeight.Random(random, 20, 64, format);
        IWeight w = Own(device.CreateWeight(weight));
        Matrix first = Matrix.Random(random, 6, 64), second = Matrix.Random(random, 6, 64);
        ITensor input = UploadAmongNaN(device, first), output = Empty(device, 6, 20);
        device.Int8Linear(output, input, w);
        Check.SameBits($"Int8Linear on {id}, {format}, first", Read(device, output), Int8Formula.Product(first, weight));
        device.Linear(output, input, w);
        device.Int8Linear(output, input, w);
        Check.SameBits($"Int8Linear on {id}, {format}, after Linear", Read(device, output), Int8Formula.Product(first, weight));
        device.Write(input, 0, second.Data);
        device.Int8Linear(output, input, w);
        Check.SameBits($"Int8Linear on {id}, {format}, after Write", Read(device, output), Int8Formula.Product(second, weight));
        device.Int8Linear(output.View(2, 3), input.View(1, 3), w);
        Check.SameBits($"Int8Linear on {id}, {format}, of views", Read(device, output).Pick(2, 3, 4), Int8Formula.Product(second.Pick(1, 2, 3), weight));
    }

    /// <summary>A device may keep rows further apart than their columns need: what lies between is of no group.</summary>
    [Theory]
    [MemberData(nameof(DevicesAndScaledFormats))]
    public void What_wider_ops_left_behind_is_not_measured(string id, WeightFormat format)
    {
        IDevice device = Open(id);
        Random random = new(14);
        TestWeight weight = TestWeight.Random(random, 20, 60, format);
        ITensor wide = Upload(device, Matrix.Random(random, 5, 64)), narrow = Upload(device, Matrix.Random(random, 5, 60)), output = Empty(device, 5, 20);
        device.RmsNorm(wide, wide, Upload(device, Matrix.Random(random, 1, 64, 1e6f)), 1e-6f);
        device.RmsNorm(narrow, narrow, Upload(device, Matrix.Random(random, 1, 60)), 1e-6f);
        device.Int8Linear(output, narrow, Own(device.CreateWeight(weight)));
        Check.SameBits($"Int8Linear on {id}, {format}, after ops", Read(device, output), Int8Formula.Product(Read(device, narrow), weight));
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Refuses_other_formats_and_shapes(string id)
    {
        IDevice device = Open(id);
        Random random = new(5);
        ITensor input = Empty(device, 3, 64), output = Empty(device, 3, 20);
        foreach (WeightFormat format in new[] { WeightFormat.Fp32, WeightFormat.Fp16 })
        {
            IWeight weight = Own(device.CreateWeight(TestWeight.Random(random, 20, 64, format)));
            Assert.Contains("not Int8 or Int4", Assert.Throws<ArgumentException>(() => device.Int8Linear(output, input, weight)).Message, StringComparison.Ordinal);
        }

        IWeight int8 = Own(device.CreateWeight(TestWeight.Random(random, 64, 64, WeightFormat.Int8)));
        Assert.Throws<ArgumentException>(() => device.Int8Linear(output, input, int8));
        Assert.Contains("share memory", Assert.Throws<ArgumentException>(() => device.Int8Linear(input, input, int8)).Message, StringComparison.Ordinal);
    }

    private void Compare(string id, Matrix x, TestWeight weight, Matrix? bias = null) =>
        Check.SameBits(
            $"Int8Linear on {id}, M={x.Rows} N={weight.OutputFeatures} K={x.Columns} {weight.Format} scale {weight.Scale}{(bias is null ? "" : " and bias")}",
            Run(Open(id), x, weight, bias), Int8Formula.Product(x, weight, bias));

    private Matrix Run(IDevice device, Matrix x, TestWeight weight, Matrix? bias = null)
    {
        ITensor output = Empty(device, x.Rows, weight.OutputFeatures);
        device.Int8Linear(output, Upload(device, x), Own(device.CreateWeight(weight)), bias is null ? null : Upload(device, bias));
        return Read(device, output);
    }
}
