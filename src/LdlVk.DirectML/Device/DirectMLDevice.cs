using System.Runtime.InteropServices;
using LdlVk.DirectML.Interop;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML;

/// <summary>
/// A Direct3D 12 adapter as a device. Each op is a DirectML graph of a few operators, compiled at its first use for its shape.
/// <para>
/// Shapes are fixed when a graph is compiled, and DirectML may take another kernel, with another order of sums, for another number of rows.
/// So all ops run on blocks of <see cref="BlockRows"/> rows: a row's bits cannot depend on how many there are, and the number of graphs does
/// not either. What is left of a tensor's rows after the last whole block runs as a block too, whose other rows are thrown away: the waste is
/// below <see cref="BlockRows"/> rows a call.
/// </para>
/// <para>
/// Compiled graphs are kept as long as the device. Of an op with weights there is one for each shape of a weight (two where the last panel of
/// rows is smaller), and of attention one for each number of keys that a tile is given (<see cref="KeysOf(int)"/>: 14 up to 8192 positions) and
/// each of its layer types: for Gemma-2 27B some 60 in all, whatever the texts are.
/// </para>
/// </summary>
internal sealed partial class DirectMLDevice : IDevice, ITimedDevice
{
    /// <summary>Rows of a block.</summary>
    internal const int BlockRows = 64;

    /// <summary>What its ops take beside their operands, for plans.</summary>
    internal static readonly OpScratch OpScratch = new(BlockRows, PanelBytes, Int8PanelRows, GroupsAtOnce);

    private const int MaxColumns = 1 << 20;

    private readonly DirectMLAdapter _adapter;
    private readonly GpuMemory _memory;
    private readonly CommandStream _stream;
    private readonly Dictionary<string, CompiledGraph> _graphs = [];
    private readonly Dictionary<string, GpuBuffer> _constants = [];
    private readonly GpuBuffer?[] _scratch = new GpuBuffer?[Enum.GetValues<Scratch>().Length];
    private readonly bool _packedProducts;
    private bool _disposed;

    public DirectMLDevice(DirectMLAdapter adapter, int index, long? memoryLimit)
    {
        _adapter = adapter;
        Info = adapter.ToInfo(index);
        _memory = new GpuMemory(adapter.Device, memoryLimit);
        _stream = new CommandStream(adapter.Device, adapter.Dml, _memory, watched: Info.Kind != DeviceKind.Software);
        _packedProducts = CompilesPackedProducts(adapter.Dml);
    }

    /// <summary>Device memory that ops need beside their operands, for one purpose each.</summary>
    private enum Scratch
    {
        FirstInput,
        SecondInput,
        ThirdInput,
        Output,
        Panel,
        Queries,
        Keys,
        Values,
        Largest,
        Powers,
        Quotients,
        Integers,
        Scales,
        Products,
        Total,
        NextTotal,
    }

    /// <inheritdoc/>
    public DeviceInfo Info { get; }

    /// <inheritdoc/>
    public long AllocatedBytes { get; private set; }

