using LdlVk.Runtime.Devices;
using LdlVk.SelfTest;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Conformance;

/// <summary>GatedLinear: values, and the same bits as the three ops that it stands for.</summary>
public sealed class GatedLinearTests : ConformanceTest
{
    private static readonly (int M, int N, int K)[] Shapes = [(1, 1, 1), (3, 5, 33), (17, 70, 96), (33, 129, 160), (70, 40, 320), (2, 300, 64)];

    [Theory]
    [MemberData(nameof(DevicesAndFormats))]
    public void Matches_the_reference_and_its_parts(string id, WeightFormat format)
    {
        IDevice device = Open(id);
        foreach ((int m, int n, int k) in Shapes)
        {
            Random random = new((m * 131) + n + k);
            TestWeight gate = TestWeight.Random(random, n, k, format, scale: 0.25f), up = TestWeight.Random(random, n, k, format, scale: 2);
            Matrix x = Matrix.Random(random, m, k);
            IWeight g = Own(device.CreateWeight(gate)), u = Own(device.CreateWeight(up));
            ITensor input = UploadAmongNaN(device, x), output = Empty(device, m, n), scratch = Empty(device, m, n);
            foreach (GateActivation activation in Enum.GetValues<GateActivation>())
            {
                device.GatedLinear(output, scratch, input, g, u, activation);
                Matrix got = Read(device, output);
                (double[] wanted, double[] bounds) = Reference64.GatedLinear(x, gate, up, activation, TestDevices.Get(id).OperandRounding(format));
                Check.Close($"GatedLinear on {id}, M={m} N={n} K={k} {format} {activation}", got, wanted, bounds);

                device.Linear(output, input, g);
                device.Linear(scratch, input, u);
                device.GateMultiply(output, output, scratch, activation);
                Check.SameBits($"GatedLinear on {id}, M={m} N={n} K={k} {format} {activation}, by its parts", Read(device, output), got);
            }
        }
    }

    /// <summary>A tensor that was an operand and is written again is an operand anew.</summary>
    [Theory]
    [MemberData(nameof(DevicesAndFormats))]
    public void Sees_what_was_written_since(string id, WeightFormat format)
    {
        IDevice device = Open(id);
        Random random = new(4);
        IWeight weight = Own(device.CreateWeight(TestWeight.Random(random, 20, 64, format)));
        Matrix first = Matrix.Random(random, 6, 64), second = Matrix.Random(random, 6, 64);
        ITensor input = Upload(device, first), output = Empty(device, 6, 20), fresh = Upload(device, second), wanted = Empty(device, 6, 20);
        device.Linear(output, input, weight);
        device.Linear(wanted, fresh, weight);

        device.Write(input, 0, second.Data);
        device.Linear(output, input, weight);
        Check.SameBits($"Linear on {id}, {format}, after Write", Read(device, output), Read(device, wanted));

        device.Write(input, 0, first.Data);
        device.GatherRows(input, fresh, Indices(device, 0, 1, 2, 3, 4, 5));
        device.Linear(output, input, weight);
        Check.SameBits($"Linear on {id}, {format}, after GatherRows", Read(device, output), Read(device, wanted));
        device.Linear(output.View(2, 3), input.View(2, 3), weight);
        Check.SameBits($"Linear on {id}, {format}, of a view", Read(device, output), Read(device, wanted));
    }
}
