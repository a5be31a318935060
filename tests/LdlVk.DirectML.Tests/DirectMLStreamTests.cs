using LdlVk.DirectML.Device;
using LdlVk.DirectML.Interop;
using LdlVk.Runtime.Devices;
using LdlVk.Testing;

namespace LdlVk.DirectML.Tests;

/// <summary>Weights that come by a queue of their own: what waits for what, what is held, and what comes of faults.</summary>
public sealed class DirectMLStreamTests
{
    private const int Columns = 64;

    /// <summary>Copies wait for the last use of their own weight, and only what reads it waits for them.</summary>
    [Trait("Wine", "Alone")]
    [Fact]
    public void Copies_and_ops_wait_for_their_own_weight_alone()
    {
        DirectMLTests.SkipWithoutDevice();
        using DirectMLDevice device = DirectMLTests.OpenFaulty(out FaultyDirect3D direct3D);
        using FaultyDirect3D restored = direct3D;
        using ITensor x = device.CreateTensor(2, Columns), y = device.CreateTensor(2, 8);
        using IWeight a = device.CreateWeight(new RowWeight(8, Columns)), b = device.CreateWeight(new RowWeight(8, Columns));
        using IHostWeight pinned = device.Pin(new RowWeight(8, Columns));
        // From here on, each use is a submission, and no fence is passed that might be waited for.
        device.Use(b, x, y);
        device.Use(a, x, y);
        (nint computes, _, (nint Fence, ulong Value) usedA) = direct3D.Submissions[^1];
        device.Use(b, x, y);
        direct3D.Stalled = true;
        foreach (IWeightSource source in new IWeightSource[] { pinned, new RowWeight(8, Columns) })
        {
            (nint queue, (nint, ulong) awaited, (nint, ulong) copied) = Assert.Single(direct3D.Submissions.During(() => device.Fill(a, source)));
            Assert.NotEqual(computes, queue);
            // The second fill comes after the first on its own queue: what that waited for need not be waited for again.
            Assert.Equal(source == pinned ? usedA : default, awaited);
            Assert.Equal(default, Assert.Single(direct3D.Submissions.During(() => device.Use(b, x, y))).Awaited);
            if (source == pinned) continue;
            // What is before the product, a copy of its few rows, need not wait.
            Assert.Equal([default, copied], direct3D.Submissions.During(() => device.Use(a, x, y)).Select(s => s.Awaited));
            Assert.Equal(default, Assert.Single(direct3D.Submissions.During(() => device.Use(a, x, y))).Awaited);
        }

        // A use that is recorded but not handed over is, before its weight is filled.
        device.Linear(y, x, a);
        var both = direct3D.Submissions.During(() => device.Fill(a, pinned));
        Assert.Equal(2, both.Count);
        Assert.Equal((computes, both[0].Signaled), (both[0].Queue, both[1].Awaited));

        // What was recorded before a use of a does not wait for a.
        device.Linear(y, x, b);
        var apart = direct3D.Submissions.During(() => device.Use(a, x, y));
        Assert.Equal([default, both[1].Signaled], apart.Select(s => s.Awaited));
        direct3D.Stalled = false;
    }

    /// <summary>What is written anew in the list that reads it changes its state before the copy, which so comes after what reads it.</summary>
    [Trait("Wine", "Alone")]
    [Fact]
    public void An_upload_comes_after_what_reads_what_it_replaces()
    {
        DirectMLTests.SkipWithoutDevice();
        using DirectMLDevice device = DirectMLTests.OpenFaulty(out FaultyDirect3D direct3D);
        using FaultyDirect3D restored = direct3D;
        using ITensor x = device.CreateTensor(2, Columns), y = device.CreateTensor(2, 8);
        using IWeight weight = device.CreateWeight(new RowWeight(8, Columns));
        // The weight is there, so that from here on nothing is handed over between.
        device.Linear(y, x, weight);
        device.Read(y, new float[16]);
        device.Write(x, 0, new float[2 * Columns]);
        nint written = direct3D.Recorded[^1].Buffer;
        device.Linear(y, x, weight);
        int before = direct3D.Recorded.Count;
        device.Write(x, 0, new float[2 * Columns]);
        Assert.Equal([("transition", written), ("copy", written)], direct3D.Recorded[before..]);
    }

    /// <summary>Filling a layer's weights from pinned ones waits for nothing on the host, however much is before it.</summary>
    [Trait("Wine", "Alone")]
    [Fact]
    public void The_host_does_not_wait_for_fills_from_pinned_weights()
    {
        DirectMLTests.SkipWithoutDevice();
        using DirectMLDevice device = DirectMLTests.OpenFaulty(out FaultyDirect3D direct3D);
        using FaultyDirect3D restored = direct3D;
        var source = new RowWeight(700, 16384);
        using IHostWeight pinned = device.Pin(source);
        using ITensor x = device.CreateTensor(1, 16384), y = device.CreateTensor(1, 700);
        using IWeight weight = device.CreateWeight(source.Format, 700, 16384);
        float[] values = [.. Enumerable.Range(0, 16384).Select(i => (float)i)];
        device.Write(x, 0, values);
        device.Fill(weight, pinned);
        device.Linear(y, x, weight);
        (int waits, int submissions) = (direct3D.HostWaits, direct3D.Submissions.Count);
        direct3D.Stalled = true;
        for (int i = 0; i < 21; i++) device.Fill(weight, pinned);
        direct3D.Stalled = false;
        Assert.Equal(waits, direct3D.HostWaits);
        // Each of the 44 MiB as one copy, and before the first what was to be computed with the weight.
        Assert.Equal(submissions + 22, direct3D.Submissions.Count);
        device.Linear(y, x, weight);
        Assert.Equal([.. Enumerable.Range(0, 700).Select(n => RowWeight.ValueOf(n) * values[source.ColumnOf(n)])], DeviceProbe.Read(device, y));
    }

