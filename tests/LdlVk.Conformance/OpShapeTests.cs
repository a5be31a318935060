using LdlVk.Runtime.Devices;
using LdlVk.SelfTest;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Conformance;

/// <summary>Wrong shapes, element types and values raise <see cref="ArgumentException"/>, and nothing is written.</summary>
public sealed class OpShapeTests : ConformanceTest
{
    private static readonly AttentionShape TwoHeads = new(2, 1, 8, 1, 0, 0);

    private static readonly Dictionary<string, Action<Operands>> Wrong = new()
    {
        ["CreateTensor of -1 rows"] = o => o.Device.CreateTensor(-1, 4),
        ["CreateTensor of 0 columns"] = o => o.Device.CreateTensor(4, 0),
        ["Linear, input columns"] = o => o.Device.Linear(o.T(4, 6), o.T(4, 9), o.Weight(6, 8)),
        ["Linear, output columns"] = o => o.Device.Linear(o.T(4, 7), o.T(4, 8), o.Weight(6, 8)),
        ["Linear, rows"] = o => o.Device.Linear(o.T(5, 6), o.T(4, 8), o.Weight(6, 8)),
        ["Int8Linear, input columns"] = o => o.Device.Int8Linear(o.T(4, 6), o.T(4, 9), o.Weight(6, 8)),
        ["Int8Linear, output columns"] = o => o.Device.Int8Linear(o.T(4, 7), o.T(4, 8), o.Weight(6, 8, WeightFormat.Int8)),
        ["Int8Linear, rows"] = o => o.Device.Int8Linear(o.T(5, 6), o.T(4, 8), o.Weight(6, 8, WeightFormat.Int8)),
        ["Int8Linear, bias"] = o => o.Device.Int8Linear(o.T(4, 6), o.T(4, 8), o.Weight(6, 8, WeightFormat.Int8), o.T(1, 7)),
        ["Int8Linear, fp16 weight"] = o => o.Device.Int8Linear(o.T(4, 6), o.T(4, 8), o.Weight(6, 8, WeightFormat.Fp16)),
        ["Linear, sums"] = o => o.Device.Linear(o.T(4, 6), o.T(4, 8), o.Weight(6, 8), sums: (SumFormat)9),
        ["GatedLinear, sums"] = o => o.Device.GatedLinear(o.T(4, 6), o.T(4, 6), o.T(4, 8), o.Weight(6, 8), o.Weight(6, 8), GateActivation.Gelu, (SumFormat)9),
        ["Linear, activation"] = o => o.Device.Linear(o.T(4, 6), o.T(4, 8), o.Weight(6, 8), null, (Activation)9),
        ["GatedLinear, output columns"] = o => o.Device.GatedLinear(o.T(4, 7), o.T(4, 6), o.T(4, 8), o.Weight(6, 8), o.Weight(6, 8), GateActivation.Gelu),
        ["GatedLinear, scratch rows"] = o => o.Device.GatedLinear(o.T(4, 6), o.T(3, 6), o.T(4, 8), o.Weight(6, 8), o.Weight(6, 8), GateActivation.Gelu),
        ["GatedLinear, gate's input features"] = o => o.Device.GatedLinear(o.T(4, 6), o.T(4, 6), o.T(4, 8), o.Weight(6, 9), o.Weight(6, 8), GateActivation.Gelu),
        ["GatedLinear, up's input features"] = o => o.Device.GatedLinear(o.T(4, 6), o.T(4, 6), o.T(4, 8), o.Weight(6, 8), o.Weight(6, 9), GateActivation.Gelu),
        ["GatedLinear, up's output features"] = o => o.Device.GatedLinear(o.T(4, 6), o.T(4, 6), o.T(4, 8), o.Weight(6, 8), o.Weight(7, 8), GateActivation.Gelu),
        ["GatedLinear, activation"] = o => o.Device.GatedLinear(o.T(4, 6), o.T(4, 6), o.T(4, 8), o.Weight(6, 8), o.Weight(6, 8), (GateActivation)9),
        ["Linear, bias columns"] = o => o.Device.Linear(o.T(4, 6), o.T(4, 8), o.Weight(6, 8), o.T(1, 5)),
        ["Linear, bias rows"] = o => o.Device.Linear(o.T(4, 6), o.T(4, 8), o.Weight(6, 8), o.T(2, 6)),
        ["RmsNorm, rows"] = o => o.Device.RmsNorm(o.T(3, 6), o.T(4, 6), o.T(1, 6), 0),
        ["RmsNorm, weight columns"] = o => o.Device.RmsNorm(o.T(4, 6), o.T(4, 6), o.T(1, 7), 0),
        ["RmsNorm, weight rows"] = o => o.Device.RmsNorm(o.T(4, 6), o.T(4, 6), o.T(4, 6), 0),
        ["NormAdd, columns"] = o => o.Device.NormAdd(o.T(4, 5), o.T(4, 6), o.T(1, 6), 0),
        ["NormAdd, weight columns"] = o => o.Device.NormAdd(o.T(4, 6), o.T(4, 6), o.T(1, 7), 0),
        ["NormAdd, weight rows"] = o => o.Device.NormAdd(o.T(4, 6), o.T(4, 6), o.T(4, 6), 0),
        ["AddNorm, output rows"] = o => o.Device.AddNorm(o.T(3, 6), o.T(4, 6), o.T(4, 6), null, o.T(1, 6), 0),
        ["AddNorm, residual columns"] = o => o.Device.AddNorm(o.T(4, 6), o.T(4, 5), o.T(4, 6), null, o.T(1, 6), 0),
        ["AddNorm, weight rows"] = o => o.Device.AddNorm(o.T(4, 6), o.T(4, 6), o.T(4, 6), null, o.T(4, 6), 0),
        ["AddNorm, weight columns of y"] = o => o.Device.AddNorm(o.T(4, 6), o.T(4, 6), o.T(4, 6), o.T(1, 7), o.T(1, 6), 0),
        ["Rope, a position beyond the table"] = o => o.Device.Rope(o.T(3, 16), 2, o.Indices(0, 4, 5), o.T(5, 8)),
        ["Rope, columns"] = o => o.Device.Rope(o.T(3, 17), 2, o.Indices(0, 1, 2), o.T(5, 8)),
        ["Rope, no heads"] = o => o.Device.Rope(o.T(3, 16), 0, o.Indices(0, 1, 2), o.T(5, 8)),
        ["Rope, odd head dimension"] = o => o.Device.Rope(o.T(3, 14), 2, o.Indices(0, 1, 2), o.T(5, 7)),
        ["Rope, positions"] = o => o.Device.Rope(o.T(3, 16), 2, o.Indices(0, 1), o.T(5, 8)),
        ["Attention, output"] = o => Attend(o, new(0, 4, 0, 0, 0, 0), outputRows: 3),
        ["Attention, value rows"] = o => Attend(o, new(0, 4, 0, 0, 0, 0), valueRows: 5),
        ["Attention, heads do not divide"] = o => Attend(o, new(0, 4, 0, 0, 0, 0), new(2, 3, 8, 1, 0, 0)),
        ["Attention, head dimension"] = o => Attend(o, new(0, 4, 0, 0, 0, 0), new(2, 1, 7, 1, 0, 0)),
        ["Attention, no queries"] = o => Attend(o, new(0, 0, 0, 0, 0, 0)),
        ["Attention, queries beyond the end"] = o => Attend(o, new(1, 4, 0, 0, 0, 0)),
        ["Attention, queries before the start"] = o => Attend(o, new(-1, 4, 0, 0, 0, 0)),
        ["Attention, negative position"] = o => Attend(o, new(0, 4, -1, 0, 0, 0)),
        ["Attention, own keys beyond the end"] = o => Attend(o, new(0, 4, 0, 0, 0, 1)),
        ["Attention, own keys before the start"] = o => Attend(o, new(0, 4, 0, 0, 0, -1)),
        ["Attention, later own keys beyond the end"] = o => Attend(o, new(0, 2, 3, 0, 0, 0)),
        ["Attention, prefix beyond the end"] = o => Attend(o, new(0, 2, 2, 2, 3, 0)),
        ["Attention, prefix before the start"] = o => Attend(o, new(0, 2, 2, -1, 2, 0)),
        ["Attention, negative prefix"] = o => Attend(o, new(0, 2, 2, 0, -1, 0)),
        ["Attention, positions that overflow"] = o => Attend(o, new(0, 4, int.MaxValue, 0, 0, 0)),
        ["Attention, key columns"] = o => o.Device.Attention(o.T(4, 16), o.T(4, 16), o.T(4, 9), o.T(4, 9), o.Segments(new AttentionSegment(0, 4, 0, 0, 0, 0)), TwoHeads),
        ["Attention, a query row in two segments"] = o => o.Device.Attention(o.T(4, 16), o.T(4, 16), o.T(4, 8), o.T(4, 8), o.Segments(new(2, 2, 0, 0, 0, 0), new(0, 3, 0, 0, 0, 0)), TwoHeads),
        ["CreateIndices of -1"] = o => o.Device.CreateIndices([0, -1]),
        ["Add, rows"] = o => o.Device.Add(o.T(3, 6), o.T(4, 6)),
        ["HeadNorm, heads"] = o => o.Device.HeadNorm(o.T(3, 6), 2, o.T(1, 4), 1e-6f),
        ["HeadNorm, no heads"] = o => o.Device.HeadNorm(o.T(3, 6), 0, o.T(1, 6), 1e-6f),
        ["HeadNorm, weight rows"] = o => o.Device.HeadNorm(o.T(3, 6), 2, o.T(2, 3), 1e-6f),
        ["GateMultiply, rows"] = o => o.Device.GateMultiply(o.T(4, 6), o.T(3, 6), o.T(4, 6), GateActivation.Gelu),
        ["GateMultiply, columns"] = o => o.Device.GateMultiply(o.T(4, 6), o.T(4, 6), o.T(4, 5), GateActivation.Silu),
        ["GatherRows, rows"] = o => o.Device.GatherRows(o.T(4, 6), o.T(9, 6), o.Indices(1, 2, 3)),
        ["GateMultiply, activation"] = o => o.Device.GateMultiply(o.T(4, 6), o.T(4, 6), o.T(4, 6), (GateActivation)9),
        ["GatherRows, a row beyond the input"] = o => o.Device.GatherRows(o.T(3, 6), o.T(9, 6), o.Indices(1, 2, 9)),
        ["GatherRows, columns"] = o => o.Device.GatherRows(o.T(3, 5), o.T(9, 6), o.Indices(1, 2, 3)),
        ["LdlReadout, bins"] = o => o.Device.LdlReadout(o.T(2, 20), o.T(2, 13), o.T(2, 3), 0),
        ["LdlReadout, output columns"] = o => o.Device.LdlReadout(o.T(2, 19), o.T(2, 12), o.T(2, 3), 0),
        ["LdlReadout, rows"] = o => o.Device.LdlReadout(o.T(2, 20), o.T(3, 12), o.T(2, 3), 0),
        ["Write, not whole rows"] = o => o.Device.Write(o.T(4, 6), 0, new float[7]),
        ["Write, beyond the end"] = o => o.Device.Write(o.T(4, 6), 3, new float[12]),
        ["Write, before the start"] = o => o.Device.Write(o.T(4, 6), -1, new float[6]),
        ["Write, a row number that overflows"] = o => o.Device.Write(o.T(4, 6), int.MaxValue, new float[6]),
        ["Read, too short"] = o => o.Device.Read(o.T(4, 6), new float[23]),
        ["Read, too long"] = o => o.Device.Read(o.T(4, 6), new float[25]),
    };

