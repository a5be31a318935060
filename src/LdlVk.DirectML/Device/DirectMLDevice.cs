using System.Runtime.InteropServices;
using LdlVk.DirectML.Commands;
using LdlVk.DirectML.Graphs;
using LdlVk.DirectML.Interop;
using LdlVk.DirectML.Memory;
using LdlVk.DirectML.Ops;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML.Device;

/// <summary>
/// A Direct3D 12 adapter as a device. Each op is a class in Ops/: a DirectML graph of a few operators, compiled at its first use for its
/// shape (<see cref="GraphCache"/>) and run on blocks of rows (<see cref="RowBlocks"/>). <see cref="Transfers"/> moves data to the device
/// and back.
/// </summary>
internal sealed class DirectMLDevice : ICheckedDevice, ITimedDevice
{
    /// <summary>Device memory that its ops take beside their operands, for plans.</summary>
    internal static readonly OpScratch OpScratch = new(RowBlocks.Rows, WeightPanels.PanelBytes, Int8LinearOp.PanelRows,
        Int8LinearOp.GroupsAtOnce);

    private const int MaxColumns = 1 << 20;

    private readonly DirectMLAdapter _adapter;
    private readonly GpuMemory _memory, _saved;
    private readonly CommandStream _stream;
    private readonly GraphCache _graphs;
    private readonly Constants _constants;
    private readonly Transfers _transfers;
    private readonly OpContext _context;
    private bool _disposed;

    public DirectMLDevice(DirectMLAdapter adapter, int index, long? memoryLimit)
    {
        _adapter = adapter;
        Info = adapter.ToInfo(index);
        _memory = new GpuMemory(adapter.Device, memoryLimit);
        _saved = new GpuMemory(adapter.Device, null, HeapType.Custom);
        _stream = new CommandStream(adapter.Device, adapter.Dml, _memory, _saved, watched: Info.Kind != DeviceKind.Software);
        _graphs = new GraphCache(adapter.Dml, _stream, _memory);
        _constants = new Constants(_memory, _stream);
        _transfers = new Transfers(this, _stream);
        _context = new OpContext(_stream, _graphs, new ScratchMemory(_memory, _stream), _constants);
    }

    bool ICheckedDevice.IsDisposed => _disposed;

    /// <inheritdoc/>
    public DeviceInfo Info { get; }

    /// <inheritdoc/>
    public long AllocatedBytes { get; private set; }

    /// <summary>
    /// All buffers count: tensors, weights, lists, constants, and the ops' scratch; not what the compiled graphs themselves take.
    /// </summary>
    public long PeakBytes => _memory.Peak;

    /// <summary>Bytes taken from the driver now.</summary>
    internal long HeldBytes => _memory.Held;

    /// <inheritdoc/>
    public long PinnedBytes { get; private set; }

    /// <inheritdoc/>
    public string? WhyNotTimed => null;

