using System.Diagnostics;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model;

/// <summary>
/// The state of a micro-batch between the layers of a device: its hidden states, and the positions and segments of its rows.
/// </summary>
internal sealed class BatchState : IDisposable
{
    private readonly IDevice _device;
    private RowSet? _all, _read;
    private bool _disposed;

    private BatchState(IDevice device, MicroBatch batch, ITensor residual) => (_device, Batch, Residual) = (device, batch, residual);

    public MicroBatch Batch { get; }

    /// <summary>Timestamp of its entry into the stage, from <see cref="Stopwatch.GetTimestamp"/>.</summary>
    public long Entered { get; } = Stopwatch.GetTimestamp();

    /// <summary>The residual stream of all rows, or of the rows that the head reads after <see cref="KeepReadRows()"/>.</summary>
    public ITensor Residual { get; private set; }

    /// <summary>What it takes from the stage's cache and leaves there; null for nothing.</summary>
    public CacheTransfer? Cache { get; private set; }

    /// <summary>All rows, for which keys and values are computed.</summary>
    public RowSet All => _all!;

    /// <summary>The rows that go on to the next layer: all; after <see cref="KeepReadRows()"/> those that the head reads.</summary>
    public RowSet Queries => _read ?? All;

    /// <summary>Creates the state of a micro-batch with hidden states [rows, columns].</summary>
    public static BatchState Create(IDevice device, MicroBatch batch, int columns, StageCache? cache, Action<ITensor> fill)
    {
        var state = new BatchState(device, batch, device.CreateTensor(batch.Rows, columns));
        try
        {
            state.Cache = cache?.Begin(batch);
            fill(state.Residual);
            state._all = new RowSet(device, batch.Positions, batch.Segments);
            return state;
        }
        catch
        {
            state.Dispose();
            throw;
        }
    }

    /// <summary>Replaces the residual stream by a tensor with the same number of columns that is computed from it.</summary>
    /// <param name="rows">Rows of the new tensor.</param>
    /// <param name="compute">Writes its first argument, the new tensor, from its second, the old one.</param>
    public void Replace(int rows, Action<ITensor, ITensor> compute)
    {
        ITensor made = _device.CreateTensor(rows, Residual.Columns);
        try
        {
            compute(made, Residual);
        }
        catch
        {
            made.Dispose();
            throw;
        }

        Residual.Dispose();
        Residual = made;
    }

    /// <summary>Keeps only the rows that the head reads of the residual stream. <see cref="Queries"/> are then those rows.</summary>
    public void KeepReadRows()
    {
        _read = new RowSet(_device, Batch.ReadPositions, Batch.ReadSegments);
        using IIndexList rows = _device.CreateIndices(Batch.ReadRows);
        Replace(rows.Count, (read, all) => _device.GatherRows(read, all, rows));
    }

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        Residual.Dispose();
        Cache?.Dispose();
        _all?.Dispose();
        _read?.Dispose();
    }
}

/// <summary>Positions and attention segments of a set of rows, on the device.</summary>
internal sealed class RowSet : Bundle
{
    public RowSet(IDevice device, int[] positions, AttentionSegment[] segments)
    {
        Positions = Own(() => device.CreateIndices(positions));
        Segments = Own(() => device.CreateSegments(segments));
    }

    public int Count => Positions.Count;
    public IIndexList Positions { get; }
    public ISegmentList Segments { get; }
}
