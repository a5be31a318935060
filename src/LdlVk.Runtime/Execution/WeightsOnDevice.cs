using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;

namespace LdlVk.Runtime.Execution;

/// <summary>Uploads the weights of a model to one device, and keeps track of them, so that all are freed if one fails.</summary>
/// <param name="device">The device.</param>
/// <param name="cancellationToken">Stops between two tensors, and within a matrix.</param>
internal sealed class WeightsOnDevice(IDevice device, CancellationToken cancellationToken) : IDisposable
{
    private readonly List<IDisposable> _made = [];

    /// <summary>A matrix.</summary>
    public IWeight Matrix(IWeightSource source, IProgress<long>? progress = null) =>
        Keep(device.CreateWeight(source, progress, cancellationToken));

    /// <summary>Memory for a matrix, to be filled later.</summary>
    public IWeight Empty(WeightFormat format, int outputFeatures, int inputFeatures, string name) =>
        Keep(device.CreateWeight(format, outputFeatures, inputFeatures, name));

    /// <summary>Copies a matrix to host memory that the device reads fastest.</summary>
    public IWeightSource Pin(IWeightSource source, IProgress<long>? progress = null) =>
        Keep(device.Pin(source, progress, cancellationToken));

    /// <summary>The weights of a norm or a bias, [1, count].</summary>
    public ITensor Vector(float[] values)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ITensor tensor = Keep(device.CreateTensor(1, values.Length));
        device.Write(tensor, 0, values);
        return tensor;
    }

    /// <summary>The rotary angles, of as many positions as a model begins with.</summary>
    public RopeTable Rope(BackboneConfig config)
    {
        cancellationToken.ThrowIfCancellationRequested();
        RopeTable table = Keep(new RopeTable(device, config));
        table.Begin();
        return table;
    }

    /// <summary>Frees all weights.</summary>
    public void Dispose()
    {
        foreach (IDisposable made in _made) made.Dispose();
    }

    private T Keep<T>(T made) where T : IDisposable
    {
        _made.Add(made);
        return made;
    }
}
