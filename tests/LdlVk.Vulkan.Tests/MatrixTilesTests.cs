using LdlVk.Vulkan.Device;
using LdlVk.Vulkan.Kernels;

namespace LdlVk.Vulkan.Tests;

/// <summary>Which tiles are expected to be fastest, for cards whose cores are known.</summary>
public sealed class MatrixTilesTests
{
    private static readonly MatrixUnits Nvidia = new(16, 16, 16, 32, 128), Amd = Nvidia with { SubgroupSize = 64 };
    private static readonly MatrixLimits Limits = new(48 << 10, 1024, 32);

    /// <summary>Down of Gemma-2 27B in a batch of 4,096 rows: 55 and 56 % with chunks of 1,024 rows in tiles of 128 by 256 (issue 19).</summary>
    [Theory]
    [InlineData("H100", 132)]
    [InlineData("GeForce RTX 4090", 128)]
    [InlineData("Radeon RX 7900 XTX", 48)]
    [InlineData("GeForce RTX 5090", 170)]
    [InlineData("GeForce RTX 3060", 28)]
    public void The_default_fills_a_card_with_down(string name, int cores)
    {
        MatrixTiles tiles = MatrixTiles.Candidates(name.StartsWith("Radeon", StringComparison.Ordinal) ? Amd : Nvidia, Limits, new ProductSize(4096, 4608), cores)[0];
        double workgroups = Math.Ceiling(4096.0 / tiles.Rows) * Math.Ceiling(4608.0 / tiles.Features), waves = Math.Ceiling(workgroups / cores);
        double fill = workgroups / (waves * cores), last = (workgroups - ((waves - 1) * cores)) / cores;
        Assert.True(fill >= 0.87, $"{name}: {tiles.Name}, {workgroups} workgroups, {fill:P0}, the last wave {last:P0}");
        TestContext.Current.TestOutputHelper?.WriteLine($"{name}: {tiles.Name}, {workgroups} workgroups, {fill:P0}, the last wave {last:P0}");
    }

    [Fact]
    public void Few_rows_are_spread_over_the_cores()
    {
        // 64 rows and 4,608 features in tiles of 64 by 256 would be 18 workgroups.
        MatrixTiles tiles = MatrixTiles.Candidates(Nvidia, Limits, new ProductSize(64, 4608), 132)[0];
        Assert.True(64 / tiles.Rows * (4608 / tiles.Features) >= 66, tiles.Name);
    }

    [Theory]
    [InlineData(16)]
    [InlineData(512)]
    [InlineData(4096)]
    public void Unknown_cores_leave_the_features_out_and_all_candidates_are_the_same(int rows)
    {
        IReadOnlyList<MatrixTiles> unknown = MatrixTiles.Candidates(Nvidia, Limits, new ProductSize(rows, 0), 0);
        Assert.Equal(unknown, MatrixTiles.Candidates(Nvidia, Limits, new ProductSize(rows, 36864), 0));
        Assert.Equal(unknown.ToHashSet(), [.. MatrixTiles.Candidates(Nvidia, Limits, new ProductSize(rows, 4608), 132)]);
    }

    /// <summary>The tuner tries 16 tilings of several hundred.</summary>
    [Theory]
    [InlineData(64)]
    [InlineData(4096)]
    public void Parts_of_32_by_64_and_subgroups_of_32_are_among_the_first_on_AMD(int rows)
    {
        var size = new ProductSize(rows, 4608);
        IReadOnlyList<MatrixTiles> usual = MatrixTiles.Candidates(Amd, Limits, size, 48), all = MatrixTiles.Candidates(Amd with { OtherSubgroupSize = 32 }, Limits, size, 48);
        Assert.Equal(usual[0], all[0]);
        Assert.Contains(all.Take(4), t => t is { SubgroupRows: 32, SubgroupFeatures: 64, OtherSubgroupSize: 0 });
        Assert.Contains(all.Take(4), t => t is { SubgroupRows: 32, SubgroupFeatures: 64, OtherSubgroupSize: 32 });
        Assert.Superset(usual.ToHashSet(), all.ToHashSet());
        Assert.Equal(all.Count, all.Select(t => t.Name).Distinct().Count());
        Assert.All(all.Where(t => t.OtherSubgroupSize == 32), t =>
        {
            Assert.EndsWith("w32", t.Name);
            Assert.Equal(32u, t.Constants(Amd)[1]);
            Assert.Equal(t.Rows / t.SubgroupRows * (t.Features / t.SubgroupFeatures) * 32, t.Constants(Amd)[0]);
        });
    }

    [Fact]
    public void Two_compute_units_of_RDNA_are_a_core()
    {
        // Radeon RX 7900 XTX: 6 engines of 2 arrays of 8 units; Vega 64: 64 units.
        Assert.Equal(48, CoreCount.OfComputeUnits(96, simdUnits: 2));
        Assert.Equal(64, CoreCount.OfComputeUnits(64, simdUnits: 4));
    }
}
