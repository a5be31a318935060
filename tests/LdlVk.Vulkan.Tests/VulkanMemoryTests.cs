using CsCheck;
using LdlVk.Runtime.Devices;
using LdlVk.Testing;
using LdlVk.Vulkan.Device;
using LdlVk.Vulkan.Memory;

namespace LdlVk.Vulkan.Tests;

/// <summary>The free ranges of a memory block, compared with a simple model, and sizes that are refused.</summary>
public sealed unsafe class VulkanMemoryTests : VulkanTest
{
    private const int Units = 64;

    /// <summary>The model is a map of which units are taken.</summary>
    [Fact]
    public void Free_ranges_follow_a_simple_model() =>
        Gen.Select(Gen.Bool, Gen.Int[1, 20], Gen.Int[0, 1000]).Array[0, 200].Sample(steps =>
        {
            var block = new MemoryBlock(default, default, 0, Units, Units, null);
            bool[] taken = new bool[Units];
            List<(ulong Offset, ulong Size)> held = [];
            foreach ((bool take, int size, int pick) in steps)
            {
                if (take)
                {
                    ulong? offset = block.Take((ulong)size);
                    Assert.Equal(LongestRun(taken) >= size, offset is not null);
                    if (offset is not { } at) continue;
                    for (ulong i = at; i < at + (ulong)size; i++)
                    {
                        Assert.False(taken[i], $"unit {i} was handed out twice");
                        taken[i] = true;
                    }

                    held.Add((at, (ulong)size));
                }
                else if (held.Count > 0)
                {
                    (ulong offset, ulong length) = held[pick % held.Count];
                    held.RemoveAt(pick % held.Count);
                    block.Give(offset, length);
                    taken.AsSpan((int)offset, (int)length).Clear();
                }

                Assert.Equal(held.Count == 0, block.IsUnused);
            }

            foreach ((ulong offset, ulong length) in held) block.Give(offset, length);
            Assert.True(block.IsUnused);
            Assert.Equal(0UL, block.Take(Units));
        });

    [Fact]
    public void The_smallest_range_that_fits_is_taken()
    {
        var block = new MemoryBlock(default, default, 0, 30, 30, null);
        foreach (ulong size in new ulong[] { 10, 1, 4, 1, 6, 8 }) block.Take(size);
        block.Give(0, 10);
        block.Give(11, 4);
        block.Give(16, 6);
        Assert.Equal(16UL, block.Take(5));
        Assert.Equal(11UL, block.Take(4));
        Assert.Equal(0UL, block.Take(10));
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void More_than_one_allocation_may_hold_is_refused(int driver)
    {
        using VulkanDevice device = Open(driver);
        Assert.SkipUnless(device.Info.Kind == DeviceKind.Software, "a GPU may have room for it");
        // 4 GiB; llvmpipe allows 2 in one piece and SwiftShader 1.
        DeviceException e = Assert.Throws<DeviceException>(() => device.CreateTensor(1 << 18, 4096));
        Assert.Contains("4096 MiB are needed in one piece", e.Message);
        Assert.Equal(0, device.AllocatedBytes);
        AssertWorks(device);
    }

    /// <summary>Kernels index with 31 bits, and a row must fit a staging chunk: larger sizes are refused before memory is allocated.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void More_than_kernels_can_address_is_refused(int driver)
    {
        using VulkanDevice device = Open(driver);
        Assert.Contains("8 GiB", Assert.Throws<DeviceException>(() => device.CreateTensor(1 << 19, 4096)).Message);
        Assert.Contains("8 GiB", Assert.Throws<DeviceException>(() => device.CreateTensor(int.MaxValue, 1 << 20)).Message);
        Assert.Contains("one piece", Assert.Throws<DeviceException>(() => device.CreateTensor(1, int.MaxValue)).Message);
        Assert.Contains("one piece", Assert.Throws<DeviceException>(() => device.CreateTensor(1, 3 << 20)).Message);
        foreach (WeightFormat format in Enum.GetValues<WeightFormat>())
        {
            Assert.Contains("row weight", Assert.Throws<DeviceException>(() => device.CreateWeight(new RowWeight(int.MaxValue, 1 << 16, format))).Message);
            Assert.Contains("one piece", Assert.Throws<DeviceException>(() => device.CreateWeight(new RowWeight(1, int.MaxValue, format))).Message);
        }

        Assert.Throws<ArgumentException>(() => device.CreateWeight(new RowWeight(0, 8)));
        Assert.Throws<ArgumentException>(() => device.CreateWeight(new RowWeight(8, -1)));
        Assert.Equal(0, device.AllocatedBytes);
        AssertWorks(device);
    }

    /// <summary>The widest allowed rows work.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void The_widest_rows_are_accepted(int driver)
    {
        const int Columns = 2 << 20;
        using VulkanDevice device = Open(driver);
        using ITensor x = device.CreateTensor(3, Columns), y = device.CreateTensor(3, 2);
        float[] values = [.. Enumerable.Range(0, 3 * Columns).Select(i => (float)(i % 4099))];
        device.Write(x, 0, values);
        Assert.True(values.AsSpan().SequenceEqual(Read(device, x)));
        var source = new RowWeight(2, Columns);
        using IWeight weight = device.CreateWeight(source);
        device.Linear(y, x, weight);
        float[] want = [.. Enumerable.Range(0, 6).Select(i => RowWeight.ValueOf(i % 2) * values[(i / 2 * Columns) + source.ColumnOf(i % 2)])];
        Assert.Equal(want, Read(device, y));
    }

    private static int LongestRun(bool[] taken)
    {
        int longest = 0, run = 0;
        foreach (bool t in taken) longest = Math.Max(longest, run = t ? 0 : run + 1);
        return longest;
    }
}
