using LdlVk.Scoring;
using LdlVk.SelfTest;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>Kernels that fail the self-test are not used: the next family is, or the device is refused; and it is found out once a driver.</summary>
public sealed class KernelTrustTests : IDisposable
{
    internal static readonly DeviceInfo Card = new("vulkan:0", "Some Card", DeviceKind.DiscreteGpu, "driver 1", 1 << 30, 1 << 30, ["matrix 16x16x16"])
    {
        Kernels = "matrix units", MatrixOperandBytes = 2,
    };

    private readonly TempFolder _folder = new();
    private readonly HashSet<string> _wrong = [];
    private readonly List<string> _tested = [];
    private string _fault = "element [0, 0]";

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_right_device_is_tested_once_a_driver()
    {
        Assert.Equal((Card, null), Check(Card));
        Assert.Equal((Card, null), Check(Card));
        Assert.Equal(["driver 1/matrix units"], _tested);
        Check(Card with { Driver = "driver 2" });
        Check(Card with { Kernels = "portable" });
        Assert.Equal(["driver 1/matrix units", "driver 2/matrix units", "driver 1/portable"], _tested);
    }

    [Fact]
    public void Wrong_matrix_units_are_replaced_by_portable_kernels_and_that_is_said_once()
    {
        _wrong.Add("matrix units");
        (DeviceInfo device, Notice? note) = Check(Card);
        Assert.Equal((DeviceInfo.PortableKernels, 0), (device.Kernels, device.MatrixOperandBytes));
        Assert.Contains("failed the self-test", device.WhyKernels);
        Assert.Contains("vulkan:0 (Some Card) computes wrong results on its matrix units with its driver, driver 1, and runs portable kernels from now on: element [0, 0].", $"{note}");
        (DeviceInfo again, Notice? nothing) = Check(Card);
        Assert.Equal((device, null), (again, nothing));
        Assert.Equal(["driver 1/matrix units", "driver 1/portable"], _tested);
        // What is known is shown without a test.
        Assert.Equal(device, Trust().Known(Card));
        Assert.Equal(Card with { Driver = "driver 2" }, Trust().Known(Card with { Driver = "driver 2" }));
        Assert.Equal(2, _tested.Count);
        // An update may have mended it.
        _wrong.Clear();
        Assert.Equal("matrix units", Check(Card with { Driver = "driver 2" }).Device.Kernels);
    }

    [Fact]
    public void A_device_without_right_kernels_is_refused_again_and_again()
    {
        _wrong.UnionWith(["matrix units", "portable"]);
        foreach (int _ in (int[])[1, 2])
        {
            DeviceException error = Assert.Throws<DeviceException>(() => Check(Card));
            Assert.Contains("computes wrong results with its driver, driver 1, and is not used: element [0, 0]. Update the driver, or use", error.Message);
        }

        Assert.Equal(2, _tested.Count);
    }

    [Fact]
    public void Matrix_units_that_are_asked_for_are_not_replaced_without_a_word()
    {
        _wrong.Add("matrix units");
        DeviceException error = Assert.Throws<DeviceException>(() => Check(Card with { KernelChoice = KernelChoice.Matrix }));
        Assert.Contains("on its matrix units", error.Message);
        Assert.Contains("portable", error.Message);
    }

    /// <summary>A driver that ends the process does so once: the next start knows, and does not ask it again.</summary>
    [Fact]
    public void A_self_test_in_which_the_process_ended_is_not_met_again()
    {
        Assert.NotEqual(0, DyingChild.Run(_folder["selftest.tsv"]));
        Assert.Contains("testing ", File.ReadAllText(_folder["selftest.tsv"]));
        Assert.Equal(DeviceInfo.PortableKernels, Trust().Known(Card).Kernels);
        (DeviceInfo device, Notice? note) = Check(Card);
        Assert.Equal(DeviceInfo.PortableKernels, device.Kernels);
        Assert.Contains("vulkan:0 (Some Card) did not end the self-test on its matrix units with its driver, driver 1, and runs portable kernels from now on", $"{note}");
        Assert.Contains("ldlvk selftest tests the others again", $"{note}");
        Assert.Contains("matrix", $"{note}"[^60..]);
        Assert.Equal((device, null), Check(Card));
        Assert.Equal(["driver 1/portable"], _tested);
        // Who asks for them by name has them tested again, and so has who runs the whole self-test.
        DeviceInfo asked = Card with { KernelChoice = KernelChoice.Matrix };
        Assert.Equal((asked, null), Check(asked));
        Assert.Equal("matrix units", Check(Card).Device.Kernels);
        Assert.Equal(["driver 1/portable", "driver 1/matrix units"], _tested);
    }

