using LdlVk.Runtime.Devices;

namespace LdlVk.SelfTest;

/// <summary>
/// Checks of products with sums in fp16. They are no part of the quick self-test: where they fail, everything else is right, and a user
/// who does not ask for such sums keeps the device's matrix units.
/// </summary>
internal static class HalfSumChecks
{
    private static readonly (int M, int N, int K)[] Few = [(1, 70, 96), (70, 130, 161)];

    private static readonly (int M, int N, int K)[] More = [(3, 5, 31), (130, 70, 1056), (2, 64, 4608)];

    /// <summary>The checks of a device; none where it has no such sums.</summary>
    /// <param name="device">The device.</param>
    /// <param name="quick">Only those that find a wrong kernel.</param>
    public static IEnumerable<OpCheck> For(DeviceInfo device, bool quick)
    {
        if (!device.SumsHalves) yield break;
        foreach (WeightFormat format in (WeightFormat[])[WeightFormat.Fp16, WeightFormat.Int8, WeightFormat.Int4])
        {
            string name = $"{format.ToString().ToLowerInvariant()}, fp16 sums";
            foreach ((int m, int n, int k) in quick ? Few : [.. Few, .. More])
                yield return new OpCheck(nameof(IDevice.Linear), $"{name} {m}x{n}x{k}", o => Linear(o, format, m, n, k));
            yield return new OpCheck(nameof(IDevice.Linear), $"{name}, rows in other batches", o => Rows(o, format));
            yield return new OpCheck(nameof(IDevice.GatedLinear), $"{name}, beside its parts", o => Gated(o, format));
        }
    }

    private static TestWeight Weight(Random random, int n, int k, WeightFormat format) =>
        TestWeight.Random(random, n, k, format, HalfSumReference.Deviation, HalfSumReference.Scale);

    private static (double, string?) Linear(Operands o, WeightFormat format, int m, int n, int k)
    {
        Random random = new((m * 7919) + (n * 31) + k);
        TestWeight weight = Weight(random, n, k, format);
        Matrix x = Matrix.Random(random, m, k), bias = Matrix.Random(random, 1, n);
        // Rows beyond fp16's range, as a residual stream has them.
        foreach (ref float value in x.Row(m / 2)) value *= 3e5f;
        ITensor output = o.Empty(m, n);
        o.Device.Linear(output, o.Upload(x), o.Upload(weight), o.Upload(bias), Activation.LeakyRelu, SumFormat.Fp16);
        (double[] wanted, double[] bounds) = HalfSumReference.Linear(x, weight, bias, Activation.LeakyRelu);
        return ErrorBounds.Close(o.Read(output), wanted, bounds);
    }

    private static (double, string?) Rows(Operands o, WeightFormat format)
    {
        const int All = 133, N = 20, K = 70;
        Random random = new(6);
        Matrix x = Matrix.Random(random, All, K);
        IWeight weight = o.Upload(Weight(random, N, K, format));
        Matrix all = Run(x);
        foreach (int count in (int[])[1, 17, 64])
        {
            int[] picked = [.. Enumerable.Range(0, count).Select(_ => random.Next(All))];
            if (ErrorBounds.SameBits(Run(x.Pick(picked)), all.Pick(picked)) is { } fault) return (0, $"{count} rows of {All}: {fault}");
        }

        return (0, null);

        Matrix Run(Matrix rows)
        {
            ITensor output = o.Empty(rows.Rows, N);
            o.Device.Linear(output, o.Upload(rows), weight, sums: SumFormat.Fp16);
            return o.Read(output);
        }
    }

    private static (double, string?) Gated(Operands o, WeightFormat format)
    {
        const int M = 70, N = 20, K = 70;
        Random random = new(7);
        IWeight gate = o.Upload(Weight(random, N, K, format)), up = o.Upload(Weight(random, N, K, format));
        ITensor input = o.Upload(Matrix.Random(random, M, K)), output = o.Empty(M, N), scratch = o.Empty(M, N);
        o.Device.GatedLinear(output, scratch, input, gate, up, GateActivation.Silu, SumFormat.Fp16);
        Matrix got = o.Read(output);
        o.Device.Linear(output, input, gate, sums: SumFormat.Fp16);
        o.Device.Linear(scratch, input, up, sums: SumFormat.Fp16);
        o.Device.GateMultiply(output, output, scratch, GateActivation.Silu);
        return (0, ErrorBounds.SameBits(got, o.Read(output)));
    }
}
