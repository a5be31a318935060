using LdlVk.Runtime.Devices;
using LdlVk.SelfTest;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Conformance;

/// <summary>Values and invariance of the ops that take each row by itself: norms, sums, rope, gates, gather, readout.</summary>
public sealed class RowOpTests : ConformanceTest
{
    private const float Epsilon = 1e-6f;

    private static readonly (int Rows, int Columns)[] Shapes = [(1, 1), (1, 33), (3, 7), (5, 64), (2, 31), (17, 96), (9, 1000), (4, 4608), (130, 40)];

    /// <summary>Each device with each activation of a gate.</summary>
    public static TheoryData<string, GateActivation> DevicesAndActivations =>
        [.. Devices.SelectMany(row => Enum.GetValues<GateActivation>().Select(activation => new TheoryDataRow<string, GateActivation>(row.Data, activation)))];

    [Theory]
    [MemberData(nameof(Devices))]
    public void RmsNorm_matches_the_reference(string id)
    {
        IDevice device = Open(id);
        foreach ((int rows, int columns) in Shapes)
        {
            Random random = new(columns);
            Matrix x = Matrix.Random(random, rows, columns, 3), w = Matrix.Random(random, 1, columns, 0.5);
            (double[] wanted, double[] bounds) = Reference64.RmsNorm(x, w, Epsilon);

            ITensor input = UploadAmongNaN(device, x), weight = Upload(device, w), output = Empty(device, rows, columns);
            device.RmsNorm(output, input, weight, Epsilon);
            Matrix got = Read(device, output);
            Check.Close($"RmsNorm on {id}, [{rows}, {columns}]", got, wanted, bounds);
            device.RmsNorm(input, input, weight, Epsilon);
            Check.SameBits($"RmsNorm in place on {id}, [{rows}, {columns}]", Read(device, input), got);
        }
    }

