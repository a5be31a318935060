using System.Runtime.InteropServices;
using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using LdlVk.Runtime.Devices;
using LdlVk.Testing;
using Perfolizer.Horology;

namespace LdlVk.Bench;

/// <summary>
/// Linear on every device present: [64, 4608] times the transpose of [4096, 4608], the query projection of Gemma-2 27B. A call is
/// several products in a row and one wait, as a layer's are. In this process, so that no generated project is restored, and with few
/// repetitions, because a software driver takes tenths of a second to seconds for a product.
/// </summary>
[Config(typeof(FewRepetitions))]
public class LinearBenchmark
{
    private const int M = 64, N = 4096, K = 4608, Products = 4;

    private IDevice device = null!;
    private ITensor input = null!, output = null!, small = null!;
    private IWeight weight = null!;

    /// <summary>The devices that users can name.</summary>
    public static IEnumerable<string> Devices => TestDevices.Ids.Where(id => !id.EndsWith(" tile", StringComparison.Ordinal));

    [ParamsSource(nameof(Devices))]
    public string Device { get; set; } = "";

    [Params(WeightFormat.Fp32, WeightFormat.Fp16, WeightFormat.Int8)]
    public WeightFormat Format { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        device = TestDevices.Get(Device).Open();
        Console.WriteLine($"// {device.Info.Id}: {device.Info.Name}, {device.Info.Driver}");
        weight = device.CreateWeight(new RandomWeight(Format));
        (input, output, small) = (device.CreateTensor(M, K), device.CreateTensor(M, N), device.CreateTensor(1, 1));
        Random random = new(1);
        float[] values = new float[M * K];
        foreach (ref float value in values.AsSpan()) value = random.NextSingle() - 0.5f;
        device.Write(input, 0, values);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        foreach (IDisposable owned in (IDisposable[])[input, output, small, weight, device]) owned.Dispose();
    }

    [Benchmark(OperationsPerInvoke = Products)]
    public float Linear()
    {
        for (int i = 0; i < Products; i++) device.Linear(output, input, weight);
        float waited = 0;
        device.Read(small, new Span<float>(ref waited)); // waits for all that came before
        return waited;
    }

    /// <summary>Values as evenly spread as a quantised matrix's; what they are does not change the time.</summary>
    private sealed class RandomWeight(WeightFormat format) : IWeightSource
    {
        public string Name => "random weight";
        public int OutputFeatures => N;
        public int InputFeatures => K;
        public WeightFormat Format => format;
        public float Scale => 1;

        public void ReadRows(int firstRow, int rowCount, Span<byte> values, Span<Half> scales)
        {
            Random random = new(firstRow);
            scales.Fill((Half)0.001f);
            switch (format)
            {
                case WeightFormat.Fp32:
                    foreach (ref float value in MemoryMarshal.Cast<byte, float>(values)) value = random.NextSingle() - 0.5f;
                    break;
                case WeightFormat.Fp16:
                    foreach (ref Half value in MemoryMarshal.Cast<byte, Half>(values)) value = (Half)(random.NextSingle() - 0.5f);
                    break;
                default:
                    random.NextBytes(values);
                    break;
            }
        }
    }

    private sealed class FewRepetitions : ManualConfig
    {
        public FewRepetitions()
        {
            // BenchmarkDotNet's defaults call 16 times before they measure, and end a benchmark in process after 5 minutes:
            // SwiftShader needs 20 s a call.
            AddJob(Job.Default.WithToolchain(new InProcessEmitToolchain(TimeSpan.FromMinutes(20), logOutput: true))
                .WithUnrollFactor(1).WithMinInvokeCount(1).WithEvaluateOverhead(false)
                .WithIterationTime(TimeInterval.FromMilliseconds(300)).WithWarmupCount(1).WithIterationCount(5));
            AddColumn(new RateColumn("GFLOP/s", "10^9 · 2·M·N·K a second, from the mean", 2.0 * M * N * K));
        }
    }
}
