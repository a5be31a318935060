namespace LdlVk.Runtime.Devices;

/// <summary>What <see cref="OpChecks"/> must know of a device beyond <see cref="IDevice"/>. Every backend's device is one.</summary>
internal interface ICheckedDevice : IDevice
{
    /// <summary>Whether the device was closed.</summary>
    bool IsDisposed { get; }
}

/// <summary>
/// What <see cref="OpChecks"/> must know of a tensor, weight or list beyond its public interface. Every backend's object is one.
/// </summary>
internal interface IDeviceObject
{
    /// <summary>The device that made it.</summary>
    IDevice Device { get; }

    /// <summary>Whether its memory was given back; for a view, that of its tensor.</summary>
    bool IsDisposed { get; }
}

/// <summary>A tensor that says where it lies.</summary>
internal interface IDeviceTensor : ITensor, IDeviceObject
{
    /// <summary>Where its rows lie, padding included.</summary>
    TensorPlace Place { get; }
}

/// <summary>A list of indices that knows its largest.</summary>
internal interface IDeviceIndexList : IIndexList, IDeviceObject
{
    /// <summary>The largest index; −1 if the list is empty.</summary>
    int Largest { get; }

    /// <summary>Where the first index of that size stands in the list.</summary>
    int PlaceOfLargest { get; }
}

/// <summary>A range of a buffer. Offset and length may be counted in any unit that is the same for all of a buffer's tensors.</summary>
/// <param name="Buffer">The buffer: the same object for all tensors that share memory.</param>
/// <param name="Offset">Where the range begins.</param>
/// <param name="Length">How long it is.</param>
internal readonly record struct TensorPlace(object Buffer, long Offset, long Length)
{
    /// <summary>Whether the two share memory.</summary>
    public bool Overlaps(TensorPlace other) =>
        ReferenceEquals(Buffer, other.Buffer) && Length > 0 && other.Length > 0 && Offset < other.Offset + other.Length
            && other.Offset < Offset + Length;

    /// <summary>Whether the two are the same range.</summary>
    public bool IsSame(TensorPlace other) => ReferenceEquals(Buffer, other.Buffer) && Offset == other.Offset && Length == other.Length;
}
