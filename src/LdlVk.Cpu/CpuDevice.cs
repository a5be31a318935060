using LdlVk.Runtime.Devices;

namespace LdlVk.Cpu;

/// <summary>
/// The processor as a device: the executable specification of the op set, the oracle of the other backends, and the device where there is
/// no GPU. Every op is done when its method returns.
/// <para>
/// The bits of a result are the same on every machine and with any number of threads: all vectors have eight lanes whatever the
/// processor's width, multiply-adds are fused by name, exponentials are our own, and sums have one written order.
/// </para>
/// </summary>
public sealed unsafe class CpuDevice : IDevice, ITimedDevice
{
    // Wider rows could not be padded within an int.
    private const int MaxColumns = int.MaxValue - WeightLayout.GroupSize;

    private readonly HostMemory memory;

    // Pinned weights outlive the device.
    private readonly HostMemory pinned = new(null);
    private readonly Workers workers;
    private bool disposed;

    internal CpuDevice(DeviceInfo info, int threads, long? memoryLimit = null)
    {
        Info = info;
        memory = new HostMemory(memoryLimit);
        workers = new Workers(memory, threads);
    }

    /// <inheritdoc/>
    public DeviceInfo Info { get; }

    /// <inheritdoc/>
    public long AllocatedBytes => memory.AllocatedBytes;

    /// <summary>All native memory counts: tensors, weights, and the scratch memory of ops.</summary>
    public long PeakBytes => memory.PeakBytes;

    /// <inheritdoc/>
    public long PinnedBytes => pinned.AllocatedBytes;

    /// <inheritdoc/>
    public string? WhyNotTimed => null;

    /// <summary>Every op is done when its method returns, so the wall clock tells.</summary>
    public IOpTimer StartTimer() => new WallTimer();

