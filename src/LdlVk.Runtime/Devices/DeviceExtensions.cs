namespace LdlVk.Runtime.Devices;

/// <summary>Operations that are the same for every device.</summary>
public static class DeviceExtensions
{
    /// <summary>Makes a weight matrix with the values of a source.</summary>
    /// <param name="device">The device that holds the weight.</param>
    /// <param name="source">The source of the rows.</param>
    /// <param name="progress">Told the source bytes (values and scales) read since the last report.</param>
    /// <param name="cancellationToken">Ends the upload between chunks; what was allocated is freed.</param>
    public static IWeight CreateWeight(this IDevice device, IWeightSource source, IProgress<long>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentNullException.ThrowIfNull(source);
        IWeight weight = device.CreateWeight(source.Format, source.OutputFeatures, source.InputFeatures, source.Name);
        try
        {
            device.Fill(weight, source, progress, cancellationToken);
            return weight;
        }
        catch
        {
            weight.Dispose();
            throw;
        }
    }
}
