using LdlVk.Runtime.Devices;
using LdlVk.Testing;

namespace LdlVk.Benchmarking.Tests;

/// <summary>Which ops are measured by themselves.</summary>
public class OpBenchTests
{
    private static readonly BenchShape Shape = BenchShape.Parse("hidden=64,layers=1,heads=2,kv-heads=1,head-dim=32,ffn=96,vocab=100");

    /// <summary>A card with sums in fp16 is measured with them and without, one product beside the other.</summary>
    [Fact]
    public void A_card_with_sums_in_fp16_is_measured_with_them()
    {
        (List<OpRow> rows, List<SkippedOp> skipped, HashSet<SumFormat> sums) = Measure(DeviceKind.DiscreteGpu, sumsHalves: true, WeightFormat.Fp16);
        Assert.Empty(skipped);
        Assert.Equal([SumFormat.Fp32, SumFormat.Fp16], sums.Order());
        // Five matrices and a gated pair, at five numbers of rows.
        Assert.Equal(6 * 5, rows.Count(row => row.Operand.EndsWith(", fp16 sums", StringComparison.Ordinal)));
        foreach (OpRow row in rows.Where(row => row.Operand.EndsWith(", fp16 sums", StringComparison.Ordinal)))
        {
            OpRow usual = Assert.Single(rows, other => other.Op == row.Op && other.Shape == row.Shape && row.Operand == $"{other.Operand}, fp16 sums");
            Assert.Equal((usual.Operations, usual.Bytes), (row.Operations, row.Bytes));
            Assert.True(row.Seconds > 0);
        }
    }

    [Theory]
    [InlineData(DeviceKind.DiscreteGpu, false, WeightFormat.Int8, "left out: the device's kernels have none")]
    [InlineData(DeviceKind.Cpu, true, WeightFormat.Int8, "left out: the processor only simulates them")]
    [InlineData(DeviceKind.DiscreteGpu, true, WeightFormat.Fp32, null)]
    [InlineData(DeviceKind.DiscreteGpu, false, WeightFormat.Fp32, null)]
    public void Elsewhere_it_is_said_why_not(DeviceKind kind, bool sumsHalves, WeightFormat format, string? reason)
    {
        (List<OpRow> rows, List<SkippedOp> skipped, HashSet<SumFormat> sums) = Measure(kind, sumsHalves, format, until: "k_proj");
        Assert.NotEmpty(rows);
        Assert.Equal(reason, skipped is [var one] ? one.Reason : null);
        Assert.Equal(reason is null ? 0 : 1, skipped.Count);
        Assert.All(skipped, op => Assert.Contains("fp16 sums", OpTable.Line(op), StringComparison.Ordinal));
        Assert.DoesNotContain(rows, row => row.Operand.Contains("fp16 sums", StringComparison.Ordinal));
        Assert.Equal([SumFormat.Fp32], sums);
    }

    private static (List<OpRow> Rows, List<SkippedOp> Skipped, HashSet<SumFormat> Sums) Measure(DeviceKind kind, bool sumsHalves, WeightFormat format, string? until = null)
    {
        using CancellationTokenSource end = new();
        using Card device = new(ComputeDevices.Open(ComputeDevices.Candidates("cpu")[0]), kind, sumsHalves);
        List<OpRow> rows = [];
        List<SkippedOp> skipped = [];
        OpBench bench = new(device, Shape.Config, Add, skipped.Add);
        if (until is null) bench.Run(format, others: false, end.Token);
        else Assert.ThrowsAny<OperationCanceledException>(() => bench.Run(format, others: false, end.Token));
        return (rows, skipped, device.Sums);

        void Add(OpRow row)
        {
            rows.Add(row);
            if (row.Operand == until) end.Cancel();
        }
    }

    /// <summary>The CPU device as another kind, which remembers the sums that it is asked for.</summary>
    private sealed class Card(IDevice inner, DeviceKind kind, bool sumsHalves) : FailingDevice(inner), IDevice
    {
        public HashSet<SumFormat> Sums { get; } = [];

        public override DeviceInfo Info => base.Info with { Kind = kind, SumsHalves = sumsHalves };

        void IDevice.Linear(ITensor output, ITensor input, IWeight weight, ITensor? bias, Activation activation, SumFormat sums)
        {
            Sums.Add(sums);
            Linear(output, input, weight, bias, activation, sums);
        }

        void IDevice.GatedLinear(ITensor output, ITensor scratch, ITensor input, IWeight gate, IWeight up, GateActivation activation, SumFormat sums)
        {
            Sums.Add(sums);
            GatedLinear(output, scratch, input, gate, up, activation, sums);
        }
    }
}
