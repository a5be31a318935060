using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;
using Xunit;

namespace LdlVk.Runtime.Tests.Model;

/// <summary>
/// How many rows of the 27B's feed-forward network are computed at a time, for its product Down: 4,608 features in tiles of 128 by 128, in a
/// batch of 4,096 rows.
/// </summary>
public sealed class FeedForwardRowsTests
{
    private const long GiB = 1L << 30;

    private static readonly BackboneConfig Config = new()
    {
        Architecture = LdlVk.Runtime.Model.Architecture.Gemma2,
        HiddenSize = 4608, Layers = 46, Heads = 32, KeyValueHeads = 16, HeadDimension = 128, IntermediateSize = 36864, VocabularySize = 256000,
        MaxPositions = 8192, RmsNormEpsilon = 1e-6f, RopeTheta = 10000, QueryPreAttentionScalar = 144, AttentionSoftcap = 50, SlidingWindow = 4096,
    };

    [Theory]
    [InlineData("H100", 132, 3 * 132, 4 * 288, 9 * 132)]
    [InlineData("GeForce RTX 4090", 128, 3 * 128, 4 * 288, 9 * 128)]
    [InlineData("GeForce RTX 5090", 170, 2 * 170, 4 * 288, 7 * 170)]
    public void Rows_of_a_whole_batch_fill_large_cards(string name, int cores, int placesBefore, int workgroups, int places)
    {
        // Places are the cores of all waves of workgroups; before: in each of 4 chunks of 1,024 rows.
        Assert.Equal(workgroups / (4.0 * placesBefore), FeedForwardRows.Fill(Config, 4096, 1024, cores), tolerance: 1e-9);
        int rows = FeedForwardRows.For(Card(80 * GiB, cores), Config, 4096, affordable: int.MaxValue);
        double fill = FeedForwardRows.Fill(Config, 4096, rows, cores);
        Assert.Equal(workgroups / (double)places, fill, tolerance: 1e-9);
        Assert.True(fill >= 0.87, $"{name}: {rows} rows at a time fill {fill:P0}");
    }

    [Theory]
    [InlineData(48, 1024)] // 288 workgroups are 6 full waves: more rows are no faster
    [InlineData(28, 2048)] // 11 waves for each 1,024, 21 for each 2,048, 42 for 4,096
    [InlineData(8, 1024)]
    [InlineData(0, 4096)] // as on 128 cores
    public void Rows_are_no_more_than_fill_the_cores(int cores, int rows) =>
        Assert.Equal(rows, FeedForwardRows.For(Card(80 * GiB, cores), Config, 4096, affordable: int.MaxValue));

    [Fact]
    public void Rows_are_within_memory_and_what_a_driver_allocates_at_once()
    {
        Assert.Equal(1024, FeedForwardRows.For(Card(80 * GiB, 132), Config, 4096, affordable: 1500));
        Assert.Equal(2048, FeedForwardRows.For(Card(80 * GiB, 132), Config, 4096, affordable: 3000));
        // 8,192 rows of gate would be above 1 GiB.
        Assert.Equal(4096, FeedForwardRows.For(Card(80 * GiB, 132), Config, 100_000, affordable: int.MaxValue));
        Assert.Equal(1024, FeedForwardRows.For(Card(80 * GiB, 132), Config, 700, affordable: int.MaxValue));
        Assert.Equal(256, FeedForwardRows.For(Card(80 * GiB, 132) with { Kind = DeviceKind.Software }, Config, 4096, affordable: int.MaxValue));
    }

    [Fact]
    public void A_plan_gives_them_memory_that_it_leaves_and_counts_it()
    {
        StagePlan large = Plan(80 * GiB), small = Plan(30 * GiB);
        Assert.Equal(4096, large.Layers.FeedForwardRows);
        Assert.Equal(0, small.Layers.FeedForwardRows);
        Assert.Equal(large.Layers with { FeedForwardRows = 0 }, small.Layers);
        // Gate and up in fp32, and gate once more as the operand of Down, in fp16 with scales.
        Assert.Equal(3072L * 36864 * (4 + 4 + 3), large.ActivationBytes - small.ActivationBytes);
        Assert.True(large.Bytes <= large.Budget);
    }

    [Fact]
    public void Products_are_tuned_for_the_rows_that_they_have()
    {
        StagePlan small = Plan(30 * GiB);
        var plan = new ExecutionPlan(WeightFormat.Int8, 4096, 4096, [small], []);
        Assert.Equal([4096, 4096, 4096, 1024, 1024], LayerProducts.Of(Config, plan, small, [4096]).Select(p => p.Rows));
    }

    private static StagePlan Plan(long bytes) => Planner.Make(new PlanRequest(
        Config, ModelMemory.OfBackbone(Config, WeightFormat.Int8), WeightFormat.Int8,
        [Card(bytes, 132) with { MatrixOperandBytes = 3 }]) { BatchTokens = 4096, Speed = _ => null }).Stages.Single();

    private static DeviceInfo Card(long bytes, int cores) =>
        new("vulkan:0", "Card", DeviceKind.DiscreteGpu, "driver 1", bytes, bytes, []) { Cores = cores };
}
