using System.Runtime.ExceptionServices;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Caching;
using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model;

/// <summary>
/// The keys and values of cached tokens for the layers of a stage, on its device: a tensor [2·tokens, kv_heads·head_dim] for each layer
/// of each block, keys first. They are those that attention reads, rotated. The <see cref="PromptCache"/> decides what is on the device,
/// what in host memory, and what nowhere. Not thread-safe.
/// </summary>
/// <param name="device">The device.</param>
/// <param name="config">The model.</param>
/// <param name="firstLayer">The stage's first layer.</param>
/// <param name="layers">Number of its layers.</param>
internal sealed class StageCache(IDevice device, BackboneConfig config, int firstLayer, int layers) : IDisposable
{
    private readonly Dictionary<CachedBlock, ITensor[]> _blocks = [];
    private readonly Dictionary<CachedBlock, IHostTensor[]> _saved = [];

    /// <summary>Prepares what a micro-batch takes and leaves.</summary>
    /// <exception cref="CacheMissException">A block is not here.</exception>
    public CacheTransfer? Begin(MicroBatch batch)
    {
        if (batch.Cache is not { } traffic) return null;
        var transfer = new CacheTransfer(this, device, traffic, Create(traffic));
        // A text may take what another of the batch keeps.
        CachedBlock[] missing = [.. traffic.Taken.Select(taken => taken.From.Block).Where(block => !_blocks.ContainsKey(block))];
        if (missing.Length == 0) return transfer;
        transfer.Dispose();
        foreach (CachedBlock block in missing) traffic.Cache.Missing(block);
        throw new CacheMissException();
    }

    /// <summary>The tensor of a block for a layer.</summary>
    public ITensor Of(CachedBlock block, int layer) => _blocks[block][layer - firstLayer];

    /// <summary>
    /// Follows the cache, to the last of its moves also where one fails: later ones free memory. Of a block that is not here, since the
    /// wave that should have filled it failed, nothing moves.
    /// </summary>
    /// <exception cref="DeviceException">A move failed, for another reason than want of memory; its block is nowhere.</exception>
    public void Follow(IEnumerable<CacheMove> moves)
    {
        ExceptionDispatchInfo? failure = null;
        foreach (CacheMove move in moves)
        {
            try
            {
                Move(move);
            }
            catch (DeviceException e)
            {
                failure ??= ExceptionDispatchInfo.Capture(e);
            }
        }

        failure?.Throw();
    }

    private void Move(CacheMove move)
    {
        if (move.To == CachePlace.Host) Move(_blocks, _saved, device.Save, move);
        else if (move.To == CachePlace.Device) Move(_saved, _blocks, device.Restore, move);
        else Drop(move.Block);
    }

    /// <summary>Frees a block, if it is here.</summary>
    public void Drop(CachedBlock block)
    {
        if (_blocks.Remove(block, out ITensor[]? tensors)) Free(tensors);
        if (_saved.Remove(block, out IHostTensor[]? saved)) Free(saved);
    }

    public void Dispose()
    {
        foreach (ITensor[] tensors in _blocks.Values) Free(tensors);
        foreach (IHostTensor[] tensors in _saved.Values) Free(tensors);
        _blocks.Clear();
        _saved.Clear();
    }

    private static void Move<TFrom, TTo>(
        Dictionary<CachedBlock, TFrom[]> from, Dictionary<CachedBlock, TTo[]> to, Func<TFrom, TTo> copy, CacheMove move)
        where TFrom : IDisposable
        where TTo : IDisposable
    {
        if (!from.Remove(move.Block, out TFrom[]? tensors)) return;
        List<TTo> copies = [];
        try
        {
            foreach (TFrom tensor in tensors) copies.Add(copy(tensor));
            to.Add(move.Block, [.. copies]);
        }
        catch (DeviceException e)
        {
            Free(copies);
            if (e.Failure == DeviceFailure.OutOfMemory)
            {
                move.Cache.OutOfRoom(move.Block, move.To);
                return;
            }

            move.Cache.Missing(move.Block);
            throw;
        }
        finally
        {
            Free(tensors);
        }
    }