    /// <summary>Where the device may have no more of the host's memory, weights are pinned in plain memory, and filled through chunks.</summary>
    [Trait("Wine", "Alone")]
    [Fact]
    public void Where_pinned_memory_is_refused_it_is_plain()
    {
        DirectMLTests.SkipWithoutDevice();
        int living = ComObject.Living;
        DirectMLDevice device = DirectMLTests.OpenFaulty(out FaultyDirect3D direct3D);
        using FaultyDirect3D restored = direct3D;
        var source = new RowWeight(700, Columns);
        direct3D.Fault = (name, _) => name == "CreateCommittedResource" ? HResult.OutOfMemory : 0;
        IHostWeight pinned = device.Pin(source);
        direct3D.Fault = (_, _) => 0;
        Assert.Equal(WeightLayout.MatrixBytes(WeightFormat.Fp32, 700, Columns), device.PinnedBytes);
        using ITensor x = device.CreateTensor(1, Columns), y = device.CreateTensor(1, 700);
        using IWeight weight = device.CreateWeight(pinned);
        float[] values = [.. Enumerable.Range(0, Columns).Select(i => (float)i)];
        device.Write(x, 0, values);
        device.Linear(y, x, weight);
        Assert.Equal([.. Enumerable.Range(0, 700).Select(n => RowWeight.ValueOf(n) * values[source.ColumnOf(n)])], DeviceProbe.Read(device, y));
        device.Dispose();
        pinned.Dispose();
        Assert.Equal((0L, living), (device.PinnedBytes, ComObject.Living));
    }

    /// <summary>
    /// Weights made, filled from pinned and plain sources, used and disposed in any order, some while the device is at them, and the device
    /// closed with some alive: nothing is left.
    /// </summary>
    [Trait("Wine", "Alone")]
    [Fact]
    public void Fills_leave_nothing_behind()
    {
        DirectMLTests.SkipWithoutDevice();
        int living = ComObject.Living;
        var device = (DirectMLDevice)DirectMLBackend.Open(0);
        ITensor x = device.CreateTensor(2, Columns), y = device.CreateTensor(2, 300);
        (int Objects, long Held) after = default;
        for (int i = 0; i < 200; i++)
        {
            using IHostWeight pinned = device.Pin(new RowWeight(300, Columns));
            using IWeight weight = device.CreateWeight(i % 2 == 0 ? pinned : new RowWeight(300, Columns));
            if (i % 3 != 0) device.Linear(y, x, weight);
            if (i is not (99 or 199)) continue;
            // After the first the device has passed all that was given up before this round; the second frees it.
            for (int reads = 0; reads < 2; reads++) device.Read(y, new float[600]);
            if (i == 99) after = (ComObject.Living, device.HeldBytes);
            Assert.Equal(after.Held, device.HeldBytes);
            // Chunks are made as they are needed, eight at most.
            Assert.InRange(ComObject.Living, after.Objects, after.Objects + 8);
        }

        IHostWeight outlives = device.Pin(new RowWeight(300, Columns));
        IWeight last = device.CreateWeight(outlives);
        Assert.Equal(WeightLayout.MatrixBytes(WeightFormat.Fp32, 300, Columns), device.PinnedBytes);
        device.Dispose();
        outlives.Dispose();
        foreach (IDisposable one in new IDisposable[] { last, x, y }) one.Dispose();
        Assert.Equal((0L, living), (device.PinnedBytes, ComObject.Living));
    }

    /// <summary>
    /// A tensor that goes to host memory and back, again and again, want of host memory between, and the device closed with some alive: the
    /// values stay, and nothing is left.
    /// </summary>
    [Trait("Wine", "Alone")]
    [Fact]
    public void Saved_tensors_leave_nothing_behind()
    {
        DirectMLTests.SkipWithoutDevice();
        int living = ComObject.Living;
        DirectMLDevice device = DirectMLTests.OpenFaulty(out FaultyDirect3D direct3D);
        using FaultyDirect3D restored = direct3D;
        float[] values = [.. Enumerable.Range(0, 300 * Columns).Select(i => (float)i)];
        ITensor tensor = device.CreateTensor(300, Columns);
        device.Write(tensor, 0, values);
        (int Objects, long Held) after = default;
        for (int i = 0; i < 60; i++)
        {
            using (IHostTensor saved = device.Save(tensor))
            {
                Assert.Equal(values.Length * sizeof(float), device.PinnedBytes);
                tensor.Dispose();
                tensor = device.Restore(saved);
            }

            if (i is not (29 or 59)) continue;
            // After the first the device has passed all that was given up before this round; the second frees it.
            for (int reads = 0; reads < 2; reads++) Assert.Equal(values, DeviceProbe.Read(device, tensor));
            if (i == 29) after = (ComObject.Living, device.HeldBytes);
            Assert.Equal(after.Held, device.HeldBytes);
            // Chunks are made as they are needed, eight at most.
            Assert.InRange(ComObject.Living, after.Objects, after.Objects + 8);
            direct3D.Fault = (name, _) => name == "CreateCommittedResource" ? HResult.OutOfMemory : 0;
            Assert.Equal(DeviceFailure.OutOfMemory, Assert.Throws<DeviceException>(() => device.Save(tensor)).Failure);
            direct3D.Fault = (_, _) => 0;
            Assert.Equal(0, device.PinnedBytes);
        }

        IHostTensor last = device.Save(tensor);
        device.Dispose();
        last.Dispose();
        tensor.Dispose();
        Assert.Equal((0L, living), (device.PinnedBytes, ComObject.Living));
    }
}
