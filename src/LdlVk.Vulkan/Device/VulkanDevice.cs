using System.Text.Json;
using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Memory;
using LdlVk.Vulkan.Ops;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Device;

/// <summary>
/// The op set on one Vulkan device. Each op is a class in Ops/, which records its dispatches into a <see cref="CommandStream"/> in call
/// order. <see cref="Transfers"/> and <see cref="WeightFiller"/> move data to the device and back.
/// </summary>
internal sealed class VulkanDevice : ICheckedDevice, ITimedDevice, ITunableDevice, ISelfTestedDevice
{
    private readonly Transfers _transfers;
    private readonly TensorFactory _tensors;
    private readonly WeightFiller _weights;
    private bool _disposed;

    /// <summary>
    /// Opens a device and takes over the instance, which is disposed with it; if this throws, the caller still owns the instance.
    /// </summary>
    public VulkanDevice(VulkanInstance instance, PhysicalDevice physicalDevice, int index, VulkanOptions options)
    {
        Resources = new DeviceResources(instance, physicalDevice, options);
        Info = Resources.Facts.ToInfo(index, Resources.Family);
        Own = new Ownership(this);
        Ops = new OpSet(this, Resources);
        _transfers = new Transfers(this, Resources);
        _tensors = new TensorFactory(this, Resources, _transfers);
        _weights = new WeightFiller(this, Resources, Ops.RandomFill);
    }

    bool ICheckedDevice.IsDisposed => _disposed;

    public DeviceInfo Info { get; }

    internal DeviceResources Resources { get; }

    internal OpSet Ops { get; }

    /// <summary>Gives operands their own types.</summary>
    internal Ownership Own { get; }

    public long AllocatedBytes => Resources.Memory.UsedBytes;

    /// <summary>
    /// Bytes of device memory asked of vkAllocateMemory: the blocks of tensors and weights and, where no limit is set, the twins of staging
    /// chunks. Memory that the host can see (staging chunks, pinned weights) is host memory, as it is on a graphics card.
    /// </summary>
    public long PeakBytes => Resources.Budget.Peak;

    public long PinnedBytes => Resources.Pinned.Bytes + Resources.Saved.UsedBytes;

    public string? WhyNotTimed => Resources.Facts.TimestampBits == 0 ? $"the driver of {Info.Id} has no timestamps" : null;

    public IOpTimer StartTimer()
    {
        ThrowIfDisposed();
        return WhyNotTimed is null ? Resources.StartTimer() : throw new NotSupportedException(WhyNotTimed);
    }

    public string? ChoicesFile => Resources.LinearKernels.Choices.FilePath;

    public IReadOnlyList<LinearProduct> Untuned(IEnumerable<LinearProduct> products) => Resources.LinearKernels.Untuned(products);

    public IReadOnlyList<string> Tilings(in LinearProduct product)
    {
        LinearKernels kernels = Resources.LinearKernels;
        return [.. kernels.Candidates(kernels.KeyOf(product)).Select(tiling => tiling.Name)];
    }

    public IDisposable Use(string tiling) => Resources.LinearKernels.Force(tiling);

    public bool Tune(
        IReadOnlyList<LinearProduct> products, TimeSpan? limit = null, IProgress<TunedProduct>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ThrowIfDisposed();
        return new Tuner(this, limit).Tune(products, progress, cancellationToken);
    }

    /// <summary>Opens the device once more; the options are like its own.</summary>
    internal required Func<UploadQueue, bool, VulkanDevice> OpenAgain { private get; init; }

    public IReadOnlyList<KernelStatistics> Kernels => Resources.Pipelines.Statistics;

    public ISelfTestedDevice? Reopen(Reopening reopening) => reopening switch
    {
        Reopening.OneQueue => OpenAgain(UploadQueue.Computing, false),
        Reopening.TwoQueues => OpenAgain(UploadQueue.Separate, false),
        _ => Resources.CanDescribeKernels ? OpenAgain(UploadQueue.Auto, true) : null,
    };

    public IReadOnlyList<PeakRate> MeasurePeaks() => [.. new PeakOp(this).Measure()];

    public void Describe(Utf8JsonWriter json) => Resources.Describe(json);

    public ITensor CreateTensor(int rows, int columns) => _tensors.CreateTensor(rows, columns);

