using LdlVk.Runtime.Devices;

namespace LdlVk.SelfTest;

/// <summary>
/// The checks: every op in every format against its formula in double, with bounds that an fp32 computation in any order keeps, and the
/// bits of a row against those that it has in another batch.
/// </summary>
internal static class SelfTestChecks
{
    // M, N, K: one row, tails of tiles, K beside multiples of 32, several workgroups.
    private static readonly (int M, int N, int K)[] QuickShapes = [(1, 70, 96), (70, 130, 161)];

    private static readonly (int M, int N, int K)[] MoreShapes =
        [(3, 5, 31), (17, 22, 40), (33, 31, 129), (64, 48, 512), (130, 70, 1056), (300, 260, 300), (2, 64, 4608)];

    /// <summary>
    /// All checks of a device, the shortest first; quick ones are enough to find a kernel that is wrong, the others reach its corners.
    /// </summary>
    public static IEnumerable<OpCheck> All(DeviceInfo device, bool quick)
    {
        foreach ((string op, Func<Operands, (double, string?)> run) in RowOps) yield return new OpCheck(op, "", run);
        (int M, int N, int K)[] shapes = quick ? QuickShapes : [.. QuickShapes, .. MoreShapes];
        foreach (WeightFormat format in Enum.GetValues<WeightFormat>())
        {
            string name = format.ToString().ToLowerInvariant();
            foreach ((int m, int n, int k) in shapes)
            {
                yield return new OpCheck(nameof(IDevice.Linear), $"{name} {m}x{n}x{k}", o => Linear(o, format, m, n, k));
                yield return new OpCheck(nameof(IDevice.GatedLinear), $"{name} {m}x{n}x{k}", o => GatedLinear(o, format, m, n, k));
                if (WeightLayout.HasScales(format))
                    yield return new OpCheck(nameof(IDevice.Int8Linear), $"{name} {m}x{n}x{k}", o => Int8Linear(o, format, m, n, k));
            }

            yield return new OpCheck(nameof(IDevice.Linear), $"{name}, rows in other batches", o => LinearRows(o, format));
        }

        foreach (int dimension in (int[])(quick ? [64, 128] : [16, 64, 80, 128, 256]))
        {
            // Where operands are not halved, these are the same kernels.
            foreach (bool halves in (bool[])(device.MatrixOperandBytes > 0 ? [true, false] : [false]))
            {
                string what = $"{(halves ? "fp16" : "fp32")}, heads of {dimension}";
                yield return new OpCheck(nameof(IDevice.Attention), what, o => Attention(o, dimension, halves, 0));
                yield return new OpCheck(nameof(IDevice.Attention), $"{what}, window", o => Attention(o, dimension, halves, 40));
                yield return new OpCheck(nameof(IDevice.Attention), $"{what}, shared beginnings", o => AttentionRows(o, dimension, halves));
            }
        }

        if (quick) yield break;
        foreach (OpCheck check in HalfSumChecks.For(device, quick)) yield return check;
    }

    private static IEnumerable<(string Op, Func<Operands, (double, string?)> Run)> RowOps =>
    [
        (nameof(IDevice.RmsNorm), RmsNorm),
        (nameof(IDevice.NormAdd), NormAdd),
        (nameof(IDevice.Add), Add),
        (nameof(IDevice.AddNorm), AddNorm),
        (nameof(IDevice.HeadNorm), HeadNorm),
        (nameof(IDevice.Rope), Rope),
        (nameof(IDevice.GateMultiply), GateMultiply),
        (nameof(IDevice.GatherRows), GatherRows),
        (nameof(IDevice.LdlReadout), LdlReadout),
    ];

    /// <summary>What fp16 rounding of operands may cost where products run on matrix units; 0 elsewhere.</summary>
    private static double Rounding(IDevice device, bool halves) => halves && device.Info.MatrixOperandBytes > 0 ? 1.0 / (1 << 11) : 0;

