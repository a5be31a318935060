using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace LdlVk.Runtime.Devices;

/// <summary>
/// A device that passes everything on to another and, in <see cref="Profile"/>, counts and times each op. It names the matrices that were
/// created through it. Owns nothing: the other device is disposed by who opened it.
/// </summary>
public sealed partial class ProfiledDevice(IDevice inner) : IDevice
{
    private readonly ConditionalWeakTable<IWeight, string> _names = [];
    private List<OpTiming>? _calls;
    private IOpTimer? _timer;

    /// <inheritdoc/>
    public DeviceInfo Info => inner.Info;

    /// <inheritdoc/>
    public long AllocatedBytes => inner.AllocatedBytes;

    /// <inheritdoc/>
    public long PeakBytes => inner.PeakBytes;

    /// <inheritdoc/>
    public long PinnedBytes => inner.PinnedBytes;

    /// <summary>The most that <see cref="AllocatedBytes"/> has been.</summary>
    public long PeakAllocatedBytes { get; private set; }

    /// <summary>Why <see cref="Profile"/> has no times; null if it has.</summary>
    public string? WhyNotTimed => inner is ITimedDevice timed ? timed.WhyNotTimed : $"the backend of {Info.Id} times no ops";

    /// <summary>Every call on the device that <paramref name="work"/> makes, in order. All are done when it returns.</summary>
    public IReadOnlyList<OpTiming> Profile(Action work)
    {
        ArgumentNullException.ThrowIfNull(work);
        if (_calls is not null) throw new InvalidOperationException("A profile is being taken already.");
        List<OpTiming> calls = _calls = [];
        using IOpTimer? timer = _timer = inner is ITimedDevice { WhyNotTimed: null } timed ? timed.StartTimer() : null;
        try
        {
            work();
        }
        finally
        {
            (_calls, _timer) = (null, null);
        }

        return timer is null ? calls : [.. calls.Zip(timer.Finish(), (call, seconds) => call with { Seconds = seconds })];
    }

    /// <inheritdoc/>
    public ITensor CreateTensor(int rows, int columns) =>
        Created(() => inner.CreateTensor(rows, columns), nameof(CreateTensor), $"{rows} × {columns}", Floats(rows, columns));

    /// <inheritdoc/>
    public IWeight CreateWeight(WeightFormat format, int outputFeatures, int inputFeatures, string name = "weight")
    {
        IWeight weight = Created(() => inner.CreateWeight(format, outputFeatures, inputFeatures, name), nameof(CreateWeight),
            $"{outputFeatures} × {inputFeatures}", 0);
        _names.Add(weight, LayerOrEnding().Replace(name, ""));
        return weight;
    }

    /// <inheritdoc/>
    public void Fill(IWeight weight, IWeightSource source, IProgress<long>? progress = null, CancellationToken cancellationToken = default)
    {
        _timer?.Begin();
        inner.Fill(weight, source, progress, cancellationToken);
        string shape = $"{weight.OutputFeatures} × {weight.InputFeatures}";
        Note(nameof(Fill), shape, Bytes(weight), 0, LayerOrEnding().Replace(source.Name, ""));
    }

    /// <inheritdoc/>
    public IHostWeight Pin(IWeightSource source, IProgress<long>? progress = null, CancellationToken cancellationToken = default) =>
        inner.Pin(source, progress, cancellationToken);

    /// <inheritdoc/>
    public IIndexList CreateIndices(ReadOnlySpan<int> values)
    {
        int[] ints = values.ToArray();
        return Created(() => inner.CreateIndices(ints), nameof(CreateIndices), $"{ints.Length}", sizeof(int) * (double)ints.Length);
    }

    /// <inheritdoc/>
    public ISegmentList CreateSegments(ReadOnlySpan<AttentionSegment> segments)
    {
        AttentionSegment[] list = segments.ToArray();
        return Created(() => inner.CreateSegments(list), nameof(CreateSegments), $"{list.Length}", 6 * sizeof(int) * (double)list.Length);
    }

