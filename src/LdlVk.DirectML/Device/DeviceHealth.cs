using LdlVk.DirectML.Interop;

namespace LdlVk.DirectML.Device;

/// <summary>Whether a device still works. Once it does not, every use of any of its queues says so.</summary>
/// <param name="device">The device.</param>
/// <param name="dml">DirectML on it.</param>
internal sealed class DeviceHealth(D3D12Device device, DmlDevice dml)
{
    private DeviceException? _failure;

    public void ThrowIfFailed()
    {
        if (_failure is { } e) throw new DeviceException($"The device cannot go on after an earlier error: {e.Notice}", e,
            DeviceFailure.Lost);
    }

    /// <summary>Throws if a call failed. After the loss of the device every later use throws too.</summary>
    public void Check(int result, string call)
    {
        if (result >= 0) return;
        if (HResult.IsLost(result)) ThrowLost(call, result);
        device.Check(result, call);
    }

    /// <summary>Raises the loss of the device if it says that it was removed.</summary>
    public void ThrowIfRemoved(string call)
    {
        if (device.RemovedReason < 0) ThrowLost(call);
    }

    /// <summary>Raises the loss of the device, which every later use raises again.</summary>
    public void ThrowLost(string call, int result = HResult.DeviceRemoved)
    {
        int reason = device.RemovedReason;
        try
        {
            HResult.Check(result, call, reason < 0 ? reason : dml.RemovedReason);
        }
        catch (DeviceException e)
        {
            _failure = e;
            throw;
        }
    }

    /// <summary>Marks the device as failed: the recorded commands are lost, so no later result could be right.</summary>
    public DeviceException Failed(DeviceException e) => _failure = new DeviceException(e.Notice, e.InnerException, DeviceFailure.Lost);
}