    /// <summary>All buffers count: tensors, weights, lists, constants, and the ops' scratch; not what the compiled graphs themselves take.</summary>
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
        Clear(buffer.All);
        return new DirectMLTensor(this, buffer, rows, columns);
    }

    /// <inheritdoc/>
    public IWeight CreateWeight(WeightFormat format, int outputFeatures, int inputFeatures, string name = "weight")
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (outputFeatures <= 0 || inputFeatures is <= 0 or > MaxColumns) throw new ArgumentException($"{name}: [{outputFeatures}, {inputFeatures}] is no weight matrix");
        ulong bytes = DirectMLWeight.ScalesOffset(format, outputFeatures, inputFeatures) + ((ulong)outputFeatures * (ulong)WeightLayout.ScalesPerRow(format, inputFeatures) * 2);
        return new DirectMLWeight(this, Allocate(bytes, $"weight {name} [{outputFeatures}, {inputFeatures}] in {format}"), format, outputFeatures, inputFeatures);
    }

    /// <inheritdoc/>
    public void Fill(IWeight weight, IWeightSource source, IProgress<long>? progress = null, CancellationToken cancellation = default)
    {
        OpChecks.Fill(weight, source);
        DirectMLWeight target = Own(weight);
        cancellation.ThrowIfCancellationRequested();
        // The device computes while the host reads rows; and what copies wait for is on its way.
        _stream.Submit();
        target.Scale = source.Scale;
        if (source is DirectMLHostWeight pinned && pinned.BufferFor(this) is { } memory)
        {
            _stream.Copies.Copy(target.Values(0, target.OutputFeatures), memory, 0);
            if (target.Scales(0, target.OutputFeatures) is { Bytes: > 0 } scales) _stream.Copies.Copy(scales, memory, pinned.ScalesOffset);
            progress?.Report(pinned.Bytes);
        }
        else
        {
            FillByRows(target, source, progress, cancellation);
        }
        _stream.Copies.Submit();
    }

    /// <inheritdoc/>
    public IHostWeight Pin(IWeightSource source, IProgress<long>? progress = null, CancellationToken cancellation = default)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        _stream.Copies.Collect();
        DirectMLHostWeight pinned = new(this, _adapter.Device, source);
        PinnedBytes += pinned.Bytes;
        try
        {
            pinned.Read(source, progress, cancellation);
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
        int[] padded = new int[Math.Max(BlockRows, (values.Length + BlockRows - 1) / BlockRows * BlockRows)];
        values.CopyTo(padded);
        GpuBuffer buffer = Allocate((ulong)padded.Length * sizeof(int), $"{values.Length} indices");
        Upload(buffer, MemoryMarshal.AsBytes(padded.AsSpan()));
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
        int rows = OpChecks.WriteRows(destination, firstRow, values.Length);
        IDirectMLTensor target = Own(destination);
        int stride = target.Stride, columns = target.Columns, rowsPerChunk = Math.Max(1, HostBuffers.ChunkBytes / (stride * sizeof(float)));
        for (int row = 0; row < rows; row += rowsPerChunk)
        {
            int count = Math.Min(rowsPerChunk, rows - row);
            _stream.Upload(target.RegionOf(firstRow + row, count), values.Slice(row * columns, count * columns), (bytes, from) =>
            {
                Span<float> padded = MemoryMarshal.Cast<byte, float>(bytes);
                for (int i = 0; i < count; i++)
                {
                    from.Slice(i * columns, columns).CopyTo(padded[(i * stride)..]);
                    padded.Slice((i * stride) + columns, stride - columns).Clear();
                }
            });
        }
    }

    /// <inheritdoc/>
    public void Read(ITensor source, Span<float> destination)
    {
        OpChecks.Read(source, destination.Length);
        using IReadback readback = BeginRead(source);
        readback.Finish(destination);
    }

    /// <inheritdoc/>
    public IReadback BeginRead(ITensor source)
    {
        IDirectMLTensor tensor = Own(source);
        DirectMLReadback readback = new(this, source, tensor.Stride);
        int rowsPerChunk = Math.Max(1, HostBuffers.ChunkBytes / (tensor.Stride * sizeof(float)));
        try
        {
            for (int row = 0; row < tensor.Rows; row += rowsPerChunk)
            {
                int count = Math.Min(rowsPerChunk, tensor.Rows - row);
                readback.Add(_stream.Download(tensor.RegionOf(row, count)), count);
            }
            _stream.Submit();
            return readback;
        }
        catch
        {
            readback.Dispose();
            throw;
        }
    }

    /// <summary>Closes the device and frees all that it holds, tensors and weights that were not disposed included.</summary>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _stream.Dispose();
        foreach (CompiledGraph graph in _graphs.Values) graph.Dispose();
        _memory.Dispose();
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

    /// <summary>Scratch memory of at least a size; what it holds is undefined.</summary>
    private Region Temporary(Scratch purpose, ulong bytes)
    {
        ref GpuBuffer? buffer = ref _scratch[(int)purpose];
        if (buffer is null || buffer.Bytes < bytes)
        {
            if (buffer is not null) _memory.Free(buffer);
            buffer = null;
            buffer = _memory.Allocate(bytes, "an operation's operands", _stream.WaitAndCollect);
        }
        return buffer.All with { Bytes = bytes };
    }

    /// <summary>Values that ops need, uploaded at the first call.</summary>
    private Region Constant<T>(string name, Func<T[]> values)
        where T : unmanaged
    {
        if (_constants.TryGetValue(name, out GpuBuffer? known)) return known.All;
        T[] made = values();
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(made.AsSpan());
        GpuBuffer buffer = _memory.Allocate((ulong)bytes.Length, $"constants of {name}", _stream.WaitAndCollect);
        Upload(buffer, bytes);
        _constants.Add(name, buffer);
        return buffer.All;
    }

    private unsafe void FillByRows(DirectMLWeight target, IWeightSource source, IProgress<long>? progress, CancellationToken cancellation)
    {
        long rowBytes = WeightLayout.RowBytes(source.Format, source.InputFeatures);
        int rowScales = WeightLayout.ScalesPerRow(source.Format, source.InputFeatures);
        int rowsPerChunk = (int)Math.Clamp(HostBuffers.ChunkBytes / (rowBytes + (rowScales * 2)), 1, source.OutputFeatures);
        Half[] scales = new Half[rowsPerChunk * rowScales];
        for (int row = 0; row < source.OutputFeatures; row += rowsPerChunk)
        {
            cancellation.ThrowIfCancellationRequested();
            int rows = Math.Min(rowsPerChunk, source.OutputFeatures - row);
            _stream.Copies.Upload(target.Values(row, rows), (source, row, rows, scales), static (bytes, chunk) =>
            {
                fixed (byte* values = bytes)
                fixed (Half* first = chunk.scales)
                    WeightRows.ReadSome(chunk.source, chunk.row, chunk.rows, values, first);
            });
            if (rowScales > 0) _stream.Copies.Upload(target.Scales(row, rows), scales, static (bytes, from) => MemoryMarshal.AsBytes(from.AsSpan())[..bytes.Length].CopyTo(bytes));
            progress?.Report(rows * (rowBytes + (rowScales * 2L)));
        }
    }

    private void Upload(GpuBuffer buffer, ReadOnlySpan<byte> bytes)
    {
        for (int done = 0; done < bytes.Length; done += HostBuffers.ChunkBytes)
        {
            ReadOnlySpan<byte> part = bytes.Slice(done, Math.Min(HostBuffers.ChunkBytes, bytes.Length - done));
            _stream.Upload(new Region(buffer, (ulong)done, (ulong)part.Length), part, static (to, from) => from.CopyTo(to));
        }
    }

    /// <summary>Zeroes bytes.</summary>
    private void Clear(Region region)
    {
        // What a small memory limit can spare.
        const int ZeroBytes = 64 << 10;
        Region zeros = Constant("zeros", () => new byte[ZeroBytes]);
        for (ulong done = 0; done < region.Bytes; done += ZeroBytes)
        {
            ulong bytes = Math.Min(ZeroBytes, region.Bytes - done);
            _stream.Copy(new Region(region.Buffer, region.Offset + done, bytes), zeros with { Bytes = bytes });
        }
    }

    /// <summary>The compiled graph of that name, which says all that it was compiled for.</summary>
    private CompiledGraph Graph(string name, Action<GraphBuilder> write)
    {
        if (_graphs.TryGetValue(name, out CompiledGraph? known)) return known;
        using GraphBuilder builder = new(_adapter.Dml, _packedProducts);
        write(builder);
        CompiledGraph graph = builder.Compile(name);
        try
        {
            _stream.Initialise(graph);
            _graphs.Add(name, graph);
            return graph;
        }
        catch
        {
            if (graph.Persistent is { } kept) _memory.Free(kept);
            graph.Dispose();
            throw;
        }
    }

    private static bool CompilesPackedProducts(DmlDevice device)
    {
        using GraphBuilder builder = new(device, packedProducts: true);
        GraphValue x = builder.Input(TensorLayout.Matrix(4, 32, 32)), y = builder.Input(x.Layout);
        try
        {
            builder.Output(builder.Multiply(x, y));
            builder.Compile("a product").Dispose();
            return true;
        }
        catch (Runtime.DeviceException e) when (e.Failure == Runtime.DeviceFailure.Other)
        {
            return false;
        }
    }

    private IDirectMLTensor Own(ITensor tensor) => tensor is IDirectMLTensor own && Mine(own.Owner.Device) && own.Owner.Buffer is not null ? own : throw Foreign("tensor");

    private DirectMLWeight Own(IWeight weight) => weight is DirectMLWeight own && Mine(own.Device) && own.Buffer is not null ? own : throw Foreign("weight");

    private DirectMLIndices Own(IIndexList list) => list is DirectMLIndices own && Mine(own.Device) && own.Buffer is not null ? own : throw Foreign("index list");

    private bool Mine(DirectMLDevice device)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return device == this;
    }

    private static ArgumentException Foreign(string what) => new($"The {what} belongs to another device.");

    /// <summary>Refuses an output that shares memory with an input, where the op's contract does not allow it.</summary>
    private void Apart(string op, ITensor output, ITensor input)
    {
        if (Own(output).Overlaps(Own(input))) throw new ArgumentException($"{op}: output and input share memory.");
    }
}