    /// <inheritdoc/>
    public ITensor CreateTensor(int rows, int columns)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(columns);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(columns, MaxColumns);
        long bytes = CpuTensor.Elements(rows, columns) * sizeof(float);
        return new CpuTensor(this, memory.Allocate(bytes, $"tensor [{rows}, {columns}]", zeroed: true), rows, columns);
    }

    /// <inheritdoc/>
    public IWeight CreateWeight(WeightFormat format, int outputFeatures, int inputFeatures, string name = "weight") =>
        Allocate(memory, format, outputFeatures, inputFeatures, name);

    /// <inheritdoc/>
    public void Fill(IWeight weight, IWeightSource source, IProgress<long>? progress = null, CancellationToken cancellation = default)
    {
        OpChecks.Fill(weight, source);
        Own(weight).Fill(source, workers.Count, progress, cancellation);
    }

    /// <inheritdoc/>
    public IHostWeight Pin(IWeightSource source, IProgress<long>? progress = null, CancellationToken cancellation = default)
    {
        CpuWeight weight = Allocate(pinned, source.Format, source.OutputFeatures, source.InputFeatures, source.Name);
        try
        {
            weight.Fill(source, workers.Count, progress, cancellation);
            return new CpuHostWeight(weight, source.Name);
        }
        catch
        {
            weight.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public IIndexList CreateIndices(ReadOnlySpan<int> values)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        for (int i = 0; i < values.Length; i++)
            if (values[i] < 0) throw new ArgumentException($"Index {i} is {values[i]}; indices are not negative.");
        return new CpuIndexList(this, values.ToArray());
    }

    /// <inheritdoc/>
    public ISegmentList CreateSegments(ReadOnlySpan<AttentionSegment> segments)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        return new CpuSegmentList(this, segments.ToArray());
    }

    /// <inheritdoc/>
    public void Write(ITensor destination, int firstRow, ReadOnlySpan<float> values)
    {
        int rows = OpChecks.WriteRows(destination, firstRow, values.Length);
        CpuTensor target = Own((CpuTensor)Own(destination).View(firstRow, rows));
        for (int i = 0; i < rows; i++)
            values.Slice(i * target.Columns, target.Columns).CopyTo(new Span<float>(target.Data + ((long)i * target.Stride), target.Columns));
    }

    /// <inheritdoc/>
    public void Read(ITensor source, Span<float> destination)
    {
        CpuTensor tensor = Own(source);
        OpChecks.Read(tensor, destination.Length);
        for (int i = 0; i < tensor.Rows; i++)
            new ReadOnlySpan<float>(tensor.Data + ((long)i * tensor.Stride), tensor.Columns).CopyTo(destination[(i * tensor.Columns)..]);
    }

    /// <inheritdoc/>
    public IReadback BeginRead(ITensor source)
    {
        float[] values = new float[(long)source.Rows * source.Columns];
        Read(source, values);
        return new CpuReadback(source, values);
    }

    /// <inheritdoc/>
    public void Linear(ITensor output, ITensor input, IWeight weight, ITensor? bias = null, Activation activation = Activation.None)
    {
        OpChecks.Linear(output, input, weight, bias);
        Apart("Linear", output, input);
        Cpu.Linear.Run(workers, Own(output), Own(input), Own(weight), bias is null ? null : Own(bias), activation);
    }

    /// <inheritdoc/>
    public void Int8Linear(ITensor output, ITensor input, IWeight weight)
    {
        OpChecks.Int8Linear(output, input, weight);
        Apart("Int8Linear", output, input);
        Cpu.Int8Linear.Run(workers, memory, Own(output), Own(input), Own(weight));
    }

    /// <inheritdoc/>
    public void RmsNorm(ITensor output, ITensor input, ITensor weight, float epsilon)
    {
        OpChecks.Norm("RmsNorm", output, input, weight);
        Norms.Run(workers, Own(output), Own(input), Own(weight), epsilon, add: false);
    }

    /// <inheritdoc/>
    public void NormAdd(ITensor residual, ITensor y, ITensor weight, float epsilon)
    {
        OpChecks.Norm("NormAdd", residual, y, weight);
        Norms.Run(workers, Own(residual), Own(y), Own(weight), epsilon, add: true);
    }

    /// <inheritdoc/>
    public void Add(ITensor residual, ITensor y)
    {
        OpChecks.Add(residual, y);
        Norms.Add(workers, Own(residual), Own(y));
    }

    /// <inheritdoc/>
    public void Rope(ITensor x, int heads, IIndexList positions, ITensor table)
    {
        OpChecks.Rope(x, heads, positions, table);
        Cpu.Rope.Run(workers, Own(x), heads, Own(positions), Own(table));
    }

    /// <inheritdoc/>
    public void Attention(
        ITensor output, ITensor queries, ITensor keys, ITensor values, ISegmentList segments, in AttentionShape shape)
    {
        OpChecks.Attention(output, queries, keys, values, segments, shape);
        Apart("Attention", output, queries);
        Apart("Attention", output, keys);
        Apart("Attention", output, values);
        Own(segments);
        Cpu.Attention.Run(workers, Own(output), Own(queries), Own(keys), Own(values), segments.Segments, shape);
    }

    /// <inheritdoc/>
    public void GatedLinear(ITensor output, ITensor scratch, ITensor input, IWeight gate, IWeight up, GateActivation activation)
    {
        OpChecks.GatedLinear(output, scratch, input, gate, up);
        Linear(output, input, gate);
        Linear(scratch, input, up);
        GateMultiply(output, output, scratch, activation);
    }

    /// <inheritdoc/>
    public void GateMultiply(ITensor output, ITensor gate, ITensor up, GateActivation activation)
    {
        OpChecks.GateMultiply(output, gate, up);
        Gate.Run(workers, Own(output), Own(gate), Own(up), activation);
    }

    /// <inheritdoc/>
    public void GatherRows(ITensor output, ITensor input, IIndexList rows)
    {
        OpChecks.GatherRows(output, input, rows);
        Apart("GatherRows", output, input);
        Gather.Run(workers, Own(output), Own(input), Own(rows));
    }

    /// <inheritdoc/>
    public void LdlReadout(ITensor output, ITensor regression, ITensor gating, float gateTemperature)
    {
        (int attributes, int bins) = OpChecks.LdlReadout(output, regression, gating);
        Apart("LdlReadout", output, regression);
        Apart("LdlReadout", output, gating);
        Readout.Run(workers, Own(output), Own(regression), Own(gating), attributes, bins, gateTemperature);
    }

    /// <summary>Closes the device and frees all that it holds, tensors and weights that were not disposed included.</summary>
    public void Dispose()
    {
        if (disposed) return;
        disposed = true;
        workers.Dispose();
        memory.Dispose();
    }

    private CpuWeight Allocate(HostMemory from, WeightFormat format, int outputFeatures, int inputFeatures, string name)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        if (outputFeatures <= 0 || inputFeatures is <= 0 or > MaxColumns) throw new ArgumentException($"{name}: [{outputFeatures}, {inputFeatures}] is no weight matrix");

        string owner = $"weight {name} [{outputFeatures}, {inputFeatures}] in {format}";
        int rowScales = WeightLayout.ScalesPerRow(format, inputFeatures);
        NativeBuffer values = from.Allocate(outputFeatures * WeightLayout.RowBytes(format, inputFeatures), owner);
        try
        {
            NativeBuffer? scales = rowScales > 0 ? from.Allocate((long)outputFeatures * rowScales * sizeof(Half), $"the scales of {owner}") : null;
            return new CpuWeight(this, format, outputFeatures, inputFeatures, values, scales);
        }
        catch
        {
            values.Dispose();
            throw;
        }
    }

    private CpuTensor Own(ITensor tensor) => tensor is CpuTensor own && Mine(own.Device) ? own : throw Foreign("tensor");

    private CpuWeight Own(IWeight weight) => weight is CpuWeight own && Mine(own.Device) ? own : throw Foreign("weight");

    private int[] Own(IIndexList list) => list is CpuIndexList own && Mine(own.Device) ? own.Values : throw Foreign("index list");

    private void Own(ISegmentList list) => _ = list is CpuSegmentList own && Mine(own.Device) ? own : throw Foreign("segment list");

    private bool Mine(CpuDevice device)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        return device == this;
    }

    private static ArgumentException Foreign(string what) => new($"The {what} belongs to another device.");

    /// <summary>Refuses an output that shares memory with an input, where the op's contract does not allow it.</summary>
    private void Apart(string op, ITensor output, ITensor input)
    {
        if (Own(output).Overlaps(Own(input))) throw new ArgumentException($"{op}: output and input share memory.");
    }
}
