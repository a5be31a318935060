using LdlVk.Runtime.Devices;
using LdlVk.SelfTest;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Conformance;

/// <summary>A row of Linear has the same bits alone, in any batch, in any order, and at any place in memory.</summary>
public sealed class LinearInvarianceTests : ConformanceTest
{
    /// <summary>Weights [N, K] that reach the panels and the chunks of K of every kernel.</summary>
    public static TheoryData<string, WeightFormat, int, int> Cases
    {
        get
        {
            TheoryData<string, WeightFormat, int, int> data = [];
            foreach (ITheoryDataRow row in DevicesAndFormats)
                foreach ((int n, int k) in new[] { (50, 100), (7, 1100), (420, 560) })
                    data.Add((string)row.GetData()[0]!, (WeightFormat)row.GetData()[1]!, n, k);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Rows_do_not_depend_on_the_batch(string id, WeightFormat format, int n, int k)
    {
        const int Rows = 133;
        IDevice device = Open(id);
        Random random = new(n);
        IWeight weight = Own(device.CreateWeight(TestWeight.Random(random, n, k, format, scale: 0.5f)));
        ITensor bias = Upload(device, Matrix.Random(random, 1, n));
        Matrix x = Matrix.Random(random, Rows, k);
        Activation activation = random.Next(2) == 0 ? Activation.LeakyRelu : Activation.Selu;
        Matrix all = Run(Upload(device, x));

        // Sizes that fall into other tiles, and tails of tiles, than the whole batch.
        foreach (int count in new[] { 1, 2, 3, 4, 5, 15, 16, 17, 31, 64, 129 })
        {
            int[] picked = [.. Enumerable.Range(0, count).Select(_ => random.Next(Rows))];
            Check.SameBits($"Linear on {id}, {format}, N={n} K={k}: {count} rows of {Rows}", Run(UploadAmongNaN(device, x.Pick(picked))), all.Pick(picked));
        }
        int[] reversed = [.. Enumerable.Range(0, Rows).Reverse()];
        Check.SameBits($"Linear on {id}, {format}, N={n} K={k}: rows in reverse", Run(UploadAmongNaN(device, x.Pick(reversed), 5)), all.Pick(reversed));

        Matrix Run(ITensor input)
        {
            ITensor output = Empty(device, input.Rows + 1, n).View(1, input.Rows);
            device.Linear(output, input, weight, bias, activation);
            return Read(device, output);
        }
    }

    /// <summary>One row thousands of elements long gives the same bits each time: no race decides an order.</summary>
    [Theory]
    [MemberData(nameof(DevicesAndFormats))]
    public void Repeated_runs_agree(string id, WeightFormat format)
    {
        IDevice device = Open(id);
        Random random = new(3);
        IWeight weight = Own(device.CreateWeight(TestWeight.Random(random, 150, 2100, format)));
        ITensor input = Upload(device, Matrix.Random(random, 20, 2100)), output = Empty(device, 20, 150);
        device.Linear(output, input, weight);
        Matrix first = Read(device, output);
        for (int i = 0; i < 5; i++)
        {
            device.Linear(output, input, weight);
            Check.SameBits($"Linear on {id}, {format}, repeated", Read(device, output), first);
        }
    }
}
