using CsCheck;
using LdlVk.Runtime.Devices;
using LdlVk.Testing;
using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Device;

namespace LdlVk.Vulkan.Tests;

/// <summary>
/// Where barriers are set. A software driver runs commands in order, so a missing barrier does not show in results. Instead the decisions are
/// compared with a simple model that tracks each byte, and are checked for every operand of every op.
/// </summary>
public sealed class VulkanHazardTests : VulkanTest
{
    /// <summary>There is a barrier exactly where a command and one since the last barrier share a byte that one of them writes.</summary>
    [Fact]
    public void Barriers_are_where_a_simple_model_needs_them()
    {
        Gen<MemoryRange> range = Gen.Select(Gen.ULong[0, 60], Gen.ULong[0, 8]).Select(r => new MemoryRange(r.Item1, r.Item2));
        Gen.Select(range.Array[0, 3], range.Array[0, 2]).Array[0, 40].Sample(commands =>
        {
            var hazards = new Hazards();
            bool[] read = new bool[70], written = new bool[70];
            foreach ((MemoryRange[] reads, MemoryRange[] writes) in commands)
            {
                bool needed = reads.Any(r => Any(written, r)) || writes.Any(w => Any(written, w) || Any(read, w));
                Assert.Equal(needed, hazards.NeedsBarrier(reads, writes));
                if (needed) (read, written) = (new bool[70], new bool[70]);
                foreach (MemoryRange r in reads) Mark(read, r);
                foreach (MemoryRange w in writes) Mark(written, w);
            }
        });

        static bool Any(bool[] bytes, MemoryRange r) => bytes.AsSpan((int)r.Address, (int)r.Bytes).Contains(true);
        static void Mark(bool[] bytes, MemoryRange r) => bytes.AsSpan((int)r.Address, (int)r.Bytes).Fill(true);
    }

    /// <summary>Any number of independent commands get a barrier now and then, so that the lists stay short.</summary>
    [Fact]
    public void The_lists_of_ranges_are_bounded()
    {
        var hazards = new Hazards();
        int barriers = Enumerable.Range(0, 10_000).Count(i => hazards.NeedsBarrier([], [new MemoryRange((ulong)i, 1)]));
        Assert.InRange(barriers, 1, 200);
    }