    public IWeight CreateWeight(WeightFormat format, int outputFeatures, int inputFeatures, string name = "weight") =>
        _tensors.CreateWeight(format, outputFeatures, inputFeatures, name);

    public IIndexList CreateIndices(ReadOnlySpan<int> values) => _tensors.CreateIndices(values);

    public ISegmentList CreateSegments(ReadOnlySpan<AttentionSegment> segments) => _tensors.CreateSegments(segments);

    public void Fill(
        IWeight weight, IWeightSource source, IProgress<long>? progress = null, CancellationToken cancellationToken = default) =>
        _weights.Fill(weight, source, progress, cancellationToken);

    public IHostWeight Pin(IWeightSource source, IProgress<long>? progress = null, CancellationToken cancellationToken = default) =>
        _weights.Pin(source, progress, cancellationToken);

    public void Write(ITensor destination, int firstRow, ReadOnlySpan<float> values) => _transfers.Write(destination, firstRow, values);

    public void Read(ITensor source, Span<float> destination) => _transfers.Read(source, destination);

    public IReadback BeginRead(ITensor source) => _transfers.BeginRead(source);

    public IHostTensor Save(ITensor source) => _transfers.Save(source);

    public ITensor Restore(IHostTensor source) => _tensors.Restore(source);

    public void Linear(
        ITensor output, ITensor input, IWeight weight, ITensor? bias = null, Activation activation = Activation.None,
        SumFormat sums = SumFormat.Fp32) =>
        Ops.Linear.Record(output, input, weight, bias, activation, sums);

    public void GatedLinear(
        ITensor output, ITensor scratch, ITensor input, IWeight gate, IWeight up, GateActivation activation,
        SumFormat sums = SumFormat.Fp32) =>
        Ops.GatedLinear.Record(output, scratch, input, gate, up, activation, sums);

    public void Int8Linear(ITensor output, ITensor input, IWeight weight, ITensor? bias = null) =>
        Ops.Int8Linear.Record(output, input, weight, bias);

    public void RmsNorm(ITensor output, ITensor input, ITensor weight, float epsilon) => Ops.RmsNorm.Record(output, input, weight, epsilon);

    public void NormAdd(ITensor residual, ITensor y, ITensor weight, float epsilon) => Ops.NormAdd.Record(residual, y, weight, epsilon);

    public void Add(ITensor residual, ITensor y) => Ops.Add.Record(residual, y);

    public void AddNorm(ITensor output, ITensor residual, ITensor y, ITensor? yWeight, ITensor weight, float epsilon) =>
        Ops.AddNorm.Record(output, residual, y, yWeight, weight, epsilon);

    public void HeadNorm(ITensor x, int heads, ITensor weight, float epsilon) => Ops.HeadNorm.Record(x, heads, weight, epsilon);

    public void Rope(ITensor x, int heads, IIndexList positions, ITensor table) => Ops.Rope.Record(x, heads, positions, table);

    public void Attention(ITensor output, ITensor queries, ITensor keys, ITensor values, ISegmentList segments, in AttentionShape shape) =>
        Ops.Attention.Record(output, queries, keys, values, segments, shape);

    public void GateMultiply(ITensor output, ITensor gate, ITensor up, GateActivation activation) =>
        Ops.GateMultiply.Record(output, gate, up, activation);

    public void GatherRows(ITensor output, ITensor input, IIndexList rows) => Ops.GatherRows.Record(output, input, rows);

    public void LdlReadout(ITensor output, ITensor regression, ITensor gating, float gateTemperature) =>
        Ops.LdlReadout.Record(output, regression, gating, gateTemperature);

    internal void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(_disposed, this);

    /// <summary>Takes the memory of a tensor, a weight or a list back.</summary>
    internal void Free(Allocation allocation, SharedUse? shared)
    {
        if (!_disposed) _tensors.Free(allocation, shared);
    }

    /// <summary>Takes the host memory of a saved tensor back.</summary>
    internal void FreeSaved(Allocation allocation)
    {
        if (!_disposed) Resources.Saved.Free(allocation, 0);
    }

    /// <summary>Takes the memory of a pinned weight back.</summary>
    internal void Unpin(VulkanHostWeight weight, HostBuffer memory) => Resources.Pinned.Free(memory, (ulong)weight.Bytes, weight.BusyUntil);

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        Resources.Close();
    }
}
