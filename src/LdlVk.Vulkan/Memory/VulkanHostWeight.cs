using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Device;

namespace LdlVk.Vulkan.Memory;

/// <summary>
/// A weight in host memory that the device copies from directly. It is laid out as a <see cref="VulkanWeight"/>: values, then scales. Its
/// mapping is valid until it is disposed, even if the device is lost or closed: Vulkan keeps the mappings of a lost device, and
/// <see cref="DeviceHandles"/> live as long as the weight. Vulkan does not guarantee the bytes after a loss, but they are pages of host
/// memory that the device was never told to write.
/// </summary>
internal sealed unsafe class VulkanHostWeight(VulkanDevice device, HostBuffer memory, IWeightSource source) : IHostWeight
{
    private readonly ulong _scalesOffset = VulkanWeight.ScalesOffset(source.Format, source.OutputFeatures, source.InputFeatures);
    private HostBuffer? _memory = memory;

    public VulkanDevice Device => device;

    public string Name { get; } = source.Name;

    public int OutputFeatures { get; } = source.OutputFeatures;

    public int InputFeatures { get; } = source.InputFeatures;

    public WeightFormat Format { get; } = source.Format;

    public float Scale { get; } = source.Scale;

    public long Bytes => WeightLayout.MatrixBytes(Format, OutputFeatures, InputFeatures);

    /// <summary>Its memory.</summary>
    /// <exception cref="ObjectDisposedException">It is disposed.</exception>
    public HostBuffer Memory => _memory ?? throw new ObjectDisposedException(Name);

    /// <summary>The timeline value at which the last copy from it is done.</summary>
    public ulong BusyUntil { get; set; }

    public void ReadRows(int firstRow, int rowCount, Span<byte> values, Span<Half> scales)
    {
        byte* start = Memory.Mapped;
        new ReadOnlySpan<byte>(start + (firstRow * WeightLayout.RowBytes(Format, InputFeatures)), values.Length).CopyTo(values);
        var allScales = (Half*)(start + _scalesOffset);
        long firstScale = (long)firstRow * WeightLayout.ScalesPerRow(Format, InputFeatures);
        new ReadOnlySpan<Half>(allScales + firstScale, scales.Length).CopyTo(scales);
    }

    public void Dispose()
    {
        if (_memory is not { } memory) return;
        _memory = null;
        device.Unpin(this, memory);
    }
}