    private static (double, string?) Linear(Operands o, WeightFormat format, int m, int n, int k)
    {
        Random random = new((m * 7919) + (n * 31) + k);
        TestWeight weight = TestWeight.Random(random, n, k, format, scale: 0.5f);
        Matrix x = Matrix.Random(random, m, k), bias = Matrix.Random(random, 1, n);
        ITensor output = o.Empty(m, n);
        IWeight w = o.Upload(weight);
        ITensor input = o.Upload(x), b = o.Upload(bias);
        double worst = 0;
        foreach (Activation activation in Enum.GetValues<Activation>())
        {
            o.Device.Linear(output, input, w, b, activation);
            (double[] wanted, double[] bounds) =
                Reference64.Linear(x, weight, bias, activation, Rounding(o.Device, format != WeightFormat.Fp32));
            (double ratio, string? fault) = ErrorBounds.Close(o.Read(output), wanted, bounds);
            if (fault is not null) return (ratio, $"{activation}: {fault}");
            worst = Math.Max(worst, ratio);
        }

        return (worst, null);
    }

    private static (double, string?) GatedLinear(Operands o, WeightFormat format, int m, int n, int k)
    {
        Random random = new((m * 131) + n + k);
        TestWeight gate = TestWeight.Random(random, n, k, format, scale: 0.25f), up = TestWeight.Random(random, n, k, format, scale: 2);
        Matrix x = Matrix.Random(random, m, k);
        IWeight g = o.Upload(gate), u = o.Upload(up);
        ITensor input = o.Upload(x), output = o.Empty(m, n), scratch = o.Empty(m, n);
        double worst = 0;
        foreach (GateActivation activation in Enum.GetValues<GateActivation>())
        {
            o.Device.GatedLinear(output, scratch, input, g, u, activation);
            (double[] wanted, double[] bounds) =
                Reference64.GatedLinear(x, gate, up, activation, Rounding(o.Device, format != WeightFormat.Fp32));
            (double ratio, string? fault) = ErrorBounds.Close(o.Read(output), wanted, bounds);
            if (fault is not null) return (ratio, $"{activation}: {fault}");
            worst = Math.Max(worst, ratio);
        }

        return (worst, null);
    }

    private static (double, string?) Int8Linear(Operands o, WeightFormat format, int m, int n, int k)
    {
        Random random = new(m + n + k);
        TestWeight weight = TestWeight.Random(random, n, k, format, scale: 0.5f);
        Matrix x = Matrix.Random(random, m, k), bias = Matrix.Random(random, 1, n);
        ITensor output = o.Empty(m, n);
        o.Device.Int8Linear(output, o.Upload(x), o.Upload(weight), o.Upload(bias));
        return (0, ErrorBounds.SameBits(o.Read(output), Int8Formula.Product(x, weight, bias)));
    }

    /// <summary>Rows have the same bits alone, and among few or many others.</summary>
    private static (double, string?) LinearRows(Operands o, WeightFormat format)
    {
        const int Rows = 133, N = 70, K = 300;
        Random random = new(5);
        Matrix x = Matrix.Random(random, Rows, K);
        IWeight weight = o.Upload(TestWeight.Random(random, N, K, format));
        Matrix all = Run(x);
        foreach (int count in (int[])[1, 5, 17, 64])
        {
            int[] picked = [.. Enumerable.Range(0, count).Select(_ => random.Next(Rows))];
            if (ErrorBounds.SameBits(Run(x.Pick(picked)), all.Pick(picked)) is { } fault) return (0, $"{count} rows of {Rows}: {fault}");
        }

        return (0, ErrorBounds.SameBits(Run(x), all) is { } again ? $"once more: {again}" : null);

        Matrix Run(Matrix rows)
        {
            ITensor output = o.Empty(rows.Rows, N);
            o.Device.Linear(output, o.Upload(rows), weight);
            return o.Read(output);
        }
    }

    private static (double, string?) Attention(Operands o, int dimension, bool halves, int window)
    {
        const int Length = 75, Prefix = 20;
        Random random = new(dimension + window);
        AttentionShape shape = new(4, 2, dimension, 1 / MathF.Sqrt(dimension), window == 0 ? 50 : 0, window, halves);
        Matrix q = Matrix.Random(random, Length, 4 * dimension, 2), k = Matrix.Random(random, Length, 2 * dimension, 2);
        Matrix v = Matrix.Random(random, Length, 2 * dimension);
        AttentionSegment[] segments = [new(0, Length, 0, 0, Prefix, Prefix)];
        ITensor output = o.Empty(Length, 4 * dimension);
        o.Device.Attention(output, o.Upload(q), o.Upload(k), o.Upload(v), o.Segments(segments), shape);
        (double[] wanted, double[] bounds) = Reference64.Attention(q, k, v, segments, shape, Rounding(o.Device, halves));
        return ErrorBounds.Close(o.Read(output), wanted, bounds);
    }

