using System.Text.Json;

namespace LdlVk.Benchmarking.Tests;

[Trait("Duration", "Long")]
public class BenchSessionTests
{
    private static readonly BenchShape Tiny = BenchShape.Parse("hidden=64,layers=2,heads=2,kv-heads=1,head-dim=32,ffn=96,vocab=100");

    [Fact]
    public void A_scenario_is_timed_and_profiled()
    {
        BenchRequest request = Request(Tiny);
        using BenchSession session = BenchSession.Open(request, request.MakePlan(), null, TestContext.Current.CancellationToken);
        Measurement measured = session.Measure(request.Scenarios[1], 3, TestContext.Current.CancellationToken);
        Assert.Equal(measured.Seconds.Order(), measured.Seconds);
        Assert.Equal((3, measured.Seconds[1]), (measured.Seconds.Count, measured.Median));
        Assert.True(session.Context.Yardsticks is { ProductRate: > 0, CopyRate: > 0 });
        Assert.True(session.Memory is { DeviceBytes: > 0, ProcessBytes: > 0 });
        Assert.Equal(measured.Operations, measured.Ops.Sum(o => o.Operations));

        using MemoryStream stream = new();
        using (Utf8JsonWriter json = new(stream))
        {
            json.WriteStartObject();
            BenchJson.Write(json, session.Context, measured, session.Memory);
            json.WriteEndObject();
        }

        using JsonDocument line = JsonDocument.Parse(stream.ToArray());
        Assert.Equal(("cpu", "fp16", 21), (Text("device"), Text("weights"), line.RootElement.GetProperty("tokens").GetInt32()));

        string? Text(string name) => line.RootElement.GetProperty(name).GetString();
    }

    [Fact]
    public void A_model_too_large_is_planned_as_streamed_and_says_what_it_needs()
    {
        BenchRequest request = Request(BenchShape.Parse("gemma2-27b").WithLayers(1000));
        Assert.True(request.MakePlan().Streams);
        Assert.Matches(@"^1000 layers of gemma2-27b with fp16 weights and 21 rows need .* GB, and cpu \(.*\) has .*B free\.$", request.DescribeMemory());
    }

    [Fact]
    public void An_op_that_takes_too_long_is_skipped_with_a_reason()
    {
        Assert.Equal("  Linear q_proj                              2048 × 64 × 64           left out", OpTable.Line(new SkippedOp("Linear q_proj", "2048 × 64 × 64", "left out")));
        Assert.Contains("2.00 ms", OpTable.Line(new OpRow("Linear", "q_proj", "1 × 1 × 1", 1, 2e-3, 1e9, 1e6)), StringComparison.Ordinal);
    }

    private static BenchRequest Request(BenchShape shape) => new(ComputeDevices.Candidates("cpu")[0], shape, WeightFormat.Fp16,
        [Scenario.OneText(5, shape.Config.VocabularySize), Scenario.Packed(3, 7, shape.Config.VocabularySize)]);
}
