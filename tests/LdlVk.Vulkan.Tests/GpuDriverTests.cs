using LdlVk.Testing;

namespace LdlVk.Vulkan.Tests;

/// <summary>
/// Mesa's drivers for graphics cards, without the cards (<see cref="DriverCard"/>). The drivers compile our kernels, and with the validation
/// layer on, our use of their features, queues and memory types is checked. Results mean nothing there.
/// </summary>
public sealed class GpuDriverTests
{
    public static TheoryData<string> Cards => [.. DriverCard.All.Select(c => c.Name)];

    public static TheoryData<string> Judges => [.. DriverCard.Judges.Select(c => c.Name)];

    [Theory]
    [MemberData(nameof(Cards))]
    public async Task A_cards_driver_compiles_all_kernels_without_spills(string name)
    {
        // Mesa 25.0 spills 10 registers of attention with heads of 256 on a Radeon RX 7900 XTX, which the recorded figures hold.
        Assert.SkipUnless(Environment.GetEnvironmentVariable("LDLVK_LAB") == "1", "compiles all kernels with the lab's drivers (eng/lab) only");
        DriverCard card = Card(name);
        string output = await Run("gpu 1 64 1024", card);
        Assert.Contains($"kernels, matrix units: {card.HasMatrixUnits}", output);
        Assert.Contains("Int4: 256 values", output);
        Assert.DoesNotContain(output.Split('\n'), l => l.StartsWith("spills:", StringComparison.Ordinal));
        Assert.Contains("statistics of 1 of 1 kernels", output);
    }

    [Theory]
    [MemberData(nameof(Judges))]
    public async Task No_figure_of_a_kernel_on_matrix_units_is_worse_than_recorded(string name)
    {
        // Only the compiler is asked, and Debian 12's validation layer does not know matrix units.
        string output = await Run("figures " + name, Card(name), ("VK_INSTANCE_LAYERS", ""));
        Dictionary<string, KernelFigures> measured = output.Split('\n').Where(l => l.Contains('\t')).Select(KernelFigures.Parse).ToDictionary(f => f.Kernel);
        Assert.NotEmpty(measured);
        string driver = measured.Values.First().Driver;
        Dictionary<string, KernelFigures> recorded = KernelFigures.Recorded().Where(f => f.Driver == driver && f.Card == name).ToDictionary(f => f.Kernel);
        Assert.SkipWhen(recorded.Count == 0, $"no figures are recorded for {driver}: bench/kernels --record writes them to tests/data/kernels/figures.tsv");
        Assert.Equal(recorded.Keys.Order(StringComparer.Ordinal), measured.Keys.Order(StringComparer.Ordinal));
        string[] worse = [.. measured.Values.SelectMany(f => f.WorseThan(recorded[f.Kernel]))];
        Assert.True(worse.Length == 0, string.Join("\n", worse) + "\nIf the change is worth it, bench/kernels --record keeps the new figures.");
    }

    private static DriverCard Card(string name)
    {
        DriverCard card = DriverCard.All.Single(c => c.Name == name);
        Assert.SkipUnless(card.IsThere, $"{name}: needs the package mesa-drm-shim and a driver of its version, as the lab has them (eng/lab); for Intel's cards eng/intel-shim");
        return card;
    }

    private static async Task<string> Run(string action, DriverCard card, params (string, string)[] environment)
    {
        (int exitCode, string output) = await VulkanChild.Run(action, [.. card.Environment, .. environment]);
        Assert.SkipWhen(DriverCard.IsUnknownIn(output), $"{card}: this machine's mesa-drm-shim does not know it");
        Assert.True(exitCode == 0, output);
        return output;
    }
}