    /// <summary>Queries have the same bits whether the text's beginning lies with its own keys or elsewhere, and in parts.</summary>
    private static (double, string?) AttentionRows(Operands o, int dimension, bool halves)
    {
        const int Length = 70, Prefix = 33;
        Random random = new(dimension);
        AttentionShape shape = new(2, 1, dimension, 0.1f, 30, 0, halves);
        Matrix q = Matrix.Random(random, Length, 2 * dimension, 2), k = Matrix.Random(random, Length, dimension, 2);
        Matrix v = Matrix.Random(random, Length, dimension);
        int[] moved = [.. Enumerable.Range(Prefix, Length - Prefix), .. Enumerable.Range(0, Prefix)];
        Matrix whole = Run(k, v, new AttentionSegment(0, Length, 0, 0, 0, 0));
        // The beginning's keys come after the others.
        Matrix shared = Run(k.Pick(moved), v.Pick(moved),
            new AttentionSegment(0, 1, 0, Length - Prefix, Prefix, 0), new AttentionSegment(1, Length - 1, 1, Length - Prefix, Prefix, 0));
        return (0, ErrorBounds.SameBits(shared, whole));

        Matrix Run(Matrix keys, Matrix values, params AttentionSegment[] segments)
        {
            ITensor output = o.Empty(Length, 2 * dimension);
            o.Device.Attention(output, o.Upload(q), o.Upload(keys), o.Upload(values), o.Segments(segments), shape);
            return o.Read(output);
        }
    }

    private static (double, string?) RmsNorm(Operands o)
    {
        Random random = new(3);
        Matrix x = Matrix.Random(random, 37, 301, 3), w = Matrix.Random(random, 1, 301);
        ITensor output = o.Empty(37, 301);
        o.Device.RmsNorm(output, o.Upload(x), o.Upload(w), 1e-6f);
        (double[] wanted, double[] bounds) = Reference64.RmsNorm(x, w, 1e-6f);
        return ErrorBounds.Close(o.Read(output), wanted, bounds);
    }

    private static (double, string?) NormAdd(Operands o)
    {
        Random random = new(4);
        Matrix residual = Matrix.Random(random, 37, 301, 100);
        ITensor sum = o.Upload(residual);
        Matrix y = Matrix.Random(random, 37, 301), w = Matrix.Random(random, 1, 301);
        o.Device.NormAdd(sum, o.Upload(y), o.Upload(w), 1e-6f);
        (double[] wanted, double[] bounds) = Reference64.NormAdd(residual, y, w, 1e-6f);
        return ErrorBounds.Close(o.Read(sum), wanted, bounds);
    }

    private static (double, string?) Add(Operands o)
    {
        Random random = new(5);
        Matrix residual = Matrix.Random(random, 37, 301), y = Matrix.Random(random, 37, 301);
        ITensor sum = o.Upload(residual);
        o.Device.Add(sum, o.Upload(y));
        (double[] wanted, double[] bounds) = Reference64.Add(residual, y);
        return ErrorBounds.Close(o.Read(sum), wanted, bounds);
    }

