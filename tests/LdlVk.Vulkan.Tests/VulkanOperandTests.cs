using LdlVk.Cpu;
using LdlVk.Runtime.Devices;
using LdlVk.Testing;
using LdlVk.Vulkan.Device;
using LdlVk.Vulkan.Kernels;

namespace LdlVk.Vulkan.Tests;

/// <summary>Operands that are disposed, of another device, out of range or overlapping are refused before a kernel runs.</summary>
public sealed class VulkanOperandTests : VulkanTest
{
    private static readonly AttentionShape OneHead = new(1, 1, 8, 1, 0, 0);

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Use_after_disposal_is_refused(int driver)
    {
        VulkanDevice device = Open(driver);
        ITensor x = device.CreateTensor(2, 8), y = device.CreateTensor(2, 8), one = device.CreateTensor(1, 8), view = x.View(0, 1);
        IWeight weight = device.CreateWeight(new RowWeight(8, 8));
        IIndexList rows = device.CreateIndices([0, 1]);
        ISegmentList segments = device.CreateSegments([new(0, 2, 0, 0, 0, 0)]);
        foreach (IDisposable gone in new IDisposable[] { x, weight, rows, segments })
        {
            gone.Dispose();
            gone.Dispose();
        }

        Action[] uses =
        [
            () => device.Read(x, new float[16]), () => device.Read(view, new float[8]), () => device.Write(x, 0, new float[8]),
            () => device.Linear(y, x, weight), () => device.RmsNorm(y, x, one, 0), () => device.NormAdd(x, y, one, 0),
            () => device.GateMultiply(y, x, y, GateActivation.Gelu),
        ];
        foreach (Action use in uses) Assert.Throws<ObjectDisposedException>(use);
        using (IWeight int8 = device.CreateWeight(new RowWeight(8, 8, WeightFormat.Int8)))
        {
            long before = device.AllocatedBytes;
            Assert.Throws<ObjectDisposedException>(() => device.Int8Linear(y, x, int8));
            Assert.Equal(before, device.AllocatedBytes);
        }

        AssertWorks(device);

        device.Dispose();
        device.Dispose();
        Assert.Throws<ObjectDisposedException>(() => device.CreateTensor(1, 1));
        Assert.Throws<ObjectDisposedException>(() => device.CreateIndices([1]));
        Assert.Throws<ObjectDisposedException>(() => device.CreateSegments([]));
        Assert.Throws<ObjectDisposedException>(() => device.CreateWeight(new RowWeight(8, 8)));
        Assert.Throws<ObjectDisposedException>(() => device.Read(y, new float[16]));
        Assert.Throws<ObjectDisposedException>(() => device.Write(y, 0, new float[8]));
        Assert.Throws<ObjectDisposedException>(() => device.RmsNorm(y, y, one, 0));
        y.Dispose();
        one.Dispose();
        view.Dispose();
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Disposed_lists_are_refused(int driver)
    {
        using VulkanDevice device = Open(driver);
        using ITensor x = device.CreateTensor(2, 8), y = device.CreateTensor(2, 8);
        IIndexList rows = device.CreateIndices([0, 1]);
        ISegmentList segments = device.CreateSegments([new(0, 2, 0, 0, 0, 0)]);
        rows.Dispose();
        segments.Dispose();
        Assert.Throws<ObjectDisposedException>(() => device.GatherRows(y, x, rows));
        Assert.Throws<ObjectDisposedException>(() => device.Rope(y, 1, rows, x));
        Assert.Throws<ObjectDisposedException>(() => device.Attention(y, x, x, x, segments, OneHead));
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Operands_of_another_device_are_refused(int driver)
    {
        using VulkanDevice device = Open(driver), other = Open(driver);
        using IDevice cpu = CpuBackend.Open(CpuBackend.DeviceId);
        using ITensor x = device.CreateTensor(2, 8), y = device.CreateTensor(2, 8);
        foreach (IDevice foreign in new[] { other, cpu })
        {
            using ITensor t = foreign.CreateTensor(2, 8), one = foreign.CreateTensor(1, 8);
            using IWeight weight = foreign.CreateWeight(new RowWeight(8, 8));
            using IIndexList rows = foreign.CreateIndices([0, 1]);
            using ISegmentList segments = foreign.CreateSegments([new(0, 2, 0, 0, 0, 0)]);
            Action[] uses =
            [
                () => device.Read(t, new float[16]), () => device.Read(t.View(0, 1), new float[8]), () => device.Write(t, 0, new float[8]),
                () => device.Linear(y, x, weight), () => device.RmsNorm(y, x, one, 0), () => device.NormAdd(t, y, one, 0),
                () => device.GateMultiply(y, x, t, GateActivation.Gelu), () => device.GatherRows(y, x, rows), () => device.Rope(y, 1, rows, x),
                () => device.Attention(y, x, x, x, segments, OneHead),
            ];
            foreach (Action use in uses) Assert.Contains("another device", Assert.Throws<ArgumentException>(use).Message);
        }
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Rows_out_of_range_are_refused(int driver)
    {
        using VulkanDevice device = Open(driver);
        Assert.Contains("Index 1 is -1", Assert.Throws<ArgumentException>(() => device.CreateIndices([0, -1])).Message);
        using ITensor x = device.CreateTensor(3, 8), y = device.CreateTensor(3, 8);
        using IIndexList last = device.CreateIndices([2, 0, 2]), beyond = device.CreateIndices([0, 3, 1]), far = device.CreateIndices([0, 1, int.MaxValue]);
        device.GatherRows(y, x, last);
        device.Rope(y, 1, last, x);
        Assert.Contains("row number 1 is 3", Assert.Throws<ArgumentException>(() => device.GatherRows(y, x, beyond)).Message);
        Assert.Contains("row number 2 is 2147483647", Assert.Throws<ArgumentException>(() => device.GatherRows(y, x, far)).Message);
        Assert.Contains("row 1 is 3", Assert.Throws<ArgumentException>(() => device.Rope(y, 1, beyond, x)).Message);
        // The rows of a view end where the view does.
        Assert.Throws<ArgumentException>(() => device.GatherRows(y, x.View(0, 2), last));
        Assert.Equal(0, device.CreateTensor(0, 8).Rows);
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Overlapping_outputs_are_refused(int driver)
    {
        using VulkanDevice device = Open(driver);
        using ITensor t = device.CreateTensor(8, 8), other = device.CreateTensor(4, 8), one = device.CreateTensor(1, 8);
        using IWeight weight = device.CreateWeight(new RowWeight(8, 8));
        using IIndexList rows = device.CreateIndices([0, 1, 2, 3]);
        using ISegmentList segments = device.CreateSegments([new(0, 4, 0, 0, 0, 0)]);
        ITensor a = t.View(0, 4), b = t.View(3, 4), c = t.View(4, 4);
        Action[] uses =
        [
            () => device.Linear(a, b, weight), () => device.Linear(a, a, weight), () => device.RmsNorm(a, b, one, 0), () => device.NormAdd(b, a, one, 0),
            () => device.RmsNorm(a, other, t.View(2, 1), 0), () => device.GateMultiply(a, b, c, GateActivation.Gelu), () => device.GateMultiply(a, c, b, GateActivation.Gelu),
            () => device.GatherRows(a, b, rows), () => device.Rope(a, 1, rows, b), () => device.Attention(a, b, other, other, segments, OneHead),
            () => device.Attention(a, other, b, other, segments, OneHead), () => device.Attention(a, other, other, b, segments, OneHead),
        ];
        foreach (Action use in uses) Assert.Contains("overlap", Assert.Throws<ArgumentException>(use).Message.Replace("share memory", "overlap", StringComparison.Ordinal));
        device.Linear(a, c, weight);
        device.RmsNorm(a, a, one, 0);
        device.GateMultiply(a, a, c, GateActivation.Gelu);
        device.GatherRows(a, c, rows);
        device.Attention(a, c, c, c, segments, OneHead);
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Empty_operands_do_nothing(int driver)
    {
        using VulkanDevice device = Open(driver);
        using ITensor none = device.CreateTensor(0, 8), x = device.CreateTensor(2, 8), y = device.CreateTensor(2, 8), one = device.CreateTensor(1, 8);
        using IIndexList noRows = device.CreateIndices([]);
        using ISegmentList noSegments = device.CreateSegments([]);
        using IWeight weight = device.CreateWeight(new RowWeight(8, 8));
        device.Write(none, 0, []);
        device.Read(none, []);
        device.Linear(none, x.View(2, 0), weight);
        device.RmsNorm(none, none, one, 0);
        device.GateMultiply(none, none, none, GateActivation.Gelu);
        device.Rope(none, 1, noRows, x);
        device.GatherRows(none, x, noRows);
        device.Attention(y, x, x, x, noSegments, OneHead);
        Assert.All(Read(device, y), v => Assert.Equal(0, v));
        AssertWorks(device);
    }

    /// <summary>A count of queries near 2³¹ must not make the list of blocks endless.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Hostile_segments_are_refused(int driver)
    {
        using VulkanDevice device = Open(driver);
        using ITensor x = device.CreateTensor(2, 8), y = device.CreateTensor(2, 8);
        foreach (int count in new[] { int.MinValue, -1, 0, 3, 1 << 24, int.MaxValue })
        {
            Assert.Throws<ArgumentException>(() =>
            {
                using ISegmentList segments = device.CreateSegments([new(0, count, 0, 0, 0, 0)]);
                device.Attention(y, x, x, x, segments, OneHead);
            });
        }

        Assert.Equal(2 * 256, device.AllocatedBytes);
        AssertWorks(device);
    }

    [Fact]
    public void Push_constants_beyond_128_bytes_are_refused()
    {
        PushConstants push = default;
        for (int i = 0; i < 15; i++) push = push.Add(1UL);
        push = push.Add(1).Add(2);
        Assert.Equal(128, push.Written.Length);
        Assert.Equal([2, 0, 0, 0], push.Written[^4..].ToArray());
        bool refused = false;
        try
        {
            push.Add((byte)1);
        }
        catch (InvalidOperationException)
        {
            refused = true;
        }

        Assert.True(refused);
    }
}
