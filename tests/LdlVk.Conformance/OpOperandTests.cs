using LdlVk.Runtime.Devices;
using LdlVk.SelfTest;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Conformance;

/// <summary>
/// What operands an op takes: of its own device, not disposed, and outputs that overlap inputs only where the contract says so. Every rule is
/// tried with every operand of every op on every device.
/// </summary>
public sealed class OpOperandTests : ConformanceTest
{
    private const int Rows = 4, Columns = 32;

    private static readonly AttentionShape OneHead = new(1, 1, Columns, 0.2f, 0, 0);

    /// <summary>
    /// The ops whose tensors can overlap, all with <see cref="Columns"/> columns. (The output of LdlReadout is wider than its inputs, and views
    /// have all columns of their tensor: these cannot overlap.)
    /// </summary>
    private static readonly Op[] Ops =
    [
        new("Linear", [Rows, Rows, 1], 1, [], [o => o.Weight(WeightFormat.Fp16)], (d, t, o) => d.Linear(t[0], t[1], (IWeight)o[0], t[2])),
        new("Int8Linear", [Rows, Rows, 1], 1, [], [o => o.Weight(WeightFormat.Int8)], (d, t, o) => d.Int8Linear(t[0], t[1], (IWeight)o[0], t[2])),
        new("GatedLinear", [Rows, Rows, Rows], 2, [], [o => o.Weight(WeightFormat.Fp16), o => o.Weight(WeightFormat.Fp16)],
            (d, t, o) => d.GatedLinear(t[0], t[1], t[2], (IWeight)o[0], (IWeight)o[1], GateActivation.Gelu)),
        new("RmsNorm", [Rows, Rows, 1], 1, [1], [], (d, t, _) => d.RmsNorm(t[0], t[1], t[2], 1e-6f)),
        new("NormAdd", [Rows, Rows, 1], 1, [1], [], (d, t, _) => d.NormAdd(t[0], t[1], t[2], 1e-6f)),
        new("AddNorm", [Rows, Rows, Rows, 1, 1], 2, [2], [], (d, t, _) => d.AddNorm(t[0], t[1], t[2], t[3], t[4], 1e-6f)),
        new("Add", [Rows, Rows], 1, [], [], (d, t, _) => d.Add(t[0], t[1])),
        new("HeadNorm", [Rows, 1], 1, [], [], (d, t, _) => d.HeadNorm(t[0], 1, t[1], 1e-6f)),
        new("Rope", [Rows, Rows], 1, [], [o => o.Indices(0, 3, 1, 2)], (d, t, o) => d.Rope(t[0], 1, (IIndexList)o[0], t[1])),
        new("Attention", [Rows, Rows, Rows, Rows], 1, [], [o => o.Segments(new AttentionSegment(0, Rows, 0, 0, 0, 0))],
            (d, t, o) => d.Attention(t[0], t[1], t[2], t[3], (ISegmentList)o[0], OneHead)),
        new("GateMultiply", [Rows, Rows, Rows], 1, [1, 2], [], (d, t, _) => d.GateMultiply(t[0], t[1], t[2], GateActivation.Silu)),
        new("GatherRows", [Rows, Rows], 1, [], [o => o.Indices(2, 0, 1, 3)], (d, t, o) => d.GatherRows(t[0], t[1], (IIndexList)o[0])),
    ];

    public static TheoryData<string, string> DevicesAndOps
    {
        get
        {
            TheoryData<string, string> data = [];
            foreach (string id in TestDevices.Ids)
                foreach (Op op in Ops) data.Add(id, op.Name);
            return data;
        }
    }