    /// <summary>One op with its operands.</summary>
    private sealed record Case(string Name, Action Run, ITensor[] Reads, ITensor Writes, Func<(Action Run, IDisposable Made)>? WithNewList = null);

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Every_operand_of_every_op_is_tracked(int driver)
    {
        using VulkanDevice device = Open(driver);
        const int Rows = 4, Columns = 32;
        ITensor x = device.CreateTensor(Rows, Columns), y = device.CreateTensor(Rows, Columns), z = device.CreateTensor(Rows, Columns), output = device.CreateTensor(Rows, Columns);
        ITensor vector = device.CreateTensor(1, Columns), table = device.CreateTensor(Rows, Columns), readout = device.CreateTensor(Rows, 1 + 2 + 16 + 32), gates = device.CreateTensor(Rows, 16);
        IWeight weight = device.CreateWeight(new RowWeight(Columns, Columns));
        IIndexList rows = device.CreateIndices([3, 2, 1, 0]);
        AttentionSegment[] segment = [new(0, Rows, 0, 0, 0, 0)];
        ISegmentList segments = device.CreateSegments(segment);
        var shape = new AttentionShape(1, 1, Columns, 1, 0, 0);
        Case[] cases =
        [
            new("Linear", () => device.Linear(output, x, weight, vector), [x, vector], output,
                // Filled on the device: host writes into mapped memory need no barrier.
                () => device.CreateWeight(new RandomWeightSource("weight", Columns, Columns, WeightFormat.Fp32, seed: 1)) is var w ? (() => device.Linear(output, x, w), w) : default),
            new("RmsNorm", () => device.RmsNorm(output, x, vector, 0), [x, vector], output),
            new("NormAdd", () => device.NormAdd(output, x, vector, 0), [x, vector, output], output),
            new("AddNorm", () => device.AddNorm(output, y, x, vector, vector, 0), [x, vector, y, output], output),
            new("Rope", () => device.Rope(output, 1, rows, table), [table, output], output,
                () => device.CreateIndices([0, 1, 2, 3]) is var i ? (() => device.Rope(output, 1, i, table), i) : default),
            new("Attention", () => device.Attention(output, x, y, z, segments, shape), [x, y, z], output,
                () => device.CreateSegments(segment) is var s ? (() => device.Attention(output, x, y, z, s, shape), s) : default),
            new("GateMultiply", () => device.GateMultiply(output, x, y, GateActivation.Gelu), [x, y], output),
            new("GatherRows", () => device.GatherRows(output, x, rows), [x], output,
                () => device.CreateIndices([0, 1, 2, 3]) is var i ? (() => device.GatherRows(output, x, i), i) : default),
            new("LdlReadout", () => device.LdlReadout(readout, x, gates, 0), [x, gates], readout),
            new("Read", () => device.Read(x, new float[Rows * Columns]), [x], z),
        ];
        foreach (Case c in cases)
        {
            foreach (ITensor operand in c.Reads)
            {
                Settle();
                Write(operand);
                Assert.True(Barriers(c.Run) > 0, $"{c.Name}: none between writing an operand and the op");
                Assert.True(Barriers(() => Write(operand)) > 0, $"{c.Name}: none between the op and writing an operand");
            }

            if (c.WithNewList is { } make)
            {
                Settle();
                (Action run, IDisposable made) = make();
                using (made) Assert.True(Barriers(run) > 0, $"{c.Name}: none between uploading a list or weight and the op");
            }

            // Its output is the host's.
            if (c.Name == "Read") continue;
            Settle();
            c.Run();
            Assert.True(Barriers(() => Write(c.Writes)) > 0, $"{c.Name}: none between the op and the next that touches its output");
        }

        long Barriers(Action run)
        {
            long before = device.Resources.Stream.Barriers;
            run();
            return device.Resources.Stream.Barriers - before;
        }

        void Write(ITensor tensor) => device.Write(tensor, 0, new float[tensor.Rows * tensor.Columns]);

        // A barrier, followed by nothing that a case touches.
        void Settle()
        {
            using ITensor other = device.CreateTensor(1, 32);
            Write(other);
            device.Read(other, new float[32]);
        }
    }

    /// <summary>The products of a layer run side by side: five ops need two barriers.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Independent_ops_have_no_barrier_between_them(int driver)
    {
        using VulkanDevice device = Open(driver);
        ITensor x = device.CreateTensor(40, 32), q = device.CreateTensor(40, 64), k = device.CreateTensor(40, 32), gate = device.CreateTensor(40, 64), up = device.CreateTensor(40, 64);
        using IWeight wide = device.CreateWeight(new RowWeight(64, 32)), narrow = device.CreateWeight(new RowWeight(32, 32));
        device.Linear(q, x, wide);
        // The parts of a split op are independent too.
        device.Ops.Context.OperationsPerDispatch = 1;
        long before = device.Resources.Stream.Barriers;
        device.Linear(k, x, narrow);
        device.Linear(gate, x, wide);
        device.Linear(up.View(0, 20), x.View(0, 20), wide);
        device.Linear(up.View(20, 20), x.View(20, 20), wide);
        Assert.Equal(before, device.Resources.Stream.Barriers);
        device.GateMultiply(gate, gate, up, GateActivation.Gelu);
        Assert.Equal(before + 1, device.Resources.Stream.Barriers);
        device.GateMultiply(gate, gate, up, GateActivation.Gelu);
        Assert.Equal(before + 2, device.Resources.Stream.Barriers);
    }
}
