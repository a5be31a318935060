using LdlVk.Runtime.Devices;
using LdlVk.Scoring;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>Sums in fp16 that are wrong are not used, and that is found out once a driver, as with kernels (<see cref="KernelTrustTests"/>).</summary>
public sealed class HalfSumTrustTests : IDisposable
{
    private static readonly DeviceInfo Card = KernelTrustTests.Card with { SumsHalves = true };

    private readonly TempFolder _folder = new();
    private readonly List<string> _tested = [];
    private string? _fault;

    public void Dispose() => _folder.Dispose();

    private string File => _folder["selftest.tsv"];

    [Fact]
    public void A_right_device_is_tested_once_a_driver()
    {
        Trust().Check(Card);
        Trust().Check(Card);
        Assert.Equal(["driver 1"], _tested);
        // What another driver's test found says nothing of this one.
        Trust().Check(Card with { Driver = "driver 2" });
        Trust().Check(Card with { Driver = "driver 2" });
        Assert.Equal(["driver 1", "driver 2"], _tested);
    }

    [Fact]
    public void A_device_with_wrong_sums_is_refused_again_and_again_until_its_driver_changes()
    {
        _fault = "element [0, 0]";
        foreach (int _ in (int[])[1, 2])
        {
            Assert.Contains(
                "vulkan:0 (Some Card) computes wrong results with sums in fp16 with its driver, driver 1: element [0, 0]. Leave ",
                Refused(Card), StringComparison.Ordinal);
        }

        Assert.Single(_tested);
        _fault = null;
        Trust().Check(Card with { Driver = "driver 2" });
        Assert.Equal(["driver 1", "driver 2"], _tested);
        // Nor does a right driver vouch for a wrong one.
        Refused(Card);
        _fault = "element [1, 1]";
        Assert.Contains("driver 3: element [1, 1]", Refused(Card with { Driver = "driver 3" }), StringComparison.Ordinal);
    }

    /// <summary>A device whose sums in fp16 are wrong keeps its matrix units for users who do not ask for such sums.</summary>
    [Fact]
    public void Verdicts_on_kernels_and_on_sums_stand_side_by_side()
    {
        int kernels = 0;
        KernelTrust trust = new(File, _ => { kernels++; return null; }, device => device);
        _fault = "element [0, 0]";
        Refused(Card);
        Assert.Equal((Card, null), trust.Check(Card));
        Refused(Card);
        Assert.Equal((Card, null), trust.Check(Card));
        trust.Passed(Card);
        Refused(Card);
        Assert.Equal((1, 1), (kernels, _tested.Count));
        Trust().Passed(Card);
        Trust().Check(Card);
        Assert.Single(_tested);
    }

    /// <summary>A driver that ends the process does so once; who runs the self-test has it tried again.</summary>
    [Fact]
    public void A_test_in_which_the_process_ended_is_not_met_again()
    {
        Trust().Check(Card);
        string kept = System.IO.File.ReadAllText(File);
        System.IO.File.WriteAllText(File, kept.Replace("\tright", "\ttesting 999999999 1", StringComparison.Ordinal));
        foreach (int _ in (int[])[1, 2])
        {
            string message = Refused(Card);
            Assert.Contains("did not end the self-test with sums in fp16 with its driver, driver 1", message, StringComparison.Ordinal);
            Assert.Contains("a device that passes it is used again", message, StringComparison.Ordinal);
        }

        Assert.Single(_tested);
        Trust().Passed(Card);
        Trust().Check(Card);
        Assert.Single(_tested);
    }

    [Fact]
    public void Want_of_memory_is_no_verdict()
    {
        new HalfSumTrust(File, _ => throw new DeviceException("full", failure: DeviceFailure.OutOfMemory)).Check(Card);
        _fault = "element [0, 0]";
        Refused(Card);
        Assert.Single(_tested);
    }

    [Fact]
    public void Processors_and_devices_without_such_sums_are_not_tested()
    {
        Trust().Check(Card with { Kind = DeviceKind.Software });
        Trust().Check(Card with { Kind = DeviceKind.Cpu });
        Trust().Check(Card with { SumsHalves = false });
        Trust().Passed(Card with { SumsHalves = false });
        Assert.Empty(_tested);
        Assert.False(System.IO.File.Exists(File));
    }

    /// <summary>A damaged file costs a test, and never an error.</summary>
    [Theory]
    [InlineData("no tabs\n\t\t\n")]
    [InlineData("Some Card/driver 1/matrix units/fp16 sums 0123\tright\n")]
    public void What_is_no_verdict_is_found_out_again(string content)
    {
        System.IO.File.WriteAllText(File, content);
        Trust().Check(Card);
        Trust().Check(Card);
        Assert.Single(_tested);
    }

    /// <summary>A cache that cannot be written costs a test at each start, and finds what is wrong at each.</summary>
    [Fact]
    public void Where_nothing_can_be_kept_the_device_is_tested_each_time()
    {
        System.IO.File.WriteAllText(_folder["no folder"], "");
        HalfSumTrust trust = new(Path.Combine(_folder["no folder"], "selftest.tsv"), Test);
        trust.Check(Card);
        _fault = "element [0, 0]";
        Assert.Throws<DeviceException>(() => trust.Check(Card));
        Assert.Equal(2, _tested.Count);
    }

    /// <summary>Only products with sums in fp16 are wrong: the quick self-test would find nothing.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_driver_that_lies_is_found(bool lies)
    {
        Liar device = new(ComputeDevices.Open(ComputeDevices.Candidates("cpu")[0]), lies);
        HalfSumTrust trust = new(File, _ => HalfSumTrust.Test(device));
        if (lies) Assert.Contains("Linear fp16, fp16 sums", Assert.Throws<DeviceException>(() => trust.Check(Card)).Message, StringComparison.Ordinal);
        else trust.Check(Card);
        Assert.True(device.IsDisposed);
    }

    private string Refused(DeviceInfo device) => Assert.Throws<DeviceException>(() => Trust().Check(device)).Message;

    private HalfSumTrust Trust() => new(File, Test);

    private string? Test(DeviceInfo device)
    {
        _tested.Add(device.Driver);
        return _fault;
    }

    /// <summary>Forgets the activation of products with sums in fp16.</summary>
    private sealed class Liar(IDevice inner, bool lies) : FailingDevice(inner), IDevice
    {
        void IDevice.Linear(ITensor output, ITensor input, IWeight weight, ITensor? bias, Activation activation, SumFormat sums) =>
            Linear(output, input, weight, bias, lies && sums == SumFormat.Fp16 ? Activation.None : activation, sums);
    }
}
