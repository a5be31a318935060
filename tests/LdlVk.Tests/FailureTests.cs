using LdlVk.Cpu;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>A device call that fails, wherever it is, leaves nothing on the device, and the next try works.</summary>
public sealed class FailureTests
{
    private static readonly string Folder = Goldens.Read("b_bf16_sharded").Folder;

    [Fact]
    public void Loading_that_fails_anywhere_frees_everything()
    {
        using var device = new FailingDevice(CpuBackend.Open(CpuBackend.DeviceId));
        using Checkpoint checkpoint = Checkpoint.Open(Folder);
        int call = 0;
        for (device.Arm(call); ; device.Arm(++call))
        {
            try
            {
                ScoringEngine.Load(device, checkpoint, new LoadSettings(WeightFormat.Fp16)).Dispose();
                Assert.False(device.HasFailed);
                break;
            }
            catch (DeviceException)
            {
                Assert.Equal(0, device.AllocatedBytes);
            }
        }

        Assert.Equal(0, device.AllocatedBytes);
        Assert.InRange(call, 50, 10_000);
    }

    [Fact]
    public void Scoring_that_fails_anywhere_frees_its_tensors()
    {
        using var device = new FailingDevice(CpuBackend.Open(CpuBackend.DeviceId));
        using Checkpoint checkpoint = Checkpoint.Open(Folder);
        using ScoringEngine engine = ScoringEngine.Load(device, checkpoint, new LoadSettings(WeightFormat.Fp16));
        MicroBatch batch = Packer.Pack([[2, 3, 4, 5], [2, 3, 9]], 64).Single();
        float want = engine.Score(batch)[0].Score;
        long weights = device.AllocatedBytes;
        int call = 0;
        for (device.Arm(call); ; device.Arm(++call))
        {
            try
            {
                Assert.Equal(want, engine.Score(batch)[0].Score);
                Assert.False(device.HasFailed);
                break;
            }
            catch (DeviceException)
            {
                Assert.Equal(weights, device.AllocatedBytes);
            }
        }

        Assert.Equal(weights, device.AllocatedBytes);
        Assert.InRange(call, 50, 10_000);
    }
}
