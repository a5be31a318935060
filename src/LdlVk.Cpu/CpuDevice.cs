using LdlVk.Cpu.Memory;
using LdlVk.Cpu.Ops;
using LdlVk.Runtime.Devices;

namespace LdlVk.Cpu;

/// <summary>
/// The processor as a device. Every op is done when its method returns.
/// <para>
/// The bits of a result are the same on every machine and with any number of threads: sums have one written order, of eight lanes whatever
/// the width of the processor's vectors, multiply-adds are fused by name, and exponentials are our own.
/// </para>
/// </summary>
public sealed unsafe class CpuDevice : ICheckedDevice, ITimedDevice
{
    // Wider rows could not be padded within an int.
    private const int MaxColumns = int.MaxValue - WeightLayout.GroupSize;

    private readonly HostMemory _memory;

    // Pinned weights outlive the device.
    private readonly HostMemory _pinned = new(null);
    private readonly Workers _workers;
    private bool _disposed;

    internal CpuDevice(DeviceInfo info, int threads, long? memoryLimit = null, Vectors? vectors = null)
    {
        Info = info;
        _memory = new HostMemory(memoryLimit);
        _workers = new Workers(_memory, threads, vectors ?? Vectors.Best);
    }

    /// <inheritdoc/>
    public DeviceInfo Info { get; }

    bool ICheckedDevice.IsDisposed => _disposed;

    /// <inheritdoc/>
    public long AllocatedBytes => _memory.AllocatedBytes;

    /// <summary>All native memory counts: tensors, weights, and the scratch memory of ops.</summary>
    public long PeakBytes => _memory.PeakBytes;

    /// <inheritdoc/>
    public long PinnedBytes => _pinned.AllocatedBytes;

    /// <inheritdoc/>
    public string? WhyNotTimed => null;

    /// <summary>Every op is done when its method returns, so the wall clock tells.</summary>
    public IOpTimer StartTimer() => new WallTimer();