    /// <inheritdoc/>
    public IOpTimer StartTimer()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return new DirectMLTimer(_stream.WaitAndCollect);
    }

    /// <inheritdoc/>
    public ITensor CreateTensor(int rows, int columns)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(columns);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(columns, MaxColumns);
        GpuBuffer buffer = Allocate((ulong)rows * (ulong)WeightLayout.PaddedRow(columns) * sizeof(float), $"tensor [{rows}, {columns}]");
        _constants.Clear(buffer.All);
        return new DirectMLTensor(this, buffer, rows, columns);
    }

    /// <inheritdoc/>
    public IWeight CreateWeight(WeightFormat format, int outputFeatures, int inputFeatures, string name = "weight")
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (outputFeatures <= 0 || inputFeatures is <= 0 or > MaxColumns) throw new ArgumentException(
            $"{name}: [{outputFeatures}, {inputFeatures}] is no weight matrix");
        ulong bytes = DirectMLWeight.ScalesOffset(format, outputFeatures, inputFeatures)
            + ((ulong)outputFeatures * (ulong)WeightLayout.ScalesPerRow(format, inputFeatures) * 2);
        return new DirectMLWeight(this, Allocate(bytes, $"weight {name} [{outputFeatures}, {inputFeatures}] in {format}"), format,
            outputFeatures, inputFeatures);
    }

    /// <inheritdoc/>
    public void Fill(IWeight weight, IWeightSource source, IProgress<long>? progress = null, CancellationToken cancellationToken = default)
    {
        OpChecks.Fill(this, weight, source);
        _transfers.Fill((DirectMLWeight)weight, source, progress, cancellationToken);
    }

    /// <inheritdoc/>
    public IHostWeight Pin(IWeightSource source, IProgress<long>? progress = null, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        _stream.Copies.Collect();
        DirectMLHostWeight pinned = new(this, _adapter.Device, source);
        PinnedBytes += pinned.Bytes;
        try
        {
            pinned.Read(source, progress, cancellationToken);
            return pinned;
        }
        catch
        {
            pinned.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public IIndexList CreateIndices(ReadOnlySpan<int> values)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        for (int i = 0; i < values.Length; i++)
            if (values[i] < 0) throw new ArgumentException($"Index {i} is {values[i]}; indices are not negative.");
        int[] padded = new int[Math.Max(RowBlocks.Rows, (values.Length + RowBlocks.Rows - 1) / RowBlocks.Rows * RowBlocks.Rows)];
        values.CopyTo(padded);
        GpuBuffer buffer = Allocate((ulong)padded.Length * sizeof(int), $"{values.Length} indices");
        _stream.Upload(buffer, MemoryMarshal.AsBytes(padded.AsSpan()));
        return new DirectMLIndices(this, buffer, values.ToArray());
    }

    /// <inheritdoc/>
    public ISegmentList CreateSegments(ReadOnlySpan<AttentionSegment> segments)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return new DirectMLSegments(this, segments.ToArray());
    }

    /// <inheritdoc/>
    public void Write(ITensor destination, int firstRow, ReadOnlySpan<float> values)
    {
        int rows = OpChecks.Write(this, destination, firstRow, values.Length);
        _transfers.Write(Of(destination), firstRow, rows, values);
    }

    /// <inheritdoc/>
    public void Read(ITensor source, Span<float> destination)
    {
        OpChecks.Read(this, source, destination.Length);
        using IReadback readback = BeginRead(source);
        readback.Finish(destination);
    }

    /// <inheritdoc/>
    public IReadback BeginRead(ITensor source)
    {
        OpChecks.BeginRead(this, source);
        return _transfers.BeginRead(Of(source));
    }

    /// <summary>Copies a tensor to host memory, in the order of the ops and on their queue.</summary>
    public IHostTensor Save(ITensor source)
    {
        OpChecks.Save(this, source);
        Region rows = Of(source).RegionOf(0, source.Rows);
        GpuBuffer buffer = _saved.Allocate(
            rows.Bytes, $"a tensor [{source.Rows}, {source.Columns}] in host memory", _stream.WaitAndCollect);
        PinnedBytes += (long)buffer.Bytes;
        var saved = new DirectMLHostTensor(this, buffer, source.Rows, source.Columns);
        try
        {
            if (rows.Bytes > 0) _stream.Copy(buffer.All with { Bytes = rows.Bytes }, rows);
            return saved;
        }
        catch
        {
            saved.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public ITensor Restore(IHostTensor source)
    {
        OpChecks.Restore(this, source);
        var saved = (DirectMLHostTensor)source;
        ulong bytes = (ulong)saved.Rows * (ulong)WeightLayout.PaddedRow(saved.Columns) * sizeof(float);
        GpuBuffer buffer = Allocate(bytes, $"tensor [{saved.Rows}, {saved.Columns}]");
        var tensor = new DirectMLTensor(this, buffer, saved.Rows, saved.Columns);
        try
        {
            if (bytes > 0) _stream.Copy(buffer.All with { Bytes = bytes }, saved.Buffer.All with { Bytes = bytes });
            return tensor;
        }
        catch
        {
            tensor.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Linear(
        ITensor output, ITensor input, IWeight weight, ITensor? bias = null, Activation activation = Activation.None,
        SumFormat sums = SumFormat.Fp32)
    {
        OpChecks.Linear(this, output, input, weight, bias, activation, sums);
        LinearOp.Run(_context, Of(output), Of(input), (DirectMLWeight)weight, (IDirectMLTensor?)bias, activation);
    }

    /// <inheritdoc/>
    public void GatedLinear(
        ITensor output, ITensor scratch, ITensor input, IWeight gate, IWeight up, GateActivation activation,
        SumFormat sums = SumFormat.Fp32)
    {
        OpChecks.GatedLinear(this, output, scratch, input, gate, up, activation, sums);
        GatedLinearOp.Run(_context, Of(output), Of(scratch), Of(input), (DirectMLWeight)gate, (DirectMLWeight)up, activation);
    }

    /// <inheritdoc/>
    public void Int8Linear(ITensor output, ITensor input, IWeight weight, ITensor? bias = null)
    {
        OpChecks.Int8Linear(this, output, input, weight, bias);
        Int8LinearOp.Run(_context, Of(output), Of(input), (DirectMLWeight)weight, bias is null ? null : Of(bias));
    }

    /// <inheritdoc/>
    public void RmsNorm(ITensor output, ITensor input, ITensor weight, float epsilon)
    {
        OpChecks.RmsNorm(this, output, input, weight);
        RmsNormOp.Run(_context, Of(output), Of(input), Of(weight), epsilon);
    }

    /// <inheritdoc/>
    public void NormAdd(ITensor residual, ITensor y, ITensor weight, float epsilon)
    {
        OpChecks.NormAdd(this, residual, y, weight);
        NormAddOp.Run(_context, Of(residual), Of(y), Of(weight), epsilon);
    }

    /// <inheritdoc/>
    public void Add(ITensor residual, ITensor y)
    {
        OpChecks.Add(this, residual, y);
        AddOp.Run(_context, Of(residual), Of(y));
    }

    /// <inheritdoc/>
    public void AddNorm(ITensor output, ITensor residual, ITensor y, ITensor? yWeight, ITensor weight, float epsilon)
    {
        OpChecks.AddNorm(this, output, residual, y, yWeight, weight);
        AddNormOp.Run(_context, Of(output), Of(residual), Of(y), yWeight is null ? null : Of(yWeight), Of(weight), epsilon);
    }

    /// <inheritdoc/>
    public void HeadNorm(ITensor x, int heads, ITensor weight, float epsilon)
    {
        OpChecks.HeadNorm(this, x, heads, weight);
        HeadNormOp.Run(_context, Of(x), heads, Of(weight), epsilon);
    }

    /// <inheritdoc/>
    public void Rope(ITensor x, int heads, IIndexList positions, ITensor table)
    {
        OpChecks.Rope(this, x, heads, positions, table);
        RopeOp.Run(_context, Of(x), heads, (DirectMLIndices)positions, Of(table));
    }

    /// <inheritdoc/>
    public void Attention(ITensor output, ITensor queries, ITensor keys, ITensor values, ISegmentList segments, in AttentionShape shape)
    {
        OpChecks.Attention(this, output, queries, keys, values, segments, shape);
        AttentionOp.Run(_context, Of(output), Of(queries), Of(keys), Of(values), (DirectMLSegments)segments, shape);
    }

    /// <inheritdoc/>
    public void GateMultiply(ITensor output, ITensor gate, ITensor up, GateActivation activation)
    {
        OpChecks.GateMultiply(this, output, gate, up, activation);
        GateMultiplyOp.Run(_context, Of(output), Of(gate), Of(up), activation);
    }

    /// <inheritdoc/>
    public void GatherRows(ITensor output, ITensor input, IIndexList rows)
    {
        OpChecks.GatherRows(this, output, input, rows);
        GatherRowsOp.Run(_context, Of(output), Of(input), (DirectMLIndices)rows);
    }

    /// <inheritdoc/>
    public void LdlReadout(ITensor output, ITensor regression, ITensor gating, float gateTemperature)
    {
        (int attributes, int bins) = OpChecks.LdlReadout(this, output, regression, gating);
        LdlReadoutOp.Run(_context, Of(output), Of(regression), Of(gating), attributes, bins, gateTemperature);
    }

    /// <summary>Closes the device and frees all that it holds, tensors and weights that were not disposed included.</summary>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _stream.Dispose();
        _graphs.Dispose();
        _memory.Dispose();
        _saved.Dispose();
        _adapter.Dispose();
        AllocatedBytes = 0;
    }

    /// <summary>Takes back a tensor's or a weight's memory.</summary>
    internal void Free(GpuBuffer buffer)
    {
        if (_disposed) return;
        AllocatedBytes -= (long)buffer.Bytes;
        _memory.Free(buffer);
    }

    /// <summary>Takes back a saved tensor's memory.</summary>
    internal void FreeSaved(GpuBuffer buffer)
    {
        PinnedBytes -= (long)buffer.Bytes;
        if (!_disposed) _saved.Free(buffer);
    }

    /// <summary>Takes back a pinned weight's memory: what the device can copy from, or null.</summary>
    internal void Unpin(long bytes, HostBuffer? buffer)
    {
        PinnedBytes -= bytes;
        if (_disposed) buffer?.Dispose();
        else if (buffer is not null) _stream.Copies.Free(buffer);
    }

    /// <summary>Waits for the values of a readback.</summary>
    internal void WaitFor(ulong value)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        _stream.WaitFor(value);
    }

    /// <summary>Takes back a readback's buffer.</summary>
    internal void End(HostBuffer buffer)
    {
        if (!_disposed) _stream.EndDownload(buffer);
    }

    private GpuBuffer Allocate(ulong bytes, string owner)
    {
        GpuBuffer buffer = _memory.Allocate(bytes, owner, _stream.WaitAndCollect);
        AllocatedBytes += (long)buffer.Bytes;
        return buffer;
    }

    /// <summary>A tensor of this device, as <see cref="OpChecks"/> has made sure.</summary>
    private static IDirectMLTensor Of(ITensor tensor) => (IDirectMLTensor)tensor;
}
