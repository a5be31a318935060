using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Device;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Commands;

/// <summary>
/// Times every command of a <see cref="CommandStream"/> by two timestamps. A barrier between commands makes the two enclose that command
/// alone; pauses between submissions are not counted.
/// </summary>
internal sealed unsafe class CommandTimer : IOpTimer
{
    /// <summary>Timestamps of a query pool; even, so that both timestamps of a command are in one pool.</summary>
    private const uint PoolSize = 2048;

    private readonly Vk _api;
    private readonly VkDevice _device;
    private readonly CommandStream _stream;
    private readonly double _secondsPerTick;
    private readonly ulong _validBits;
    private readonly List<QueryPool> _pools = [];
    private readonly List<int> _begins = [], _ends = [];
    private uint _written;

    public CommandTimer(Vk api, VkDevice device, CommandStream stream, PhysicalDeviceFacts facts)
    {
        (_api, _device, _stream) = (api, device, stream);
        _secondsPerTick = facts.Properties.Limits.TimestampPeriod * 1e-9;
        _validBits = ulong.MaxValue >> (64 - (int)facts.TimestampBits);
        stream.Timer = this;
    }

    private int Commands => (int)((_written + 1) / 2);

    public void Begin() => _begins.Add(Commands);

    public void End() => _ends.Add(Commands);

    /// <summary>Called before a command is recorded, after its barrier.</summary>
    public void BeginCommand(CommandBuffer buffer)
    {
        if (_written == _pools.Count * PoolSize)
        {
            var create = new QueryPoolCreateInfo(queryType: QueryType.Timestamp, queryCount: PoolSize);
            _api.CreateQueryPool(_device, in create, null, out QueryPool pool).Check("vkCreateQueryPool");
            _pools.Add(pool);
            _api.CmdResetQueryPool(buffer, pool, 0, PoolSize);
        }

        Stamp(buffer);
    }

    /// <summary>Called after a command was recorded; does nothing if none has begun.</summary>
    public void EndCommand(CommandBuffer buffer)
    {
        if (_written % 2 != 0) Stamp(buffer);
    }

    public double[] Finish()
    {
        _stream.Finish();
        double[] commands = [.. _pools.SelectMany((pool, i) => Read(pool, (int)Math.Min(PoolSize, _written - (i * PoolSize))))];
        return [.. _begins.Zip(_ends, (begin, end) => commands.AsSpan(begin, end - begin).ToArray().Sum())];
    }

    public void Dispose()
    {
        _stream.Timer = null;
        _stream.Drain();
        foreach (QueryPool pool in _pools) _api.DestroyQueryPool(_device, pool, null);
    }

    private void Stamp(CommandBuffer buffer) =>
        _api.CmdWriteTimestamp(buffer, PipelineStageFlags.BottomOfPipeBit, _pools[^1], _written++ % PoolSize);

    private double[] Read(QueryPool pool, int count)
    {
        ulong[] ticks = new ulong[count];
        fixed (ulong* p = ticks)
        {
            const QueryResultFlags Flags = QueryResultFlags.Result64Bit | QueryResultFlags.ResultWaitBit;
            _api.GetQueryPoolResults(_device, pool, 0, (uint)count, (nuint)count * sizeof(ulong), p, sizeof(ulong), Flags)
                .Check("vkGetQueryPoolResults");
        }

        double[] seconds = new double[count / 2];
        for (int i = 0; i < seconds.Length; i++) seconds[i] = ((ticks[(2 * i) + 1] - ticks[2 * i]) & _validBits) * _secondsPerTick;
        return seconds;
    }
}
