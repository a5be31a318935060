using LdlVk.Runtime.Model;

namespace LdlVk.Benchmarking.Tests;

/// <summary>Predictions against examples that were computed by hand.</summary>
public class PredictionTests
{
    /// <summary>Round figures: 6 TFLOP/s of fp16 products (9 with fp16 sums), 80 GB/s of memory, 8 GB/s of the bus.</summary>
    private static readonly Card Round = new("Round", Fp32: 1, Halves: 10, Bytes: 20, Bandwidth: 100, Memory: 1, Bus: 10, Cores: 10, Clock: 1, Source: "") { HalfSums = 15 };

    /// <summary>A layer has 15,728,640 weights, 30 MiB in fp16.</summary>
    private static readonly BackboneConfig Config = BenchShape.Parse("hidden=1024,layers=2,heads=8,kv-heads=4,head-dim=128,ffn=4096,vocab=100").Config;

    [Fact]
    public void One_row_takes_as_long_as_the_weights_are_read()
    {
        // A layer: 31,457,280 bytes of weights and 90,112 of rows at 80 GB/s, 14 passes over 1024 floats, 14 kernels of 5 µs, attention to
        // one key. The last layer: 2 · 1,054,720 bytes for keys and values, and its kernels.
        const double Layer = 394.3424e-6 + 0.7168e-6 + 70e-6 + (4096 / 3e12), Last = 26.368e-6 + 70e-6;
        Assert.Equal(Layer + Last, Of(Round).Seconds(1, 1), 1e-12);
    }

    [Fact]
    public void Many_rows_take_as_long_as_their_arithmetic()
    {
        // 10,000 rows: 2 · 10,000 · 15,728,640 operations at 6 TFLOP/s; texts of 100 tokens see 50.5 keys on average.
        const double Layer = 0.0524288 + (10000.0 * 4 * 8 * 128 * 50.5 / 3e12) + 7.168e-3 + 70e-6, Last = (2 * 2.0e4 * 512 * 1024 / 6e12) + 70e-6;
        Assert.Equal(Layer + Last, Of(Round).Seconds(10000, 100), 1e-9);
    }

    [Fact]
    public void A_window_limits_what_attention_sees()
    {
        BackboneConfig narrow = Config with { SlidingWindow = 20 };
        double all = Of(Round).Seconds(10000, 100), some = new Prediction(Round, narrow, WeightFormat.Fp16, ComputeMode.Auto).Seconds(10000, 100);
        Assert.Equal(10000.0 * 4 * 8 * 128 * (50.5 - 20) / 3e12, all - some, 1e-9);
    }

    [Theory]
    [InlineData(10, WeightFormat.Fp16, ComputeMode.Auto, 10, 6e12)] // 60 % of the units
    [InlineData(10, WeightFormat.Int8, ComputeMode.Int8, 10, 12e12)]
    [InlineData(10, WeightFormat.Fp16, ComputeMode.Fp16x, 10, 9e12)] // 60 % of the units with fp16 sums
    [InlineData(10, WeightFormat.Fp16, ComputeMode.Fp16x, 1, 128e9 / 0.046875)]
    [InlineData(10, WeightFormat.Fp16, ComputeMode.Auto, 1, 128e9 / 0.046875)] // shared memory: 32 + 64 halves for 2 · 32 · 64 operations
    [InlineData(10, WeightFormat.Int4, ComputeMode.Int8, 1, 128e9 / 0.0234375)]
    [InlineData(10, WeightFormat.Fp32, ComputeMode.Auto, 10, 0.5e12)] // no matrix units for fp32
    [InlineData(0, WeightFormat.Fp16, ComputeMode.Auto, 10, 0.5e12)] // 50 % of ordinary arithmetic
    [InlineData(0, WeightFormat.Fp16, ComputeMode.Auto, 1, 128e9)] // 4 + 4 floats for 2 · 4 · 4 operations
    [InlineData(0, WeightFormat.Int8, ComputeMode.Int8, 1, 512e9)]
    public void The_rate_of_products_is_the_least_of_units_and_shared_memory(double halves, WeightFormat weights, ComputeMode compute, int cores, double rate) =>
        Assert.Equal(rate, new Prediction(Round with { Halves = halves, Cores = cores }, Config, weights, compute).ProductRate, rate * 1e-9);