    private static void Free<T>(IEnumerable<T> tensors)
        where T : IDisposable
    {
        foreach (T tensor in tensors) tensor.Dispose();
    }

    /// <summary>Makes the blocks that a micro-batch fills, all of them or none: an empty one must not be taken.</summary>
    private (CachedBlock Block, int From)[] Create(CacheTraffic traffic)
    {
        List<(CachedBlock Block, int From)> made = [];
        try
        {
            foreach ((CachedBlock Block, int From) kept in traffic.Kept)
                if (Create(kept.Block, traffic.Cache)) made.Add(kept);
        }
        catch
        {
            foreach ((CachedBlock block, _) in made) Drop(block);
            throw;
        }

        return [.. made];
    }

    /// <summary>Makes a block's tensors; false if the device has no memory for them.</summary>
    private bool Create(CachedBlock block, PromptCache cache)
    {
        // The cache may have forgotten it, with a block that it builds on, before this wave was begun.
        if (block.Place == CachePlace.Nowhere) return false;
        List<ITensor> tensors = [];
        try
        {
            for (int i = 0; i < layers; i++)
                tensors.Add(device.CreateTensor(2 * block.Rows, config.KeyValueHeads * config.HeadDimension));
            _blocks.Add(block, [.. tensors]);
            return true;
        }
        catch (DeviceException e)
        {
            Free(tensors);
            if (e.Failure != DeviceFailure.OutOfMemory) throw;
            cache.OutOfRoom(block, CachePlace.Device);
            return false;
        }
    }
}

/// <summary>Moves a micro-batch's rows between a stage's cache and the keys and values of each layer.</summary>
internal sealed class CacheTransfer : Bundle
{
    private readonly StageCache _stage;
    private readonly IDevice _device;
    private readonly CacheTraffic _traffic;
    private readonly (CachedBlock Block, int From)[] _kept;
    private readonly Dictionary<int, IIndexList> _first = [];
    private bool _complete;

    public CacheTransfer(StageCache stage, IDevice device, CacheTraffic traffic, (CachedBlock Block, int From)[] kept)
    {
        (_stage, _device, _traffic, _kept) = (stage, device, traffic, kept);
        IEnumerable<int> counts = traffic.Taken.Select(t => t.From.Count).Concat(traffic.Copied.Select(c => c.Count))
            .Concat(kept.Select(k => k.Block.Rows));
        foreach (int count in counts.Distinct())
            _first.Add(count, Own(() => device.CreateIndices([.. Enumerable.Range(0, count)])));
    }

    /// <summary>Keeps what is to be kept of the batch's keys and values of a layer, and puts prefixes together behind them.</summary>
    public void Run(int layer, ITensor key, ITensor value)
    {
        foreach ((int from, int count, int row) in _traffic.Copied)
        {
            Copy(key, from, key, row, count);
            Copy(value, from, value, row, count);
        }

        foreach ((CachedBlock block, int from) in _kept)
        {
            ITensor tensor = _stage.Of(block, layer);
            Copy(key, from, tensor, 0, block.Rows);
            Copy(value, from, tensor, block.Rows, block.Rows);
        }

        foreach ((CachedRows from, int row) in _traffic.Taken)
        {
            ITensor block = _stage.Of(from.Block, layer);
            Copy(block, from.First, key, row, from.Count);
            Copy(block, from.Block.Rows + from.First, value, row, from.Count);
        }
    }

    /// <summary>Every layer has run: the blocks are full.</summary>
    public void Complete() => _complete = true;

    public override void Dispose()
    {
        if (!_complete)
            foreach ((CachedBlock block, _) in _kept) _stage.Drop(block);
        base.Dispose();
    }

    private void Copy(ITensor source, int from, ITensor destination, int to, int count) =>
        _device.GatherRows(destination.View(to, count), source.View(from, count), _first[count]);
}
