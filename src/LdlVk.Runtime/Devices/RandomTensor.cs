namespace LdlVk.Runtime.Devices;

/// <summary>Made-up operands for measurements.</summary>
public static class RandomTensor
{
    /// <summary>Rows of made-up values from which operands are gathered: zeros could be faster than values.</summary>
    private const int Values = 64;

    /// <summary>A tensor with elements uniform in [−1, 1), to be disposed by the caller. Little of it goes over the bus.</summary>
    public static ITensor Create(IDevice device, int rows, int columns)
    {
        ArgumentNullException.ThrowIfNull(device);
        float[] values = new float[Values * columns];
        for (int i = 0; i < values.Length; i++) values[i] = ((int)(RandomWeightSource.Hash((uint)i) >> 8) - (1 << 23)) * (1f / (1 << 23));
        using ITensor table = device.CreateTensor(Values, columns);
        device.Write(table, 0, values);
        using IIndexList numbers = device.CreateIndices([.. Enumerable.Range(0, rows).Select(i => i % Values)]);
        ITensor tensor = device.CreateTensor(rows, columns);
        device.GatherRows(tensor, table, numbers);
        return tensor;
    }
}
