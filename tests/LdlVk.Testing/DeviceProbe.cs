using LdlVk.Runtime.Devices;
using Xunit;

namespace LdlVk.Testing;

/// <summary>Short checks of a device by itself.</summary>
public static class DeviceProbe
{
    /// <summary>The values of a tensor, row by row.</summary>
    public static float[] Read(IDevice device, ITensor tensor)
    {
        float[] values = new float[tensor.Rows * tensor.Columns];
        device.Read(tensor, values);
        return values;
    }

    /// <summary>The device still computes: a gather, from upload to read.</summary>
    public static void AssertWorks(IDevice device)
    {
        using ITensor x = device.CreateTensor(3, 5), y = device.CreateTensor(2, 5);
        float[] values = [.. Enumerable.Range(1, 15).Select(i => (float)i)];
        device.Write(x, 0, values);
        using IIndexList rows = device.CreateIndices([2, 0]);
        device.GatherRows(y, x, rows);
        Assert.Equal([.. values[10..], .. values[..5]], Read(device, y));
    }
}