    public static TheoryData<string, string> Cases
    {
        get
        {
            TheoryData<string, string> data = [];
            foreach (string id in TestDevices.Ids)
                foreach (string call in Wrong.Keys)
                    data.Add(id, call);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Wrong_shapes_and_values_are_refused(string id, string call)
    {
        Operands operands = new(this, Open(id));
        Assert.ThrowsAny<ArgumentException>(() => Wrong[call](operands));
        operands.AllAreZero(call);
    }

    private static void Attend(Operands o, AttentionSegment segment, AttentionShape? shape = null, int outputRows = 4, int valueRows = 4) =>
        o.Device.Attention(o.T(outputRows, 16), o.T(4, 16), o.T(4, 8), o.T(valueRows, 8), o.Segments(segment), shape ?? TwoHeads);

    /// <summary>Makes operands that go with the test.</summary>
    private sealed class Operands(OpShapeTests test, IDevice device)
    {
        private readonly List<ITensor> _tensors = [];

        public IDevice Device => device;

        public ITensor T(int rows, int columns)
        {
            _tensors.Add(test.Empty(device, rows, columns));
            return _tensors[^1];
        }

        public IWeight Weight(int n, int k, WeightFormat format = WeightFormat.Fp32) => test.Own(device.CreateWeight(TestWeight.Random(new Random(1), n, k, format)));

        public IIndexList Indices(params int[] values) => test.Own(device.CreateIndices(values));

        public ISegmentList Segments(params AttentionSegment[] segments) => test.Own(device.CreateSegments(segments));

        public void AllAreZero(string call)
        {
            foreach (ITensor tensor in _tensors)
                Assert.All(Read(device, tensor).Data, v => Assert.True(v == 0, $"{call} was refused, but wrote {v}"));
        }
    }
}
