using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model;

/// <summary>A micro-batch on its way through the layers of a device: its hidden states, and what attention must know of its rows.</summary>
internal sealed class Pass : IDisposable
{
    private readonly IDevice _device;
    private Rows? _all, _last;

    /// <summary>Takes over hidden states [rows, hidden].</summary>
    public Pass(IDevice device, MicroBatch batch, ITensor residual)
    {
        (_device, Batch, Residual) = (device, batch, residual);
        try
        {
            _all = new Rows(device, batch.Positions, batch.Segments);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public MicroBatch Batch { get; }

    /// <summary>The residual stream: of all rows, or of the last ones after <see cref="Narrow"/>.</summary>
    public ITensor Residual { get; private set; }

    /// <summary>All rows: those that keys and values are computed for.</summary>
    public Rows All => _all!;

    /// <summary>The rows that go on: all, or the texts' last ones after <see cref="Narrow"/>.</summary>
    public Rows Queries => _last ?? All;

    /// <summary>Leaves the texts' last rows alone in the residual stream, and returns the same rows of another tensor.</summary>
    public ITensor Narrow(ITensor other)
    {
        _last = new Rows(_device, Batch.LastPositions, Batch.LastSegments);
        using IIndexList rows = _device.CreateIndices(Batch.LastRows);
        ITensor narrow = Gather(Residual, rows);
        Residual.Dispose();
        Residual = narrow;
        return Gather(other, rows);
    }

    public void Dispose()
    {
        Residual.Dispose();
        _all?.Dispose();
        _last?.Dispose();
    }

    private ITensor Gather(ITensor source, IIndexList rows)
    {
        ITensor gathered = _device.CreateTensor(rows.Count, source.Columns);
        try
        {
            _device.GatherRows(gathered, source, rows);
            return gathered;
        }
        catch
        {
            gathered.Dispose();
            throw;
        }
    }
}

/// <summary>Positions and attention segments of a set of rows, on the device.</summary>
internal sealed class Rows : Bundle
{
    public Rows(IDevice device, int[] positions, AttentionSegment[] segments)
    {
        Positions = Own(() => device.CreateIndices(positions));
        Segments = Own(() => device.CreateSegments(segments));
    }

    public int Count => Positions.Count;
    public IIndexList Positions { get; }
    public ISegmentList Segments { get; }
}

/// <summary>The scratch tensors of a layer, used again by every layer and micro-batch, which take as many of their rows as they have.</summary>
internal sealed class Workspace : Bundle
{
    public Workspace(IDevice device, BackboneConfig config, int queryRows, int keyRows, int feedForwardRows)
    {
        Normed = Own(() => device.CreateTensor(queryRows, config.HiddenSize));
        Query = Own(() => device.CreateTensor(queryRows, config.Heads * config.HeadDimension));
        Key = Own(() => device.CreateTensor(keyRows, config.KeyValueHeads * config.HeadDimension));
        Value = Own(() => device.CreateTensor(keyRows, config.KeyValueHeads * config.HeadDimension));
        Heads = Own(() => device.CreateTensor(queryRows, config.Heads * config.HeadDimension));
        Gate = Own(() => device.CreateTensor(feedForwardRows, config.IntermediateSize));
        Up = Own(() => device.CreateTensor(feedForwardRows, config.IntermediateSize));
    }

    public ITensor Normed { get; }
    public ITensor Query { get; }
    public ITensor Key { get; }
    public ITensor Value { get; }
    public ITensor Heads { get; }
    public ITensor Gate { get; }
    public ITensor Up { get; }
}

/// <summary>Things on the device that live and die together, also when making one of them fails.</summary>
internal abstract class Bundle : IDisposable
{
    private readonly List<IDisposable> _parts = [];

    public void Dispose()
    {
        foreach (IDisposable part in _parts) part.Dispose();
    }

    protected T Own<T>(Func<T> make) where T : IDisposable
    {
        try
        {
            T part = make();
            _parts.Add(part);
            return part;
        }
        catch
        {
            Dispose();
            throw;
        }
    }
}
