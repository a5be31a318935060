using System.Diagnostics;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model;

/// <summary>A micro-batch on its way through the layers of a device: its hidden states, and what attention must know of its rows.</summary>
internal sealed class BatchState : IDisposable
{
    private readonly IDevice _device;
    private RowSet? _all, _last;
    private bool _disposed;

    private BatchState(IDevice device, MicroBatch batch, ITensor residual) => (_device, Batch, Residual) = (device, batch, residual);

    public MicroBatch Batch { get; }

    /// <summary>When it entered the stage, as <see cref="Stopwatch.GetTimestamp"/> counts.</summary>
    public long Entered { get; } = Stopwatch.GetTimestamp();

    /// <summary>The residual stream: of all rows, or of the texts' last ones after <see cref="KeepLastRows()"/>.</summary>
    public ITensor Residual { get; private set; }

    /// <summary>All rows: those that keys and values are computed for.</summary>
    public RowSet All => _all!;

    /// <summary>The rows that go on: all, or the texts' last ones after <see cref="KeepLastRows(ITensor)"/>.</summary>
    public RowSet Queries => _last ?? All;

    /// <summary>Makes the hidden states [rows, columns] of a micro-batch.</summary>
    public static BatchState Create(IDevice device, MicroBatch batch, int columns, Action<ITensor> fill)
    {
        var state = new BatchState(device, batch, device.CreateTensor(batch.Rows, columns));
        try
        {
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

    /// <summary>Replaces the residual stream by a tensor of the same columns that is computed of it.</summary>
    /// <param name="rows">Rows of the new tensor.</param>
    /// <param name="compute">Writes its first argument, the new tensor, from its second, the old one.</param>
    public void Replace(int rows, Action<ITensor, ITensor> compute)
    {
        ITensor replaced = Make(rows, Residual, compute);
        Residual.Dispose();
        Residual = replaced;
    }

    /// <summary>Leaves the texts' last rows alone in the residual stream.</summary>
    public void KeepLastRows()
    {
        using IIndexList rows = _device.CreateIndices(Batch.LastRows);
        Replace(rows.Count, (last, all) => _device.GatherRows(last, all, rows));
    }

    /// <summary>
    /// As <see cref="KeepLastRows()"/>, and returns the same rows of another tensor; <see cref="Queries"/> are those rows from now on.
    /// </summary>
    public ITensor KeepLastRows(ITensor other)
    {
        _last = new RowSet(_device, Batch.LastPositions, Batch.LastSegments);
        using IIndexList rows = _device.CreateIndices(Batch.LastRows);
        Replace(rows.Count, (last, all) => _device.GatherRows(last, all, rows));
        return Make(rows.Count, other, (last, all) => _device.GatherRows(last, all, rows));
    }

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        Residual.Dispose();
        _all?.Dispose();
        _last?.Dispose();
    }

    private ITensor Make(int rows, ITensor source, Action<ITensor, ITensor> compute)
    {
        ITensor made = _device.CreateTensor(rows, source.Columns);
        try
        {
            compute(made, source);
            return made;
        }
        catch
        {
            made.Dispose();
            throw;
        }
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