    /// <inheritdoc/>
    public void Write(ITensor destination, int firstRow, ReadOnlySpan<float> values)
    {
        _timer?.Begin();
        inner.Write(destination, firstRow, values);
        Note(nameof(Write), $"{values.Length / destination.Columns} × {destination.Columns}", sizeof(float) * (double)values.Length);
    }

    /// <inheritdoc/>
    public void Read(ITensor source, Span<float> destination)
    {
        _timer?.Begin();
        inner.Read(source, destination);
        Note(nameof(Read), Shape(source), Floats(source));
    }

    /// <inheritdoc/>
    public IReadback BeginRead(ITensor source)
    {
        _timer?.Begin();
        IReadback readback = inner.BeginRead(source);
        Note(nameof(Read), Shape(source), Floats(source));
        return readback;
    }

    /// <inheritdoc/>
    public IHostTensor Save(ITensor source)
    {
        _timer?.Begin();
        IHostTensor saved = inner.Save(source);
        Note(nameof(Save), Shape(source), Floats(source));
        return saved;
    }

    /// <inheritdoc/>
    public ITensor Restore(IHostTensor source) => Created(
        () => inner.Restore(source), nameof(Restore), $"{source.Rows} × {source.Columns}", Floats(source.Rows, source.Columns));

    /// <inheritdoc/>
    public void Linear(
        ITensor output, ITensor input, IWeight weight, ITensor? bias = null, Activation activation = Activation.None,
        SumFormat sums = SumFormat.Fp32)
    {
        _timer?.Begin();
        inner.Linear(output, input, weight, bias, activation, sums);
        if (_calls is null) return;
        double bytes = Bytes(weight) + Floats(input) + Floats(output);
        Note(nameof(Linear), Shape(input, weight), bytes, Operations(input, weight), _names.TryGetValue(weight, out string? name) ? name
            : "");
    }

    /// <inheritdoc/>
    public void GatedLinear(
        ITensor output, ITensor scratch, ITensor input, IWeight gate, IWeight up, GateActivation activation,
        SumFormat sums = SumFormat.Fp32)
    {
        _timer?.Begin();
        inner.GatedLinear(output, scratch, input, gate, up, activation, sums);
        if (_calls is null) return;
        double bytes = Bytes(gate) + Bytes(up) + Floats(input) + Floats(output);
        string name = _names.TryGetValue(gate, out string? first) && _names.TryGetValue(up, out string? second) ? $"{first}+{second}" : "";
        Note(nameof(GatedLinear), Shape(input, gate), bytes, Operations(input, gate) + Operations(input, up), name);
    }

    /// <inheritdoc/>
    public void Int8Linear(ITensor output, ITensor input, IWeight weight, ITensor? bias = null)
    {
        _timer?.Begin();
        inner.Int8Linear(output, input, weight, bias);
        if (_calls is null) return;
        double bytes = Bytes(weight) + Floats(input) + Floats(output);
        Note(nameof(Int8Linear), Shape(input, weight), bytes, Operations(input, weight), _names.TryGetValue(weight, out string? name) ? name
            : "");
    }

    private static double Bytes(IWeight weight) => WeightLayout.MatrixBytes(weight.Format, weight.OutputFeatures, weight.InputFeatures);

    private static double Operations(ITensor input, IWeight weight) => 2.0 * input.Rows * weight.OutputFeatures * weight.InputFeatures;

    private static string Shape(ITensor input, IWeight weight) => $"{input.Rows} × {weight.OutputFeatures} × {weight.InputFeatures}";

    /// <inheritdoc/>
    public void RmsNorm(ITensor output, ITensor input, ITensor weight, float epsilon)
    {
        _timer?.Begin();
        inner.RmsNorm(output, input, weight, epsilon);
        Note(nameof(RmsNorm), Shape(input), 2 * Floats(input));
    }

    /// <inheritdoc/>
    public void NormAdd(ITensor residual, ITensor y, ITensor weight, float epsilon)
    {
        _timer?.Begin();
        inner.NormAdd(residual, y, weight, epsilon);
        Note(nameof(NormAdd), Shape(y), 3 * Floats(y));
    }

