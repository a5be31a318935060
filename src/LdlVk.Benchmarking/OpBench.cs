using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;

namespace LdlVk.Benchmarking;

/// <summary>Measures every op individually, with the shapes of a model and with 1 to 2048 rows.</summary>
/// <param name="device">The device.</param>
/// <param name="config">The model.</param>
/// <param name="measured">Called with each measured op.</param>
/// <param name="skipped">Called with each op that would take too long.</param>
public sealed class OpBench(IDevice device, BackboneConfig config, Action<OpRow> measured, Action<SkippedOp> skipped)
{
    /// <summary>Maximum seconds of a call; longer ones are skipped.</summary>
    private const double MaxCallSeconds = 5;

    /// <summary>Minimum seconds of consecutive calls, so that the wait for the device is negligible.</summary>
    private const double MinSeconds = 0.05;

    private const int MaxCalls = 64;

    /// <summary>What the operand of a product with sums in fp16 is called after its name.</summary>
    private const string HalfSums = ", fp16 sums";

    private static readonly int[] Rows = [1, 16, 128, 512, 2048];

    private int Queries => config.Heads * config.HeadDimension;

    private int Keys => config.KeyValueHeads * config.HeadDimension;

    /// <summary>Measures the ops.</summary>
    /// <param name="format">Weight format of the ops with weights.</param>
    /// <param name="others">Whether the ops without weights are measured too.</param>
    /// <param name="cancellationToken">Cancels the measurement between two ops.</param>
    public void Run(WeightFormat format, bool others, CancellationToken cancellationToken)
    {
        if (format != WeightFormat.Fp32 && WhyNoHalfSums is { } why) skipped(new SkippedOp($"Products{HalfSums}", "", $"left out: {why}"));
        Linear(format, cancellationToken);
        GatedLinear(format, cancellationToken);
        if (others) Others(cancellationToken);
    }

    /// <summary>Why products with sums in fp16 are not measured; null if they are.</summary>
    private string? WhyNoHalfSums => !device.Info.SumsHalves ? "the device's kernels have none"
        : device.Info.Kind == DeviceKind.Cpu ? "the processor only simulates them" : null;

    /// <summary>The sums with which products of a format are measured, and what their operand is called.</summary>
    private IEnumerable<(SumFormat Sums, string Suffix)> Sums(WeightFormat format)
    {
        yield return (SumFormat.Fp32, "");
        if (format != WeightFormat.Fp32 && WhyNoHalfSums is null) yield return (SumFormat.Fp16, HalfSums);
    }

    /// <summary>Linear with the model's matrices in a format, and Int8Linear if it supports the format.</summary>
    private void Linear(WeightFormat format, CancellationToken cancellationToken)
    {
        (string Name, int Outputs, int Inputs)[] matrices =
        [
            ("q_proj", Queries, config.HiddenSize), ("k_proj", Keys, config.HiddenSize), ("o_proj", config.HiddenSize, Queries),
            ("gate_proj", config.IntermediateSize, config.HiddenSize), ("down_proj", config.HiddenSize, config.IntermediateSize),
        ];
        foreach ((string name, int outputs, int inputs) in matrices)
        {
            using IWeight weight = device.CreateWeight(new RandomWeightSource(name, outputs, inputs, format, 1), null, cancellationToken);
            double matrix = WeightLayout.MatrixBytes(format, outputs, inputs);
            foreach ((SumFormat sums, string suffix) in Sums(format))
            {
                Each("Linear", name + suffix, rows => $"{rows} × {outputs} × {inputs}", cancellationToken, rows =>
                {
                    ITensor x = RandomTensor.Create(device, rows, inputs), y = device.CreateTensor(rows, outputs);
                    return new Case(
                        () => device.Linear(y, x, weight, sums: sums), 2.0 * rows * outputs * inputs,
                        matrix + Floats(rows, inputs + outputs), [x, y]);
                });
            }

            if (!WeightLayout.HasScales(format)) continue;
            Each("Int8Linear", name, rows => $"{rows} × {outputs} × {inputs}", cancellationToken, rows =>
            {
                ITensor x = RandomTensor.Create(device, rows, inputs), y = device.CreateTensor(rows, outputs);
                return new Case(
                    () => device.Int8Linear(y, x, weight), 2.0 * rows * outputs * inputs, matrix + Floats(rows, inputs + outputs), [x, y]);
            });
        }
    }