    /// <summary>The report names the check; what has not ended is not waited for.</summary>
    [Fact]
    public void A_device_that_hangs_ends_the_self_test()
    {
        using ManualResetEventSlim end = new();
        using FailingDevice device = new(ComputeDevices.Open(ComputeDevices.Candidates("cpu")[0])) { Hangs = end };
        CheckResult result = Assert.Single(DeviceSelfTest.Run(device, quick: true, limit: TimeSpan.FromSeconds(0.2)));
        Assert.True(result.Hangs);
        Assert.NotEqual("", result.Op);
        Assert.Contains("did not end within 0 s", result.Fault);
        end.Set();

        _wrong.Add("matrix units");
        _fault = $"Linear fp16: {result.Fault}";
        (DeviceInfo used, Notice? note) = Check(Card);
        Assert.Equal(DeviceInfo.PortableKernels, used.Kernels);
        Assert.Contains("did not end the self-test on its matrix units with its driver, driver 1, and runs portable kernels from now on: Linear fp16", $"{note}");
    }

    [Fact]
    public void A_device_that_passes_the_whole_self_test_is_used_again()
    {
        DyingChild.Run(_folder["selftest.tsv"]);
        Check(Card);
        Trust().Passed(Card);
        Assert.Equal((Card, null), Check(Card));
        Assert.Equal(Card, Trust().Known(Card));
    }

    /// <summary>Portable kernels have no others after them, and the card is refused until it passes a self-test that someone runs.</summary>
    [Fact]
    public void A_device_whose_portable_kernels_end_the_process_is_refused()
    {
        _wrong.Add("matrix units");
        Check(Card);
        string kept = File.ReadAllText(_folder["selftest.tsv"]);
        File.WriteAllText(_folder["selftest.tsv"], kept.Replace("\tright", "\ttesting 999999999 1", StringComparison.Ordinal));
        foreach (int _ in (int[])[1, 2])
        {
            DeviceException error = Assert.Throws<DeviceException>(() => Check(Card));
            Assert.Contains("did not end the self-test with its driver, driver 1, and is not used", error.Message);
            Assert.Contains("ldlvk selftest", error.Message);
        }

        Assert.Equal(2, _tested.Count);
    }

    /// <summary>Another process that is at the test now has not crashed.</summary>
    [Fact]
    public void A_self_test_that_runs_elsewhere_is_no_verdict()
    {
        KernelTrust meanwhile = new(_folder["selftest.tsv"], device =>
        {
            Assert.Equal(device, Trust().Known(device));
            Assert.Equal((Card, null), Check(Card));
            return null;
        }, d => d);
        Assert.Equal((Card, null), meanwhile.Check(Card));
        Assert.Single(_tested);
    }

    /// <summary>A card that another program has filled is tested when it has room again.</summary>
    [Fact]
    public void Want_of_memory_is_no_verdict()
    {
        KernelTrust full = new(_folder["selftest.tsv"], _ => throw new DeviceException("full", failure: DeviceFailure.OutOfMemory), d => d);
        Assert.Equal((Card, null), full.Check(Card));
        Assert.DoesNotContain("testing", File.ReadAllText(_folder["selftest.tsv"]));
        Check(Card);
        Assert.Single(_tested);
    }

    /// <summary>Software drivers are tested by the project, and would take seconds.</summary>
    [Fact]
    public void Processors_are_not_tested()
    {
        Check(Card with { Kind = DeviceKind.Software });
        Check(Card with { Kind = DeviceKind.Cpu });
        Assert.Empty(_tested);
    }

    /// <summary>A file that is damaged or of another build costs a test, and never an error.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("no tabs\n\t\t\n")]
    [InlineData("Some Card/driver 1/matrix units/0123\tright\n")]
    public void What_is_no_verdict_is_found_out_again(string content)
    {
        File.WriteAllText(_folder["selftest.tsv"], content);
        Check(Card);
        Check(Card);
        Assert.Single(_tested);
    }

    private (DeviceInfo Device, Notice? Note) Check(DeviceInfo device) => Trust().Check(device);

    private KernelTrust Trust() =>
        new(_folder["selftest.tsv"], Test, d => d with { Kernels = DeviceInfo.PortableKernels, MatrixOperandBytes = 0 });

    private string? Test(DeviceInfo device)
    {
        _tested.Add($"{device.Driver}/{device.Kernels}");
        return _wrong.Contains(device.Kernels) ? _fault : null;
    }
}