    /// <summary>Rows far below ε, of zeros, and of the size that Gemma-2's residual stream reaches.</summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void RmsNorm_of_tiny_and_huge_rows(string id)
    {
        IDevice device = Open(id);
        Random random = new(2);
        Matrix x = Matrix.Random(random, 6, 200), w = Matrix.Random(random, 1, 200);
        float[] factors = [1e-20f, 1e-6f, 1e-3f, 0, 3e5f, 1e10f];
        for (int m = 0; m < x.Rows; m++)
            foreach (ref float v in x.Row(m)) v *= factors[m];
        (double[] wanted, double[] bounds) = Reference64.RmsNorm(x, w, Epsilon);
        ITensor output = Empty(device, 6, 200);
        device.RmsNorm(output, Upload(device, x), Upload(device, w), Epsilon);
        Check.Close($"RmsNorm on {id}, tiny and huge rows", Read(device, output), wanted, bounds);
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void NormAdd_matches_the_reference(string id)
    {
        IDevice device = Open(id);
        foreach ((int rows, int columns) in Shapes)
        {
            Random random = new(columns + 1);
            Matrix residual = Matrix.Random(random, rows, columns, 2e5), y = Matrix.Random(random, rows, columns, 9e4), w = Matrix.Random(random, 1, columns, 20);
            (double[] wanted, double[] bounds) = Reference64.NormAdd(residual, y, w, Epsilon);
            ITensor target = UploadAmongNaN(device, residual);
            device.NormAdd(target, UploadAmongNaN(device, y, 1), Upload(device, w), Epsilon);
            Check.Close($"NormAdd on {id}, [{rows}, {columns}]", Read(device, target), wanted, bounds);
        }
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Rope_matches_the_reference(string id)
    {
        IDevice device = Open(id);
        foreach ((int rows, int heads, int dimension) in new[] { (1, 1, 2), (3, 2, 6), (5, 3, 16), (9, 4, 24), (2, 1, 34), (33, 8, 128), (4, 2, 256) })
        {
            Random random = new(dimension);
            Matrix x = Matrix.Random(random, rows, heads * dimension, 5), table = RopeTable(50, dimension);
            int[] positions = [.. Enumerable.Range(0, rows).Select(_ => random.Next(50))];
            (positions[0], positions[^1]) = (49, 0);
            (double[] wanted, double[] bounds) = Reference64.Rope(x, heads, positions, table);
            ITensor target = UploadAmongNaN(device, x);
            device.Rope(target, heads, Indices(device, positions), Upload(device, table));
            Check.Close($"Rope on {id}, {rows} rows, {heads} heads of {dimension}", Read(device, target), wanted, bounds);
        }
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Add_matches_the_reference(string id)
    {
        IDevice device = Open(id);
        foreach ((int rows, int columns) in Shapes)
        {
            Random random = new(columns + 3);
            Matrix residual = Matrix.Random(random, rows, columns, 2e5), y = Matrix.Random(random, rows, columns, 9e4);
            (double[] wanted, double[] bounds) = Reference64.Add(residual, y);
            ITensor target = UploadAmongNaN(device, residual);
            device.Add(target, UploadAmongNaN(device, y, 1));
            Check.Close($"Add on {id}, [{rows}, {columns}]", Read(device, target), wanted, bounds);
        }
    }

    /// <summary>Close to the formula, and the bits of the ops that it stands for; in place of y too.</summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void AddNorm_matches_the_reference_and_its_two_ops(string id)
    {
        IDevice device = Open(id);
        foreach ((int rows, int columns) in Shapes)
        {
            Random random = new(columns + 4);
            Matrix residual = Matrix.Random(random, rows, columns, 2e5), y = Matrix.Random(random, rows, columns, 9e4);
            Matrix yWeight = Matrix.Random(random, 1, columns, 1e5), w = Matrix.Random(random, 1, columns, 20);
            foreach (Matrix? norm in (Matrix?[])[null, yWeight])
            {
                string what = $"AddNorm on {id}, [{rows}, {columns}]{(norm is null ? "" : " with a norm of y")}";
                ITensor sum = UploadAmongNaN(device, residual), added = UploadAmongNaN(device, y, 1), output = UploadAmongNaN(device, y, 2);
                ITensor weight = Upload(device, w);
                ITensor? normOfY = norm is null ? null : Upload(device, norm);
                device.AddNorm(output, sum, added, normOfY, weight, Epsilon);
                var (wantedSum, wanted) = Reference64.AddNorm(residual, y, norm, w, Epsilon);
                Check.Close($"{what}, residual", Read(device, sum), wantedSum.Values, wantedSum.Bounds);
                Check.Close($"{what}, output", Read(device, output), wanted.Values, wanted.Bounds);

                ITensor sumApart = UploadAmongNaN(device, residual), apart = Empty(device, rows, columns);
                if (normOfY is null) device.Add(sumApart, added);
                else device.NormAdd(sumApart, added, normOfY, Epsilon);
                device.RmsNorm(apart, sumApart, weight, Epsilon);
                Check.SameBits($"{what}, residual of two ops", Read(device, sum), Read(device, sumApart));
                Check.SameBits($"{what}, output of two ops", Read(device, output), Read(device, apart));
                ITensor again = UploadAmongNaN(device, residual);
                device.AddNorm(added, again, added, normOfY, weight, Epsilon);
                Check.SameBits($"{what}, residual in place", Read(device, again), Read(device, sum));
                Check.SameBits($"{what}, output in place", Read(device, added), Read(device, output));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void HeadNorm_matches_the_reference(string id)
    {
        IDevice device = Open(id);
        foreach ((int rows, int heads, int dimension) in new[]
        {
            (1, 1, 1), (3, 2, 6), (5, 3, 16), (9, 4, 20), (2, 1, 34), (33, 8, 128), (130, 2, 64), (4, 2, 256), (3, 5, 7), (2, 3, 300),
        })
        {
            Random random = new(dimension);
            Matrix x = Matrix.Random(random, rows, heads * dimension, 3), w = Matrix.Random(random, 1, dimension, 0.5);
            // Heads of a row differ in size, so that none can stand for another.
            for (int m = 0; m < rows; m++)
                for (int c = 0; c < x.Columns; c++) x[m, c] *= 1 + (c / dimension);
            (double[] wanted, double[] bounds) = Reference64.HeadNorm(x, heads, w, Epsilon);
            ITensor target = UploadAmongNaN(device, x);
            device.HeadNorm(target, heads, Upload(device, w), Epsilon);
            Check.Close($"HeadNorm on {id}, {rows} rows, {heads} heads of {dimension}", Read(device, target), wanted, bounds);
        }
    }

    /// <summary>Heads far below ε, of zeros, and huge ones in the same row.</summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void HeadNorm_of_tiny_and_huge_heads(string id)
    {
        IDevice device = Open(id);
        Random random = new(2);
        Matrix x = Matrix.Random(random, 3, 6 * 40), w = Matrix.Random(random, 1, 40);
        float[] factors = [1e-20f, 1e-6f, 1e-3f, 0, 3e5f, 1e10f];
        for (int m = 0; m < x.Rows; m++)
            for (int c = 0; c < x.Columns; c++) x[m, c] *= factors[c / 40];
        (double[] wanted, double[] bounds) = Reference64.HeadNorm(x, 6, w, Epsilon);
        ITensor target = UploadAmongNaN(device, x);
        device.HeadNorm(target, 6, Upload(device, w), Epsilon);
        Check.Close($"HeadNorm on {id}, tiny and huge heads", Read(device, target), wanted, bounds);
    }

    [Theory]
    [MemberData(nameof(DevicesAndActivations))]
    public void GateMultiply_matches_the_reference(string id, GateActivation activation)
    {
        IDevice device = Open(id);
        foreach ((int rows, int columns) in Shapes)
        {
            Random random = new(columns + 2);
            Matrix gate = Matrix.Random(random, rows, columns, 3), up = Matrix.Random(random, rows, columns, 4);
            (double[] wanted, double[] bounds) = Reference64.GateMultiply(gate, up, activation);
            ITensor g = UploadAmongNaN(device, gate), u = Upload(device, up), output = Empty(device, rows, columns);
            device.GateMultiply(output, g, u, activation);
            Matrix got = Read(device, output);
            Check.Close($"GateMultiply on {id}, [{rows}, {columns}] {activation}", got, wanted, bounds);
            ITensor u2 = Upload(device, up);
            device.GateMultiply(u2, g, u2, activation);
            Check.SameBits($"GateMultiply into up on {id}, [{rows}, {columns}] {activation}", Read(device, u2), got);
            device.GateMultiply(g, g, u, activation);
            Check.SameBits($"GateMultiply into gate on {id}, [{rows}, {columns}] {activation}", Read(device, g), got);
        }
    }

    /// <summary>Where tanh would overflow through exp, and where the product passes fp16's 65504 by far.</summary>
    [Theory]
    [MemberData(nameof(DevicesAndActivations))]
    public void GateMultiply_of_extremes(string id, GateActivation activation)
    {
        IDevice device = Open(id);
        float[] values = [50, -50, 300, -300, 88, -88, 1e5f, -1e5f, 3e5f, -3e5f, 9.3f, -9.3f, 5.5f, -5.5f, 0, -0f, 1e-6f, -1e-6f, 1e-20f, 2, -2, 1e12f, -1e12f];
        Matrix gate = new(values.Length, 5), up = new(values.Length, 5);
        for (int i = 0; i < values.Length; i++)
        {
            gate.Row(i).Fill(values[i]);
            new float[] { 1, -1, 3e5f, -7e4f, 1e-3f }.CopyTo(up.Row(i));
        }
        (double[] wanted, double[] bounds) = Reference64.GateMultiply(gate, up, activation);
        ITensor output = Empty(device, gate.Rows, gate.Columns);
        device.GateMultiply(output, Upload(device, gate), Upload(device, up), activation);
        Check.Close($"GateMultiply on {id}, extreme values, {activation}", Read(device, output), wanted, bounds);
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void GatherRows_copies_bits(string id)
    {
        IDevice device = Open(id);
        foreach ((int rows, int columns, int count) in new[] { (1, 1, 1), (5, 33, 9), (20, 64, 3), (7, 4608, 7), (300, 3, 500) })
        {
            Random random = new(columns);
            Matrix x = Matrix.Random(random, rows, columns);
            (x[0, 0], x[rows - 1, columns - 1]) = (float.NaN, -0f);
            int[] picked = [.. Enumerable.Range(0, count).Select(_ => random.Next(rows))];
            (picked[0], picked[^1]) = (rows - 1, 0);
            ITensor output = UploadAmongNaN(device, Matrix.Filled(count, columns, 4));
            device.GatherRows(output, UploadAmongNaN(device, x), Indices(device, picked));
            Check.SameBits($"GatherRows on {id}, {count} of [{rows}, {columns}]", Read(device, output), x.Pick(picked));
        }
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void LdlReadout_matches_the_reference(string id)
    {
        IDevice device = Open(id);
        foreach ((int rows, int attributes, int bins, float temperature, double size) in new[]
        {
            (1, 22, 10, 0f, 1.0), (7, 22, 10, 10f, 5.0), (3, 1, 2, 0f, 1.0), (2, 3, 33, 0.1f, 3.0), (65, 22, 10, 0f, 30.0), (4, 40, 5, 1f, 20.0),
        })
        {
            Random random = new(rows);
            Matrix regression = Matrix.Random(random, rows, attributes * bins, size), gating = Matrix.Random(random, rows, attributes, 2);
            (double[] wanted, double[] bounds) = Reference64.LdlReadout(regression, gating, temperature);
            ITensor output = Empty(device, rows, 1 + bins + attributes + (attributes * bins));
            device.LdlReadout(output, UploadAmongNaN(device, regression), UploadAmongNaN(device, gating), temperature);
            Check.Close($"LdlReadout on {id}, {rows} rows, {attributes} attributes, {bins} bins, temperature {temperature}", Read(device, output), wanted, bounds);
        }
    }

    /// <summary>Each op on all rows, and on some of them alone, in another order, at another place: the same bits.</summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void Rows_do_not_depend_on_the_batch(string id)
    {
        IDevice device = Open(id);
        foreach (int columns in new[] { 24, 440, 2200 })
        {
            Random random = new(columns);
            Matrix x = Matrix.Random(random, 40, columns, 2), y = Matrix.Random(random, 40, columns, 2);
            ITensor weight = Upload(device, Matrix.Random(random, 1, columns)), headWeight = Upload(device, Matrix.Random(random, 1, columns / 4));
            ITensor table = Upload(device, RopeTable(60, columns / 2));
            int[] positions = [.. Enumerable.Range(0, 40).Select(_ => random.Next(60))];

            Dictionary<string, Func<Matrix, Matrix, int[], Matrix>> ops = new()
            {
                ["RmsNorm"] = (a, _, _) => Run(a, (output, input) => device.RmsNorm(output, input, weight, Epsilon)),
                ["NormAdd"] = (a, b, _) => InPlace(a, target => device.NormAdd(target, UploadAmongNaN(device, b), weight, Epsilon)),
                ["Rope"] = (a, _, rows) => InPlace(a, target => device.Rope(target, 2, Indices(device, [.. rows.Select(r => positions[r])]), table)),
                ["GateMultiply"] = (a, b, _) => Run(a, (output, input) => device.GateMultiply(output, input, UploadAmongNaN(device, b), GateActivation.Silu)),
                ["Add"] = (a, b, _) => InPlace(a, target => device.Add(target, UploadAmongNaN(device, b))),
                ["AddNorm"] = (a, b, _) => Run(a, (output, input) => device.AddNorm(output, UploadAmongNaN(device, b), input, weight, weight, Epsilon)),
                ["HeadNorm"] = (a, _, _) => InPlace(a, target => device.HeadNorm(target, 4, headWeight, Epsilon)),
            };
            if (columns == 440)
            {
                ops["LdlReadout"] = (a, b, _) =>
                {
                    Matrix gates = new(b.Rows, 44);
                    for (int m = 0; m < b.Rows; m++) b.Row(m)[..44].CopyTo(gates.Row(m));
                    ITensor output = Empty(device, a.Rows, 1 + 10 + 44 + 440);
                    device.LdlReadout(output, UploadAmongNaN(device, a), UploadAmongNaN(device, gates), 2);
                    return Read(device, output);
                };
            }
            foreach ((string op, Func<Matrix, Matrix, int[], Matrix> run) in ops)
            {
                Matrix all = run(x, y, [.. Enumerable.Range(0, 40)]);
                foreach (int[] picked in new int[][] { [0], [39], [7, 3], [38, 20, 1, 1, 5], [.. Enumerable.Range(0, 40).Reverse()] })
                    Check.SameBits($"{op} on {id}, {columns} columns, rows {string.Join(",", picked)}", run(x.Pick(picked), y.Pick(picked), picked), all.Pick(picked));
            }
        }

        Matrix Run(Matrix input, Action<ITensor, ITensor> op)
        {
            ITensor output = UploadAmongNaN(device, new Matrix(input.Rows, input.Columns), 1);
            op(output, UploadAmongNaN(device, input));
            return Read(device, output);
        }

        Matrix InPlace(Matrix input, Action<ITensor> op)
        {
            ITensor target = UploadAmongNaN(device, input);
            op(target);
            return Read(device, target);
        }
    }

    private static Matrix RopeTable(int positions, int dimension)
    {
        Matrix table = new(positions, dimension);
        for (int p = 0; p < positions; p++)
            for (int d = 0; d < dimension / 2; d++)
            {
                double angle = p * Math.Pow(10000, -2.0 * d / dimension);
                (table[p, d], table[p, d + (dimension / 2)]) = ((float)Math.Cos(angle), (float)Math.Sin(angle));
            }
        return table;
    }
}