    /// <summary>GatedLinear with the model's matrices in a format.</summary>
    private void GatedLinear(WeightFormat format, CancellationToken cancellationToken)
    {
        int outputs = config.IntermediateSize, inputs = config.HiddenSize;
        using IWeight gate = device.CreateWeight(new RandomWeightSource("gate_proj", outputs, inputs, format, 1), null, cancellationToken);
        using IWeight up = device.CreateWeight(new RandomWeightSource("up_proj", outputs, inputs, format, 2), null, cancellationToken);
        double matrices = 2.0 * WeightLayout.MatrixBytes(format, outputs, inputs);
        foreach ((SumFormat sums, string suffix) in Sums(format))
        {
            Each("GatedLinear", "gate_proj+up_proj" + suffix, rows => $"{rows} × {outputs} × {inputs}", cancellationToken, rows =>
            {
                ITensor x = RandomTensor.Create(device, rows, inputs), y = device.CreateTensor(rows, outputs),
                    scratch = device.CreateTensor(rows, outputs);
                return new Case(
                    () => device.GatedLinear(y, scratch, x, gate, up, config.GateActivation, sums), 4.0 * rows * outputs * inputs,
                    matrices + Floats(rows, inputs + outputs), [x, y, scratch]);
            });
        }
    }

    /// <summary>The ops without weights.</summary>
    private void Others(CancellationToken cancellationToken)
    {
        int hidden = config.HiddenSize;
        using ITensor norm = RandomTensor.Create(device, 1, hidden);
        using ITensor angles = RandomTensor.Create(device, Rows[^1], config.HeadDimension);
        Each("Attention", "one text", rows => $"{rows} × {Queries}", cancellationToken, rows =>
        {
            ITensor q = RandomTensor.Create(device, rows, Queries), k = RandomTensor.Create(device, rows, Keys),
                y = device.CreateTensor(rows, Queries);
            ISegmentList segments = device.CreateSegments([new AttentionSegment(0, rows, 0, 0, 0, 0)]);
            var shape = new AttentionShape(
                config.Heads, config.KeyValueHeads, config.HeadDimension, 1 / MathF.Sqrt(config.HeadDimension), config.AttentionSoftcap,
                config.SlidingWindow, HalvesOperands: true);
            double pairs = ProfiledDevice.VisiblePairs(segments.Segments[0], shape.Window);
            return new Case(
                () => device.Attention(y, q, k, k, segments, shape), 4 * pairs * Queries, Floats(rows, 2 * (Queries + Keys)),
                [q, k, y, segments]);
        });
        Each(
            "RmsNorm", "", rows => $"{rows} × {hidden}", cancellationToken,
            rows => Wide(rows, hidden, 2, (x, y) => device.RmsNorm(y, x, norm, 1e-6f)));
        Each(
            "NormAdd", "", rows => $"{rows} × {hidden}", cancellationToken,
            rows => Wide(rows, hidden, 3, (x, y) => device.NormAdd(y, x, norm, 1e-6f)));
        foreach (ITensor? ofY in (ITensor?[])[null, norm])
        {
            Each("AddNorm", ofY is null ? "" : "of a norm", rows => $"{rows} × {hidden}", cancellationToken, rows =>
            {
                ITensor residual = device.CreateTensor(rows, hidden);
                Case wide = Wide(rows, hidden, 4, (x, y) => device.AddNorm(y, residual, x, ofY, norm, 1e-6f));
                return wide with { Operands = [.. wide.Operands, residual] };
            });
        }

        Each("Rope", "", rows => $"{rows} × {Queries}", cancellationToken, rows =>
        {
            ITensor x = RandomTensor.Create(device, rows, Queries);
            IIndexList positions = device.CreateIndices([.. Enumerable.Range(0, rows)]);
            return new Case(() => device.Rope(x, config.Heads, positions, angles), 0, Floats(rows, 2 * Queries), [x, positions]);
        });
        if (config.Architecture.QueryKeyNorm == QueryKeyNorm.Head)
        {
            Each("HeadNorm", "", rows => $"{rows} × {Queries}", cancellationToken, rows =>
            {
                ITensor x = RandomTensor.Create(device, rows, Queries), weight = RandomTensor.Create(device, 1, config.HeadDimension);
                return new Case(() => device.HeadNorm(x, config.Heads, weight, 1e-6f), 0, Floats(rows, 2 * Queries), [x, weight]);
            });
        }

        int ffn = config.IntermediateSize;
        Each(
            "GateMultiply", "", rows => $"{rows} × {ffn}", cancellationToken,
            rows => Wide(rows, ffn, 3, (x, y) => device.GateMultiply(y, x, y, config.GateActivation)));
        Each("GatherRows", "", rows => $"{rows} × {hidden}", cancellationToken, rows =>
        {
            IIndexList all = device.CreateIndices([.. Enumerable.Range(0, rows)]);
            Case wide = Wide(rows, hidden, 2, (x, y) => device.GatherRows(y, x, all));
            return wide with { Operands = [.. wide.Operands, all] };
        });
        const int Attributes = 22, Bins = 10;
        Each("LdlReadout", "", rows => $"{rows} × {Attributes * Bins}", cancellationToken, rows =>
        {
            ITensor rewards = RandomTensor.Create(device, rows, Attributes * Bins), gates = RandomTensor.Create(device, rows, Attributes);
            ITensor y = device.CreateTensor(rows, 1 + Bins + Attributes + (Attributes * Bins));
            return new Case(
                () => device.LdlReadout(y, rewards, gates, 1), 0, Floats(rows, rewards.Columns + gates.Columns + y.Columns),
                [rewards, gates, y]);
        });
    }