    /// <summary>With a norm of y and without one, in the bits of the two ops.</summary>
    private static (double, string?) AddNorm(Operands o)
    {
        Random random = new(11);
        Matrix residual = Matrix.Random(random, 37, 301, 100), y = Matrix.Random(random, 37, 301, 3);
        Matrix yWeight = Matrix.Random(random, 1, 301, 50), w = Matrix.Random(random, 1, 301);
        double worst = 0;
        foreach (Matrix? norm in (Matrix?[])[null, yWeight])
        {
            ITensor sum = o.Upload(residual), sumApart = o.Upload(residual), output = o.Empty(37, 301), apart = o.Empty(37, 301);
            ITensor added = o.Upload(y), weight = o.Upload(w);
            ITensor? addedWeight = norm is null ? null : o.Upload(norm);
            o.Device.AddNorm(output, sum, added, addedWeight, weight, 1e-6f);
            var (wantedSum, wanted) = Reference64.AddNorm(residual, y, norm, w, 1e-6f);
            foreach ((ITensor got, var (values, bounds)) in ((ITensor, (double[], double[]))[])[(sum, wantedSum), (output, wanted)])
            {
                (double ratio, string? fault) = ErrorBounds.Close(o.Read(got), values, bounds);
                if (fault is not null) return (ratio, fault);
                worst = Math.Max(worst, ratio);
            }

            if (addedWeight is null) o.Device.Add(sumApart, added);
            else o.Device.NormAdd(sumApart, added, addedWeight, 1e-6f);
            o.Device.RmsNorm(apart, sumApart, weight, 1e-6f);
            string? different = ErrorBounds.SameBits(o.Read(sum), o.Read(sumApart)) ?? ErrorBounds.SameBits(o.Read(output), o.Read(apart));
            if (different is not null) return (worst, $"beside the two ops: {different}");
        }

        return (worst, null);
    }

    private static (double, string?) HeadNorm(Operands o)
    {
        Random random = new(6);
        Matrix x = Matrix.Random(random, 37, 5 * 72), w = Matrix.Random(random, 1, 72);
        ITensor heads = o.Upload(x);
        o.Device.HeadNorm(heads, 5, o.Upload(w), 1e-6f);
        (double[] wanted, double[] bounds) = Reference64.HeadNorm(x, 5, w, 1e-6f);
        return ErrorBounds.Close(o.Read(heads), wanted, bounds);
    }

    private static (double, string?) Rope(Operands o)
    {
        Random random = new(7);
        Matrix x = Matrix.Random(random, 37, 3 * 64), table = Matrix.Random(random, 90, 64);
        int[] positions = [.. Enumerable.Range(0, 37).Select(_ => random.Next(90))];
        ITensor rotated = o.Upload(x);
        o.Device.Rope(rotated, 3, o.Indices(positions), o.Upload(table));
        (double[] wanted, double[] bounds) = Reference64.Rope(x, 3, positions, table);
        return ErrorBounds.Close(o.Read(rotated), wanted, bounds);
    }

    private static (double, string?) GateMultiply(Operands o)
    {
        Random random = new(8);
        Matrix gate = Matrix.Random(random, 37, 301, 4), up = Matrix.Random(random, 37, 301);
        ITensor output = o.Empty(37, 301);
        foreach (GateActivation activation in Enum.GetValues<GateActivation>())
        {
            o.Device.GateMultiply(output, o.Upload(gate), o.Upload(up), activation);
            (double[] wanted, double[] bounds) = Reference64.GateMultiply(gate, up, activation);
            if (ErrorBounds.Close(o.Read(output), wanted, bounds) is (double worst, { } fault)) return (worst, $"{activation}: {fault}");
        }

        return (0, null);
    }

    private static (double, string?) GatherRows(Operands o)
    {
        Random random = new(9);
        Matrix x = Matrix.Random(random, 50, 301);
        int[] rows = [.. Enumerable.Range(0, 37).Select(_ => random.Next(50))];
        ITensor output = o.Empty(37, 301);
        o.Device.GatherRows(output, o.Upload(x), o.Indices(rows));
        return (0, ErrorBounds.SameBits(o.Read(output), x.Pick(rows)));
    }

    private static (double, string?) LdlReadout(Operands o)
    {
        const int Attributes = 22, Bins = 10;
        Random random = new(10);
        Matrix regression = Matrix.Random(random, 5, Attributes * Bins), gating = Matrix.Random(random, 5, Attributes);
        ITensor output = o.Empty(5, 1 + Bins + Attributes + (Attributes * Bins));
        o.Device.LdlReadout(output, o.Upload(regression), o.Upload(gating), 0.7f);
        (double[] wanted, double[] bounds) = Reference64.LdlReadout(regression, gating, 0.7f);
        return ErrorBounds.Close(o.Read(output), wanted, bounds);
    }
}
