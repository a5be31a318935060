namespace LdlVk.Runtime.Devices;

/// <summary>
/// A row-major fp32 matrix in a device's memory: activations, norm weights and biases (one row), tables.
/// It is zero when created. Not thread-safe; its creator disposes it.
/// </summary>
public interface ITensor : IDisposable
{
    /// <summary>Number of rows.</summary>
    int Rows { get; }

    /// <summary>Number of columns.</summary>
    int Columns { get; }

    /// <summary>
    /// The rows [<paramref name="firstRow"/>, <paramref name="firstRow"/> + <paramref name="rowCount"/>) as a tensor that shares this
    /// one's memory. Disposing a view does nothing; a view must not outlive its tensor.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The range leaves the tensor.</exception>
    ITensor View(int firstRow, int rowCount);
}

/// <summary>
/// A weight matrix W [OutputFeatures, InputFeatures] in a device's memory, in one <see cref="WeightFormat"/>. No op writes it;
/// <see cref="IDevice.Fill"/> replaces it as a whole.
/// </summary>
public interface IWeight : IDisposable
{
    /// <summary>Rows of W.</summary>
    int OutputFeatures { get; }

    /// <summary>Columns of W.</summary>
    int InputFeatures { get; }

    /// <summary>How the elements are stored.</summary>
    WeightFormat Format { get; }
}

/// <summary>
/// A weight matrix in host memory, pinned for a device that is filled with it repeatedly. As a source it serves any other device too, also
/// after the device that made it was lost or closed. It may be disposed right after the last <see cref="IDevice.Fill"/> that names it.
/// </summary>
public interface IHostWeight : IWeightSource, IDisposable;

/// <summary>
/// A tensor's values in host memory, for the device that saved them there. They do not outlive the device, and a lost device cannot give
/// them back.
/// </summary>
public interface IHostTensor : IDisposable
{
    /// <summary>Number of rows.</summary>
    int Rows { get; }

    /// <summary>Number of columns.</summary>
    int Columns { get; }
}

/// <summary>An immutable list of non-negative 32-bit integers in a device's memory: positions, row numbers.</summary>
public interface IIndexList : IDisposable
{
    /// <summary>Number of integers.</summary>
    int Count { get; }
}

/// <summary>The segments of one <see cref="IDevice.Attention"/> call in a device's memory, made once and used by every layer.</summary>
public interface ISegmentList : IDisposable
{
    /// <summary>The segments, as given.</summary>
    IReadOnlyList<AttentionSegment> Segments { get; }
}

/// <summary>
/// A copy of a tensor's values from a device that is under way. Disposing it or the device before <see cref="Finish"/> abandons the copy.
/// </summary>
public interface IReadback : IDisposable
{
    /// <summary>Waits for the values and copies them out, row-major without padding.</summary>
    /// <exception cref="DeviceException">The device failed since.</exception>
    void Finish(Span<float> destination);
}

/// <summary>
/// Consecutive query rows of one text, and where that text's keys and values lie. The key at position p of the text is at row
/// <c>PrefixRow + p</c> if p &lt; PrefixLength (storage shared with other texts), else at row <c>OwnRow + p − PrefixLength</c>.
/// </summary>
/// <param name="QueryRow">Row of the first query in the query tensor.</param>
/// <param name="QueryCount">Number of query rows, at least 1.</param>
/// <param name="QueryPosition">
/// Position in the text of the first query; query i stands at QueryPosition + i and sees keys up to itself.
/// </param>
/// <param name="PrefixRow">Row of key 0 when PrefixLength is above 0.</param>
/// <param name="PrefixLength">Number of keys in shared storage.</param>
/// <param name="OwnRow">Row of the key at position PrefixLength.</param>
public readonly record struct AttentionSegment(
    int QueryRow, int QueryCount, int QueryPosition, int PrefixRow, int PrefixLength, int OwnRow)
{
    /// <summary>Number of keys the last query sees without a window.</summary>
    public int KeyCount => QueryPosition + QueryCount;
}

/// <summary>The constants of an attention layer.</summary>
/// <param name="Heads">Query heads.</param>
/// <param name="KeyValueHeads">KV heads; query head h reads KV head h / (Heads / KeyValueHeads).</param>
/// <param name="HeadDimension">Elements of a head.</param>
/// <param name="Scale">Factor of q·k: 1/√query_pre_attn_scalar in Gemma-2.</param>
/// <param name="Softcap">s ← Softcap·tanh(s/Softcap) before the mask; 0 for none.</param>
/// <param name="Window">Query i sees key j iff 0 ≤ i−j &lt; Window; 0 for no window.</param>
/// <param name="HalvesOperands">
/// Whether a device may round queries, keys, values and probabilities to fp16 for its matrix units; <see cref="IDevice"/> says how it keeps
/// them in range.
/// </param>
public readonly record struct AttentionShape(
    int Heads, int KeyValueHeads, int HeadDimension, float Scale, float Softcap, int Window, bool HalvesOperands = false);