    /// <inheritdoc/>
    public void Add(ITensor residual, ITensor y)
    {
        _timer?.Begin();
        inner.Add(residual, y);
        Note(nameof(Add), Shape(y), 3 * Floats(y));
    }

    /// <inheritdoc/>
    public void AddNorm(ITensor output, ITensor residual, ITensor y, ITensor? yWeight, ITensor weight, float epsilon)
    {
        _timer?.Begin();
        inner.AddNorm(output, residual, y, yWeight, weight, epsilon);
        Note(nameof(AddNorm), Shape(y), 4 * Floats(y));
    }

    /// <inheritdoc/>
    public void HeadNorm(ITensor x, int heads, ITensor weight, float epsilon)
    {
        _timer?.Begin();
        inner.HeadNorm(x, heads, weight, epsilon);
        Note(nameof(HeadNorm), Shape(x), 2 * Floats(x));
    }

    /// <inheritdoc/>
    public void Rope(ITensor x, int heads, IIndexList positions, ITensor table)
    {
        _timer?.Begin();
        inner.Rope(x, heads, positions, table);
        Note(nameof(Rope), Shape(x), 2 * Floats(x));
    }

    /// <inheritdoc/>
    public void Attention(ITensor output, ITensor queries, ITensor keys, ITensor values, ISegmentList segments, in AttentionShape shape)
    {
        _timer?.Begin();
        inner.Attention(output, queries, keys, values, segments, shape);
        if (_calls is null) return;
        int window = shape.Window;
        double pairs = segments.Segments.Sum(s => VisiblePairs(s, window));
        Note(nameof(Attention), Shape(queries), (2 * Floats(queries)) + (2 * Floats(keys)), 4 * pairs * queries.Columns);
    }

    /// <inheritdoc/>
    public void GateMultiply(ITensor output, ITensor gate, ITensor up, GateActivation activation)
    {
        _timer?.Begin();
        inner.GateMultiply(output, gate, up, activation);
        Note(nameof(GateMultiply), Shape(gate), 3 * Floats(gate));
    }

    /// <inheritdoc/>
    public void GatherRows(ITensor output, ITensor input, IIndexList rows)
    {
        _timer?.Begin();
        inner.GatherRows(output, input, rows);
        Note(nameof(GatherRows), Shape(output), 2 * Floats(output));
    }

    /// <inheritdoc/>
    public void LdlReadout(ITensor output, ITensor regression, ITensor gating, float gateTemperature)
    {
        _timer?.Begin();
        inner.LdlReadout(output, regression, gating, gateTemperature);
        Note(nameof(LdlReadout), Shape(output), Floats(output) + Floats(regression) + Floats(gating));
    }

    /// <summary>Does nothing: the device belongs to who opened it.</summary>
    public void Dispose()
    {
    }

    /// <summary>Keys that a segment's queries see, summed over the queries: min(p + 1, window) at position p.</summary>
    public static double VisiblePairs(AttentionSegment segment, int window)
    {
        double first = segment.QueryPosition + 1.0, last = segment.KeyCount;
        if (window == 0 || last <= window) return (first + last) * segment.QueryCount / 2;
        if (first >= window) return (double)window * segment.QueryCount;
        return ((first + window) * (window - first + 1) / 2) + ((last - window) * window);
    }

    private T Created<T>(Func<T> create, string call, string shape, double bytes)
    {
        _timer?.Begin();
        T made = create();
        Note(call, shape, bytes);
        return made;
    }

    private void Note(string op, string shape, double bytes, double operations = 0, string operand = "")
    {
        _timer?.End();
        // Ops too may take memory, for operands.
        PeakAllocatedBytes = Math.Max(PeakAllocatedBytes, inner.AllocatedBytes);
        _calls?.Add(new OpTiming(op, operand, shape, operations, bytes, 0));
    }

    private static string Shape(ITensor tensor) => $"{tensor.Rows} × {tensor.Columns}";

    private static double Floats(ITensor tensor) => Floats(tensor.Rows, tensor.Columns);

    private static double Floats(int rows, int columns) => sizeof(float) * (double)rows * columns;

    [GeneratedRegex(@"^layers\.\d+\.|\.weight$")]
    private static partial Regex LayerOrEnding();
}