    /// <summary>An op from one tensor to another of the same shape.</summary>
    private Case Wide(int rows, int columns, int passes, Action<ITensor, ITensor> op)
    {
        ITensor x = RandomTensor.Create(device, rows, columns), y = device.CreateTensor(rows, columns);
        return new Case(() => op(x, y), 0, Floats(rows, passes * columns), [x, y]);
    }

    private void Each(string op, string operand, Func<int, string> shape, CancellationToken cancellationToken, Func<int, Case> make)
    {
        double perRow = 0;
        foreach (int rows in Rows)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (perRow * rows > MaxCallSeconds)
            {
                skipped(
                    new SkippedOp(
                        operand.Length == 0 ? op : $"{op} {operand}", shape(rows),
                        $"left out: a call would take about {perRow * rows:F0} s"));
                continue;
            }

            Case one = make(rows);
            double seconds = Seconds(one.Call);
            foreach (IDisposable part in one.Operands) part.Dispose();
            perRow = seconds / rows;
            measured(new OpRow(op, operand, shape(rows), 1, seconds, one.Operations, one.Bytes));
        }
    }

    /// <summary>Returns the seconds per call of many calls, so that the wait for the device is negligible.</summary>
    private double Seconds(Action call)
    {
        double one = Yardsticks.Time(device, call);
        int calls = (int)Math.Clamp(MinSeconds / one, 1, MaxCalls);
        return calls == 1 ? one : Yardsticks.Time(device, () => { for (int i = 0; i < calls; i++) call(); }) / calls;
    }

    private static double Floats(int rows, int columns) => sizeof(float) * (double)rows * columns;

    /// <summary>A call of an op, and its operands to be disposed.</summary>
    private sealed record Case(Action Call, double Operations, double Bytes, IReadOnlyList<IDisposable> Operands);
}