    /// <inheritdoc/>
    public ITensor CreateTensor(int rows, int columns)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(columns);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(columns, MaxColumns);
        long bytes = CpuTensor.Elements(rows, columns) * sizeof(float);
        return new CpuTensor(this, _memory.Allocate(bytes, $"tensor [{rows}, {columns}]", zeroed: true), rows, columns);
    }

    /// <inheritdoc/>
    public IWeight CreateWeight(WeightFormat format, int outputFeatures, int inputFeatures, string name = "weight") =>
        Allocate(_memory, format, outputFeatures, inputFeatures, name);

    /// <inheritdoc/>
    public void Fill(IWeight weight, IWeightSource source, IProgress<long>? progress = null, CancellationToken cancellationToken = default)
    {
        OpChecks.Fill(this, weight, source);
        ((CpuWeight)weight).Fill(source, _workers.Count, progress, cancellationToken);
    }

    /// <inheritdoc/>
    public IHostWeight Pin(IWeightSource source, IProgress<long>? progress = null, CancellationToken cancellationToken = default)
    {
        CpuWeight weight = Allocate(_pinned, source.Format, source.OutputFeatures, source.InputFeatures, source.Name);
        try
        {
            weight.Fill(source, _workers.Count, progress, cancellationToken);
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
        ObjectDisposedException.ThrowIf(_disposed, this);
        for (int i = 0; i < values.Length; i++)
            if (values[i] < 0) throw new ArgumentException($"Index {i} is {values[i]}; indices are not negative.");
        return new CpuIndexList(this, values.ToArray());
    }

    /// <inheritdoc/>
    public ISegmentList CreateSegments(ReadOnlySpan<AttentionSegment> segments)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return new CpuSegmentList(this, segments.ToArray());
    }

    /// <inheritdoc/>
    public void Write(ITensor destination, int firstRow, ReadOnlySpan<float> values)
    {
        int rows = OpChecks.Write(this, destination, firstRow, values.Length);
        var target = (CpuTensor)destination.View(firstRow, rows);
        for (int i = 0; i < rows; i++)
            values.Slice(i * target.Columns, target.Columns).CopyTo(
                new Span<float>(target.Data + ((long)i * target.Stride), target.Columns));
    }

    /// <inheritdoc/>
    public void Read(ITensor source, Span<float> destination)
    {
        OpChecks.Read(this, source, destination.Length);
        var tensor = (CpuTensor)source;
        for (int i = 0; i < tensor.Rows; i++)
            new ReadOnlySpan<float>(tensor.Data + ((long)i * tensor.Stride), tensor.Columns).CopyTo(destination[(i * tensor.Columns)..]);
    }

    /// <inheritdoc/>
    public IReadback BeginRead(ITensor source)
    {
        OpChecks.BeginRead(this, source);
        float[] values = new float[(long)source.Rows * source.Columns];
        Read(source, values);
        return new CpuReadback(source.Rows, source.Columns, values);
    }

    /// <summary>Copies a tensor. This device's memory is host memory, so that nothing is gained by it.</summary>
    public IHostTensor Save(ITensor source)
    {
        OpChecks.Save(this, source);
        var tensor = (CpuTensor)source;
        long bytes = CpuTensor.Elements(tensor.Rows, tensor.Columns) * sizeof(float);
        NativeBuffer copy = _pinned.Allocate(bytes, $"a copy of [{tensor.Rows}, {tensor.Columns}]");
        Buffer.MemoryCopy(tensor.Data, copy.Pointer, bytes, bytes);
        return new CpuHostTensor(this, copy, tensor.Rows, tensor.Columns);
    }

    /// <inheritdoc/>
    public ITensor Restore(IHostTensor source)
    {
        OpChecks.Restore(this, source);
        var saved = (CpuHostTensor)source;
        NativeBuffer memory = _memory.Allocate(saved.Bytes, $"tensor [{saved.Rows}, {saved.Columns}]");
        Buffer.MemoryCopy(saved.Data, memory.Pointer, saved.Bytes, saved.Bytes);
        return new CpuTensor(this, memory, saved.Rows, saved.Columns);
    }

    /// <inheritdoc/>
    public void Linear(
        ITensor output, ITensor input, IWeight weight, ITensor? bias = null, Activation activation = Activation.None,
        SumFormat sums = SumFormat.Fp32)
    {
        OpChecks.Linear(this, output, input, weight, bias, activation, sums);
        LinearOp.Run(_workers, _memory, (CpuTensor)output, (CpuTensor)input, (CpuWeight)weight, (CpuTensor?)bias, activation, sums);
    }

    /// <inheritdoc/>
    public void GatedLinear(
        ITensor output, ITensor scratch, ITensor input, IWeight gate, IWeight up, GateActivation activation,
        SumFormat sums = SumFormat.Fp32)
    {
        OpChecks.GatedLinear(this, output, scratch, input, gate, up, activation, sums);
        GatedLinearOp.Run(
            _workers, _memory, (CpuTensor)output, (CpuTensor)scratch, (CpuTensor)input, (CpuWeight)gate, (CpuWeight)up, activation, sums);
    }

    /// <inheritdoc/>
    public void Int8Linear(ITensor output, ITensor input, IWeight weight, ITensor? bias = null)
    {
        OpChecks.Int8Linear(this, output, input, weight, bias);
        Int8LinearOp.Run(_workers, _memory, (CpuTensor)output, (CpuTensor)input, (CpuWeight)weight, (CpuTensor?)bias);
    }

    /// <inheritdoc/>
    public void RmsNorm(ITensor output, ITensor input, ITensor weight, float epsilon)
    {
        OpChecks.RmsNorm(this, output, input, weight);
        RmsNormOp.Run(_workers, (CpuTensor)output, (CpuTensor)input, (CpuTensor)weight, epsilon, add: false);
    }

    /// <inheritdoc/>
    public void NormAdd(ITensor residual, ITensor y, ITensor weight, float epsilon)
    {
        OpChecks.NormAdd(this, residual, y, weight);
        NormAddOp.Run(_workers, (CpuTensor)residual, (CpuTensor)y, (CpuTensor)weight, epsilon);
    }

    /// <inheritdoc/>
    public void Add(ITensor residual, ITensor y)
    {
        OpChecks.Add(this, residual, y);
        AddOp.Run(_workers, (CpuTensor)residual, (CpuTensor)y);
    }

    /// <inheritdoc/>
    public void AddNorm(ITensor output, ITensor residual, ITensor y, ITensor? yWeight, ITensor weight, float epsilon)
    {
        OpChecks.AddNorm(this, output, residual, y, yWeight, weight);
        AddNormOp.Run(_workers, (CpuTensor)output, (CpuTensor)residual, (CpuTensor)y, (CpuTensor?)yWeight, (CpuTensor)weight, epsilon);
    }

    /// <inheritdoc/>
    public void HeadNorm(ITensor x, int heads, ITensor weight, float epsilon)
    {
        OpChecks.HeadNorm(this, x, heads, weight);
        HeadNormOp.Run(_workers, (CpuTensor)x, heads, (CpuTensor)weight, epsilon);
    }

    /// <inheritdoc/>
    public void Rope(ITensor x, int heads, IIndexList positions, ITensor table)
    {
        OpChecks.Rope(this, x, heads, positions, table);
        RopeOp.Run(_workers, (CpuTensor)x, heads, ((CpuIndexList)positions).Values, (CpuTensor)table);
    }

    /// <inheritdoc/>
    public void Attention(
        ITensor output, ITensor queries, ITensor keys, ITensor values, ISegmentList segments, in AttentionShape shape)
    {
        OpChecks.Attention(this, output, queries, keys, values, segments, shape);
        AttentionOp.Run(_workers, (CpuTensor)output, (CpuTensor)queries, (CpuTensor)keys, (CpuTensor)values, segments.Segments, shape);
    }

    /// <inheritdoc/>
    public void GateMultiply(ITensor output, ITensor gate, ITensor up, GateActivation activation)
    {
        OpChecks.GateMultiply(this, output, gate, up, activation);
        GateMultiplyOp.Run(_workers, (CpuTensor)output, (CpuTensor)gate, (CpuTensor)up, activation);
    }

    /// <inheritdoc/>
    public void GatherRows(ITensor output, ITensor input, IIndexList rows)
    {
        OpChecks.GatherRows(this, output, input, rows);
        GatherRowsOp.Run(_workers, (CpuTensor)output, (CpuTensor)input, ((CpuIndexList)rows).Values);
    }

    /// <inheritdoc/>
    public void LdlReadout(ITensor output, ITensor regression, ITensor gating, float gateTemperature)
    {
        (int attributes, int bins) = OpChecks.LdlReadout(this, output, regression, gating);
        LdlReadoutOp.Run(_workers, (CpuTensor)output, (CpuTensor)regression, (CpuTensor)gating, attributes, bins, gateTemperature);
    }

    /// <summary>Closes the device and frees all that it holds, tensors and weights that were not disposed included.</summary>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _workers.Dispose();
        _memory.Dispose();
    }

    private CpuWeight Allocate(HostMemory from, WeightFormat format, int outputFeatures, int inputFeatures, string name)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (outputFeatures <= 0 || inputFeatures is <= 0 or > MaxColumns) throw new ArgumentException(
            $"{name}: [{outputFeatures}, {inputFeatures}] is no weight matrix");

        string owner = $"weight {name} [{outputFeatures}, {inputFeatures}] in {format}";
        int rowScales = WeightLayout.ScalesPerRow(format, inputFeatures);
        NativeBuffer values = from.Allocate(outputFeatures * WeightLayout.RowBytes(format, inputFeatures), owner);
        try
        {
            NativeBuffer? scales = rowScales > 0 ? from.Allocate((long)outputFeatures * rowScales * sizeof(Half), $"the scales of {owner}")
                : null;
            return new CpuWeight(this, format, outputFeatures, inputFeatures, values, scales);
        }
        catch
        {
            values.Dispose();
            throw;
        }
    }
}
