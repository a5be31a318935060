using System.Runtime.InteropServices;
using LdlVk.DirectML.Device;
using LdlVk.DirectML.Interop;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML.Memory;

/// <summary>
/// A weight in host memory, rows and then scales as its source gave them: in a buffer from which the device copies without a detour; or, as
/// Windows lets devices have half of the host's memory at most, in plain memory where there is no room for another buffer. It outlives its
/// device.
/// </summary>
internal sealed unsafe class DirectMLHostWeight : IHostWeight
{
    private readonly DirectMLDevice _device;
    private HostBuffer? _buffer;
    private byte* _memory;

    /// <summary>Takes the memory; <see cref="Read"/> fills it.</summary>
    public DirectMLHostWeight(DirectMLDevice device, D3D12Device direct3D, IWeightSource source)
    {
        (_device, Name, OutputFeatures, InputFeatures, Format, Scale) = (device, source.Name, source.OutputFeatures, source.InputFeatures,
            source.Format, source.Scale);
        Bytes = WeightLayout.MatrixBytes(Format, OutputFeatures, InputFeatures);
        try
        {
            _buffer = new HostBuffer(direct3D, HeapType.Custom, Bytes);
            _memory = _buffer.Mapped;
        }
        catch (DeviceException e) when (e.Failure == DeviceFailure.OutOfMemory)
        {
            _memory = (byte*)NativeMemory.Alloc((nuint)Bytes);
        }
    }

    public string Name { get; }

    public int OutputFeatures { get; }

    public int InputFeatures { get; }

    public WeightFormat Format { get; }

    public float Scale { get; }

    public long Bytes { get; }

    /// <summary>Bytes from the start of the memory to the scales.</summary>
    public ulong ScalesOffset => (ulong)(OutputFeatures * WeightLayout.RowBytes(Format, InputFeatures));

    private Half* Scales => (Half*)(_memory + ScalesOffset);

    /// <summary>The buffer that the device can copy from; null if there is none.</summary>
    public HostBuffer? BufferFor(DirectMLDevice device)
    {
        ObjectDisposedException.ThrowIf(_memory == null, this);
        return device == _device ? _buffer : null;
    }

    public void Read(IWeightSource source, IProgress<long>? progress, CancellationToken cancellationToken) =>
        WeightRows.ReadAll(source, _memory, Scales, Environment.ProcessorCount, progress, cancellationToken);

    public void ReadRows(int firstRow, int rowCount, Span<byte> values, Span<Half> scales)
    {
        ObjectDisposedException.ThrowIf(_memory == null, this);
        new ReadOnlySpan<byte>(_memory + (firstRow * WeightLayout.RowBytes(Format, InputFeatures)), values.Length).CopyTo(values);
        new ReadOnlySpan<Half>(Scales + ((long)firstRow * WeightLayout.ScalesPerRow(Format, InputFeatures)), scales.Length).CopyTo(scales);
    }

    public void Dispose()
    {
        if (_memory == null) return;
        if (_buffer is null) NativeMemory.Free(_memory);
        _memory = null;
        _device.Unpin(Bytes, _buffer);
        _buffer = null;
    }
}