    [Fact]
    public void Layers_without_room_come_over_the_bus()
    {
        // 0.2 GiB: 92 % of 214,748,365 less 5,734,400 for 100 rows is room for 6.098 layers, two of which take turns.
        BackboneConfig config = Config with { Layers = 10 };
        Prediction small = new(Round with { Memory = 0.2 }, config, WeightFormat.Fp16, ComputeMode.Auto);
        Assert.Equal((31457280, 6), (small.LayerBytes, small.StreamedLayers(100)));
        Scenario scenario = Scenario.OneText(100, 100);
        Assert.Equal(6 * 31457280 / 8e9, small.Seconds(scenario), 1e-9);
        Assert.Equal(100 / (6 * 31457280 / 8e9), small.TokensPerSecond(scenario), 1e-6);
        Prediction large = new(Round, config, WeightFormat.Fp16, ComputeMode.Auto);
        Assert.Equal(0, large.StreamedLayers(100));
        Assert.Equal(large.Seconds(100, 100), large.Seconds(scenario));
        Assert.Equal(10, new Prediction(Round with { Memory = 0.05 }, config, WeightFormat.Fp16, ComputeMode.Auto).StreamedLayers(100));
    }

    [Theory]
    [InlineData("NVIDIA GeForce RTX 4090", "RTX 4090")]
    [InlineData("NVIDIA GeForce RTX 4090 Laptop GPU", null)]
    [InlineData("NVIDIA GeForce RTX 2060 SUPER", null)]
    [InlineData("NVIDIA A100-SXM4-80GB", "A100")]
    [InlineData("NVIDIA H100 80GB HBM3", "H100")]
    [InlineData("AMD Radeon RX 7900 XTX (RADV NAVI31)", "RX 7900 XTX")]
    [InlineData("AMD Radeon RX 6800 XT (RADV NAVI21)", null)]
    [InlineData("AMD Radeon RX 6800", "RX 6800")]
    [InlineData("Intel(R) Arc(tm) A770 Graphics (DG2)", "Arc A770")]
    [InlineData("Intel(R) Iris(R) Xe Graphics (TGL GT2)", "Iris Xe")]
    [InlineData("Apple M1 Max", "Apple M1 Max")]
    [InlineData("llvmpipe (LLVM 15.0.6, 256 bits)", null)]
    public void A_drivers_name_is_a_card(string name, string? card) =>
        Assert.Equal(card, Card.Find(new DeviceInfo("vulkan:0", name, DeviceKind.DiscreteGpu, "", 1, 1, []))?.Name);

    /// <summary>Each card's figures are of a maker's page, and fit each other: int8 is never slower, and a core's rate is one that exists.</summary>
    [Fact]
    public void The_table_is_sound()
    {
        Assert.Equal(Card.All.Count, Card.All.Select(card => card.Name).Distinct().Count());
        Assert.All(Card.All, card =>
        {
            Assert.StartsWith("https://", card.Source, StringComparison.Ordinal);
            Assert.Same(card, Card.Parse(card.Name));
            Assert.True(card.Bytes == 0 || card.Bytes >= card.Halves, card.Name);
            // GeForce cards halve the rate of fp32 sums, others do not.
            Assert.InRange(card.HalfSums, card.Halves * (card.Name.StartsWith("RTX", StringComparison.Ordinal) ? 1.99 : 1), card.Halves * 2.01);
            // Within 10 %: NVIDIA gives an H100's rates at two clocks.
            double perClock = card.Fp32 * 1e12 / (card.Cores * card.Clock * 1e9);
            Assert.True(new double[] { 128, 256, 512 }.Any(usual => Math.Abs((perClock / usual) - 1) < 0.1), $"{card.Name}: {perClock} fp32 operations a clock and core");
            // Matrix units and dot products do a power of two a clock and core too; Intel gives a B580's at a higher clock.
            foreach (double rate in (double[])[card.Halves, card.HalfSums, card.Bytes])
            {
                double power = Math.Log2(rate * 1e12 / (card.Cores * card.Clock * 1e9));
                Assert.True(rate == 0 || (power > 8.9 && Math.Abs(power - Math.Round(power)) < 0.1), $"{card.Name}: 2^{power} operations a clock and core");
            }
        });
    }

    [Theory]
    [InlineData("RTX 6000", "no such card")]
    [InlineData("", "no such card")]
    [InlineData("RTX", "several cards")]
    public void A_name_that_is_no_card_is_an_error(string name, string message) =>
        Assert.Contains(message, Assert.Throws<UsageException>(() => Card.Parse(name)).Message, StringComparison.Ordinal);

    private static Prediction Of(Card card) => new(card, Config, WeightFormat.Fp16, ComputeMode.Auto);
}