    /// <summary>
    /// Every way in which an output can overlap an input is refused and writes nothing, but for those in place that the contract allows, which
    /// give the same bits as tensors apart; so do views of one tensor that only touch.
    /// </summary>
    [Theory]
    [MemberData(nameof(DevicesAndOps))]
    public void Outputs_overlap_inputs_only_where_the_contract_says_so(string id, string name)
    {
        IDevice device = Open(id);
        Op op = Ops.Single(o => o.Name == name);
        IDisposable[] others = [.. op.Others.Select(make => make(new Maker(this, device)))];
        Matrix[] values = [.. op.TensorRows.Select((rows, i) => Matrix.Random(new Random(i), rows, Columns))];
        for (int output = 0; output < op.Outputs; output++)
            for (int input = output + 1; input < op.TensorRows.Length; input++)
                for (int shift = -op.TensorRows[input]; shift <= Rows; shift++)
                {
                    bool apart = shift == -op.TensorRows[input] || shift == Rows, inPlace = shift == 0 && output == 0 && op.InPlace.Contains(input);
                    string what = $"{name} on {id} with operand {input} {shift} rows behind operand {output}";
                    Matrix[] given = [.. values];
                    if (inPlace) given[input] = given[output];
                    ITensor whole = Empty(device, 3 * Rows, Columns);
                    ITensor[] tensors = [.. given.Select((v, i) => i == output ? whole.View(Rows, Rows) : i == input ? whole.View(Rows + shift, v.Rows) : Upload(device, v))];
                    device.Write(tensors[input], 0, given[input].Data);
                    device.Write(tensors[output], 0, given[output].Data);
                    Matrix before = Read(device, whole);
                    if (!apart && !inPlace)
                    {
                        Assert.Contains(name, Assert.Throws<ArgumentException>(() => op.Call(device, tensors, others)).Message);
                        Check.SameBits($"{what}, refused", Read(device, whole), before);
                        continue;
                    }
                    ITensor[] separate = [.. given.Select(v => Upload(device, v))];
                    op.Call(device, separate, others);
                    op.Call(device, tensors, others);
                    Check.SameBits(what, Read(device, tensors[0]), Read(device, separate[0]));
                }
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Operands_of_another_device_are_refused(string id)
    {
        IDevice device = Open(id);
        using IDevice other = TestDevices.Get(id).Open();
        EachOperandReplaced(device, op => op.Make(new Maker(this, device)), op => op.Make(new Maker(this, other)), (name, call) =>
        {
            ArgumentException e = Assert.Throws<ArgumentException>(call);
            Assert.Contains(name, e.Message);
            Assert.Contains("another device", e.Message);
        });
        ITensor foreign = Empty(other, 2, 8);
        Assert.Throws<ArgumentException>(() => device.Read(foreign, new float[16]));
        Assert.Throws<ArgumentException>(() => device.BeginRead(foreign));
        Assert.Throws<ArgumentException>(() => device.Write(foreign, 0, new float[16]));
        ITensor output = Empty(device, 2, 20), regression = Empty(device, 2, 12), gating = Empty(device, 2, 3);
        Assert.Throws<ArgumentException>(() => device.LdlReadout(Empty(other, 2, 20), regression, gating, 0));
        Assert.Throws<ArgumentException>(() => device.LdlReadout(output, Empty(other, 2, 12), gating, 0));
        Assert.Throws<ArgumentException>(() => device.LdlReadout(output, regression, Empty(other, 2, 3), 0));
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Disposed_operands_are_refused(string id)
    {
        IDevice device = Open(id);
        Maker maker = new(this, device);
        EachOperandReplaced(device, op => op.Make(maker), op =>
        {
            IDisposable[] gone = op.Make(maker);
            foreach (IDisposable one in gone) one.Dispose();
            return gone;
        }, (_, call) => Assert.Throws<ObjectDisposedException>(call));

        ITensor tensor = device.CreateTensor(3, 8), view = tensor.View(1, 1), output = Empty(device, 1, 8);
        tensor.Dispose();
        foreach (ITensor gone in new[] { tensor, view })
        {
            Assert.Throws<ObjectDisposedException>(() => device.Read(gone, new float[gone.Rows * 8]));
            Assert.Throws<ObjectDisposedException>(() => device.BeginRead(gone));
            Assert.Throws<ObjectDisposedException>(() => device.Write(gone, 0, new float[8]));
        }
        Assert.Throws<ObjectDisposedException>(() => device.Add(output, view));
        ITensor regression = Empty(device, 2, 12), gating = Empty(device, 2, 3), readout = device.CreateTensor(2, 20);
        readout.Dispose();
        Assert.Throws<ObjectDisposedException>(() => device.LdlReadout(readout, regression, gating, 0));
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void A_closed_device_refuses_every_op(string id)
    {
        IDevice device = TestDevices.Get(id).Open();
        List<(Op Op, IDisposable[] Operands)> made = [.. Ops.Select(op => (op, op.Make(new Maker(this, device))))];
        device.Dispose();
        foreach ((Op op, IDisposable[] operands) in made) Assert.Throws<ObjectDisposedException>(() => op.Call(device, operands));
        Assert.Throws<ObjectDisposedException>(() => device.Read((ITensor)made[0].Operands[0], new float[Rows * Columns]));
        Assert.Throws<ObjectDisposedException>(() => device.CreateTensor(1, 1));
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Row_numbers_and_positions_out_of_range_are_named(string id)
    {
        IDevice device = Open(id);
        ITensor x = Empty(device, 3, 16);
        Assert.Contains("row number 1 is 3", Assert.Throws<ArgumentException>(() => device.GatherRows(Empty(device, 2, 16), x, Indices(device, 0, 3))).Message);
        Assert.Contains("row 2 is 5", Assert.Throws<ArgumentException>(() => device.Rope(x, 2, Indices(device, 0, 4, 5), Empty(device, 5, 8))).Message);
    }

    /// <summary>Calls every op with each of its operands in turn replaced by a bad one.</summary>
    private static void EachOperandReplaced(IDevice device, Func<Op, IDisposable[]> good, Func<Op, IDisposable[]> bad, Action<string, Action> refused)
    {
        foreach (Op op in Ops)
        {
            IDisposable[] sound = good(op), broken = bad(op);
            for (int i = 0; i < sound.Length; i++)
            {
                IDisposable[] operands = [.. sound];
                operands[i] = broken[i];
                refused(op.Name, () => op.Call(device, operands));
            }
        }
    }

    /// <summary>An op: the rows of its tensors, outputs first, and what else it takes.</summary>
    /// <param name="Name">The method of <see cref="IDevice"/>.</param>
    /// <param name="TensorRows">Rows of each tensor.</param>
    /// <param name="Outputs">How many of them it writes.</param>
    /// <param name="InPlace">Tensors that may be the first output.</param>
    /// <param name="Others">Weights and lists.</param>
    /// <param name="Run">Calls it.</param>
    private sealed record Op(string Name, int[] TensorRows, int Outputs, int[] InPlace, Func<Maker, IDisposable>[] Others, Action<IDevice, ITensor[], IDisposable[]> Run)
    {
        /// <summary>Operands that fit: the tensors, then the others.</summary>
        public IDisposable[] Make(Maker maker) => [.. TensorRows.Select(maker.Tensor), .. Others.Select(make => make(maker))];

        public void Call(IDevice device, IDisposable[] operands) =>
            Run(device, [.. operands.Take(TensorRows.Length).Cast<ITensor>()], operands[TensorRows.Length..]);

        public void Call(IDevice device, ITensor[] tensors, IDisposable[] others) => Run(device, tensors, others);
    }

    /// <summary>Makes operands that go with the test.</summary>
    private sealed class Maker(OpOperandTests test, IDevice device)
    {
        public IDisposable Tensor(int rows) => test.Own(device.CreateTensor(rows, Columns));

        public IDisposable Weight(WeightFormat format) => test.Own(device.CreateWeight(TestWeight.Random(new Random(1), Columns, Columns, format)));

        public IDisposable Indices(params int[] values) => test.Own(device.CreateIndices(values));

        public IDisposable Segments(params AttentionSegment[] segments) => test.Own(device.CreateSegments(segments));
    }
}
