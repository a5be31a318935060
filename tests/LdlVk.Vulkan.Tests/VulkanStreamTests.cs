using LdlVk.Runtime.Devices;
using LdlVk.Testing;
using LdlVk.Vulkan.Device;
using LdlVk.Vulkan.Kernels;

namespace LdlVk.Vulkan.Tests;

/// <summary>Order and size: uploads between dispatches, and more work than one command buffer or one dispatch takes.</summary>
public sealed class VulkanStreamTests : VulkanTest
{
    /// <summary>Random writes of any size between gathers give the values of a model on the host: no staging chunk is reused too early.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Uploads_and_dispatches_keep_their_order(int driver)
    {
        using VulkanDevice device = Open(driver);
        WriteAndGatherAtRandom(device);
    }

    internal static void WriteAndGatherAtRandom(VulkanDevice device)
    {
        const int Rows = 700, Columns = 16384, Tensors = 3;
        var random = new Random(7);
        ITensor[] tensors = [.. Enumerable.Range(0, Tensors).Select(_ => device.CreateTensor(Rows, Columns))];
        // Each row holds one number.
        float[][] model = [.. Enumerable.Range(0, Tensors).Select(_ => new float[Rows])];
        float[] buffer = new float[Rows * Columns];
        for (int step = 1; step <= 60; step++)
        {
            int target = random.Next(Tensors), first = random.Next(Rows), count = random.Next(1, Math.Min(Rows - first, step % 10 == 0 ? Rows : 60) + 1);
            if (step % 3 == 0)
            {
                int source = (target + 1) % Tensors;
                int[] picked = [.. Enumerable.Range(0, count).Select(_ => random.Next(Rows))];
                using IIndexList rows = device.CreateIndices(picked);
                device.GatherRows(tensors[target].View(first, count), tensors[source], rows);
                for (int i = 0; i < count; i++) model[target][first + i] = model[source][picked[i]];
            }
            else
            {
                buffer.AsSpan(0, count * Columns).Fill(step);
                device.Write(tensors[target], first, buffer.AsSpan(0, count * Columns));
                model[target].AsSpan(first, count).Fill(step);
            }
        }

        for (int t = 0; t < Tensors; t++)
        {
            device.Read(tensors[t], buffer);
            for (int row = 0; row < Rows; row++)
                Assert.True(buffer.AsSpan(row * Columns, Columns).IndexOfAnyExcept(model[t][row]) < 0, $"tensor {t}, row {row}");
        }
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Large_weights_arrive_whole(int driver)
    {
        using VulkanDevice device = Open(driver);
        const int Features = 3001, Inputs = 16384;
        float[] x = [.. Enumerable.Range(0, Inputs).Select(i => (float)i)];
        using ITensor input = device.CreateTensor(1, Inputs), result = device.CreateTensor(1, Features);
        device.Write(input, 0, x);
        foreach (WeightFormat format in Enum.GetValues<WeightFormat>())
        {
            var source = new RowWeight(Features, Inputs, format);
            using IWeight weight = device.CreateWeight(source);
            device.Linear(result, input, weight);
            Assert.Equal([.. Enumerable.Range(0, Features).Select(n => RowWeight.ValueOf(n) * x[source.ColumnOf(n)])], Read(device, result));
        }
    }

    /// <summary>More commands than all command buffers together hold.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Many_commands_keep_their_order(int driver)
    {
        const int Count = 256 * 10;
        using VulkanDevice device = Open(driver);
        using ITensor x = device.CreateTensor(1, 32), one = device.CreateTensor(1, 32), unit = device.CreateTensor(1, 32);
        float[] ones = [.. Enumerable.Repeat(1f, 32)];
        device.Write(one, 0, ones);
        device.Write(unit, 0, ones);
        for (int i = 0; i < Count; i++) device.NormAdd(x, one, unit, 0);
        Assert.All(Read(device, x), v => Assert.Equal(Count, v));
    }

    /// <summary>An op that is split, because one dispatch would take too long, gives the same bits as in one dispatch.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Split_ops_give_the_same_bits(int driver)
    {
        foreach (LinearFamily? family in new LinearFamily?[] { null, LinearFamily.Tile })
        {
            using VulkanDevice device = Open(driver, linear: family);
            (float[] linear, float[] attention) = LinearAndAttention(device);
            device.Ops.Context.OperationsPerDispatch = 1;
            (float[] linearParts, float[] attentionParts) = LinearAndAttention(device);
            Assert.Equal(linear, linearParts);
            Assert.Equal(attention, attentionParts);
        }
    }

    /// <summary>More workgroups than one dispatch may have.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void More_than_65535_workgroups_all_run(int driver)
    {
        const int Count = 66_000;
        using VulkanDevice device = Open(driver);
        float[] rows = [.. Enumerable.Range(0, Count * 8).Select(i => (float)(i % 1009))];
        using (ITensor x = device.CreateTensor(Count, 8), y = device.CreateTensor(Count, 8))
        using (ISegmentList segments = device.CreateSegments([.. Enumerable.Range(0, Count).Select(i => new AttentionSegment(i, 1, 0, 0, 0, i))]))
        {
            device.Write(x, 0, rows);
            // A query with one key gets that key's value.
            device.Attention(y, x, x, x, segments, new AttentionShape(1, 1, 8, 1, 0, 0));
            Assert.Equal(rows, Read(device, y));
        }

        using (ITensor regression = device.CreateTensor(Count, 2), gating = device.CreateTensor(Count, 1), y = device.CreateTensor(Count, 6))
        {
            float[] gates = [.. Enumerable.Range(0, Count).Select(i => (float)i)];
            device.Write(gating, 0, gates);
            device.LdlReadout(y, regression, gating, 0);
            // Two bins of one half each: the score is half the gate.
            float[] read = Read(device, y);
            for (int i = 0; i < Count; i++) Assert.Equal([i / 2f, i / 2f, i / 2f, i, 0.5f, 0.5f], read.AsSpan(i * 6, 6).ToArray());
        }
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void More_features_than_one_dispatch_takes_are_computed(int driver)
    {
        const int Features = (65535 * 8) + 77, Inputs = 32;
        using VulkanDevice device = Open(driver);
        float[] x = [.. Enumerable.Range(1, 2 * Inputs).Select(i => (float)i)];
        using ITensor input = device.CreateTensor(2, Inputs), bias = device.CreateTensor(1, Features), result = device.CreateTensor(2, Features);
        device.Write(input, 0, x);
        device.Write(bias, 0, [.. Enumerable.Range(0, Features).Select(n => (float)(n % 97))]);
        foreach (WeightFormat format in new[] { WeightFormat.Fp16, WeightFormat.Int8 })
        {
            var source = new RowWeight(Features, Inputs, format);
            using IWeight weight = device.CreateWeight(source);
            device.Linear(result, input, weight, bias);
            float[] read = Read(device, result);
            for (int i = 0; i < read.Length; i++)
            {
                int row = i / Features, n = i % Features;
                Assert.True(read[i] == (RowWeight.ValueOf(n) * x[(row * Inputs) + source.ColumnOf(n)]) + (n % 97), $"row {row}, feature {n}");
            }
        }
    }

    private static (float[] Linear, float[] Attention) LinearAndAttention(VulkanDevice device)
    {
        const int Rows = 150, Columns = 64;
        var random = new Random(3);
        float[] values = [.. Enumerable.Range(0, Rows * Columns).Select(_ => random.NextSingle() - 0.5f)];
        using ITensor x = device.CreateTensor(Rows, Columns), y = device.CreateTensor(Rows, 200), z = device.CreateTensor(Rows, Columns);
        device.Write(x, 0, values);
        using IWeight weight = device.CreateWeight(new RowWeight(200, Columns, WeightFormat.Int8));
        device.Linear(y, x, weight);
        using ISegmentList segments = device.CreateSegments([new(0, 100, 0, 0, 0, 0), new(100, 50, 0, 0, 0, 100)]);
        device.Attention(z, x, x, x, segments, new AttentionShape(4, 4, 16, 0.25f, 50, 40));
        return (Read(device, y), Read(device, z));
    }
}
