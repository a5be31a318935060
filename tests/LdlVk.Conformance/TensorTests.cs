using LdlVk.Runtime.Devices;
using LdlVk.SelfTest;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Conformance;

/// <summary>Tensors, weights, copies: what lies below the ops.</summary>
public sealed class TensorTests : ConformanceTest
{
    [Theory]
    [MemberData(nameof(Devices))]
    public void Tensors_are_zero_when_created(string id)
    {
        IDevice device = Open(id);
        foreach ((int rows, int columns) in new[] { (1, 1), (3, 33), (700, 513) })
        {
            // Dirty memory first, so that a recycled allocation shows.
            using (ITensor dirty = device.CreateTensor(rows, columns)) device.Write(dirty, 0, Matrix.Filled(rows, columns, 5).Data);
            using ITensor tensor = device.CreateTensor(rows, columns);
            Assert.All(Read(device, tensor).Data, v => Assert.Equal(0, v));
        }
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Write_and_read_copy_bits(string id)
    {
        IDevice device = Open(id);
        foreach ((int rows, int columns) in new[] { (1, 1), (2, 31), (5, 64), (129, 77), (3, 5000) })
        {
            Matrix x = Matrix.Random(new Random(rows), rows, columns);
            (x[0, 0], x[rows - 1, columns - 1]) = (float.NaN, float.NegativeInfinity);
            Check.SameBits($"Write and Read on {id}, [{rows}, {columns}]", Read(device, Upload(device, x)), x);
        }
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Write_of_some_rows_leaves_the_others(string id)
    {
        IDevice device = Open(id);
        Matrix x = Matrix.Random(new Random(1), 9, 45), part = Matrix.Random(new Random(2), 3, 45);
        ITensor tensor = Upload(device, x);
        device.Write(tensor, 4, part.Data);
        device.Write(tensor, 9, []);
        for (int r = 0; r < 3; r++) part.Row(r).CopyTo(x.Row(4 + r));
        Check.SameBits($"Write of rows 4 to 6 on {id}", Read(device, tensor), x);
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Views_share_memory(string id)
    {
        IDevice device = Open(id);
        Matrix x = Matrix.Random(new Random(1), 10, 35);
        ITensor tensor = Upload(device, x);
        ITensor view = tensor.View(2, 6).View(1, 4);
        Assert.Equal((4, 35), (view.Rows, view.Columns));
        Check.SameBits($"view of a view on {id}", Read(device, view), x.Pick(3, 4, 5, 6));

        Matrix row = Matrix.Filled(1, 35, 9);
        device.Write(view, 2, row.Data);
        row.Row(0).CopyTo(x.Row(5));
        Check.SameBits($"Write through a view on {id}", Read(device, tensor), x);

        view.Dispose();
        Check.SameBits($"a tensor after its view is disposed on {id}", Read(device, tensor), x);
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Views_outside_the_tensor_are_refused(string id)
    {
        ITensor tensor = Empty(Open(id), 5, 3);
        foreach ((int first, int count) in new[] { (-1, 2), (0, 6), (5, 1), (3, 3), (2, -1), (int.MaxValue, 1), (1, int.MaxValue) })
            Assert.Throws<ArgumentOutOfRangeException>(() => tensor.View(first, count));
        Assert.Equal(0, tensor.View(5, 0).Rows);
    }

    [Theory]
    [MemberData(nameof(DevicesAndFormats))]
    public void Allocated_bytes_counts_what_is_held(string id, WeightFormat format)
    {
        IDevice device = Open(id);
        ITensor tensor = device.CreateTensor(40, 100);
        long tensorBytes = device.AllocatedBytes;
        Assert.True(tensorBytes >= 40 * 100 * sizeof(float), $"{id} counts {tensorBytes} bytes for a tensor [40, 100]");
        _ = tensor.View(3, 20);
        Assert.Equal(tensorBytes, device.AllocatedBytes);

        IWeight weight = device.CreateWeight(TestWeight.Random(new Random(1), 60, 100, format));
        Assert.Equal((60, 100, format), (weight.OutputFeatures, weight.InputFeatures, weight.Format));
        long weightBytes = device.AllocatedBytes - tensorBytes, least = WeightLayout.MatrixBytes(format, 60, 100);
        Assert.True(weightBytes >= least, $"{id} counts {weightBytes} bytes for a weight of {least}");

        weight.Dispose();
        Assert.Equal(tensorBytes, device.AllocatedBytes);
        tensor.Dispose();
        Assert.Equal(0, device.AllocatedBytes);
        tensor.Dispose();
        weight.Dispose();
        Assert.Equal(0, device.AllocatedBytes);
    }

    /// <summary>The contract lets tensors, weights and lists go right after the last call that names them, before it has run.</summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void Operands_may_be_disposed_right_after_the_call(string id)
    {
        IDevice device = Open(id);
        Random random = new(1);
        Matrix x = Matrix.Random(random, 30, 200);
        TestWeight weight = TestWeight.Random(random, 90, 200, WeightFormat.Fp32);
        ITensor output = Empty(device, 30, 90), gathered = Empty(device, 30, 90);
        for (int round = 0; round < 4; round++)
        {
            using (ITensor input = device.CreateTensor(30, 200))
            using (IWeight uploaded = device.CreateWeight(weight))
            {
                device.Write(input, 0, x.Data);
                device.Linear(output, input, uploaded);
            }
            using (IIndexList rows = device.CreateIndices([.. Enumerable.Range(0, 30)])) device.GatherRows(gathered, output, rows);
            // What was freed is taken again and overwritten.
            using ITensor reused = device.CreateTensor(30, 200);
            device.Write(reused, 0, Matrix.Filled(30, 200, float.NaN).Data);
        }
        (double[] wanted, double[] bounds) = Reference64.Linear(x, weight, null, Activation.None, TestDevices.Get(id).OperandRounding(weight.Format));
        Check.Close($"Linear on {id} with operands disposed after the call", Read(device, gathered), wanted, bounds);
    }

    /// <summary>Ops take effect in the order of the calls, each reading what the one before wrote.</summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void Ops_take_effect_in_order(string id)
    {
        IDevice device = Open(id);
        ITensor x = Upload(device, Matrix.Filled(4, 40, 1)), one = Upload(device, Matrix.Filled(4, 40, 1)), unit = Upload(device, Matrix.Filled(1, 40, 1));
        // RmsNorm(1) = 1 with ε = 0 and w = 1: each NormAdd adds exactly one.
        for (int i = 0; i < 50; i++) device.NormAdd(x, one, unit, 0);
        Assert.All(Read(device, x).Data, v => Assert.Equal(51, v));
        device.Write(x, 1, Matrix.Filled(1, 40, 3).Data);
        device.NormAdd(x, one, unit, 0);
        Matrix got = Read(device, x);
        Assert.Equal((52, 4, 52), ((int)got[0, 0], (int)got[1, 0], (int)got[2, 39]));
    }

    [Theory]
    [MemberData(nameof(DevicesAndFormats))]
    public void Upload_reports_every_byte_once(string id, WeightFormat format)
    {
        IDevice device = Open(id);
        Sum progress = new();
        using IWeight weight = device.CreateWeight(TestWeight.Random(new Random(1), 333, 100, format), progress);
        Assert.Equal(WeightLayout.MatrixBytes(format, 333, 100), progress.Total);
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Canceled_upload_frees_its_memory(string id)
    {
        IDevice device = Open(id);
        TestWeight weight = TestWeight.Random(new Random(1), 100, 100, WeightFormat.Fp16);
        Assert.ThrowsAny<OperationCanceledException>(() => device.CreateWeight(weight, null, new CancellationToken(canceled: true)));
        Assert.Equal(0, device.AllocatedBytes);
    }

    /// <summary>A checkpoint that fails while it is read: its own error comes out, not a wrapper of it.</summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void Failing_source_frees_its_memory(string id)
    {
        IDevice device = Open(id);
        CheckpointException e = Assert.Throws<CheckpointException>(() => device.CreateWeight(new DamagedWeight()));
        Assert.Equal("row 70 is damaged", e.Message);
        Assert.Equal(0, device.AllocatedBytes);
    }

    private sealed class Sum : IProgress<long>
    {
        public long Total { get; private set; }

        public void Report(long value) => Total += value;
    }

    private sealed class DamagedWeight : IWeightSource
    {
        public string Name => "damaged weight";

        public int OutputFeatures => 100;

        public int InputFeatures => 64;

        public WeightFormat Format => WeightFormat.Int8;

        public float Scale => 1;

        public void ReadRows(int firstRow, int rowCount, Span<byte> values, Span<Half> scales)
        {
            // One row alone: the pieces of a matrix are read side by side, and whichever fails first would have its say.
            if (firstRow <= 70 && 70 < firstRow + rowCount) throw new CheckpointException("row 70 is damaged");
        }
    }
}
