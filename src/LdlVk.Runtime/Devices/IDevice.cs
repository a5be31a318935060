namespace LdlVk.Runtime.Devices;

/// <summary>The function that <see cref="IDevice.Linear"/> applies after the bias.</summary>
public enum Activation
{
    /// <summary>Nothing.</summary>
    None,
    /// <summary>x if x ≥ 0, else 0.01·x: the activation inside the LDL heads.</summary>
    LeakyRelu,
    /// <summary>x if x ≥ 0, else 0: the activation inside INF-ORM's head.</summary>
    Relu,
    /// <summary>
    /// λ·x if x ≥ 0, else λ·α·(e^x − 1), λ = 1.05070098, α = 1.67326324: the activation inside URM's head. (Klambauer et al. 2017,
    /// "Self-Normalizing Neural Networks".)
    /// </summary>
    Selu,
}

/// <summary>The activation of a gated feed-forward network.</summary>
public enum GateActivation
{
    /// <summary>gelu(x) = x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))): gelu_pytorch_tanh, Gemma-2's.</summary>
    Gelu,
    /// <summary>silu(x) = x/(1 + e^(−x)): Llama's.</summary>
    Silu,
}

/// <summary>What products with weights in fp16, int8 or int4 are summed in.</summary>
public enum SumFormat
{
    /// <summary>fp32.</summary>
    Fp32,
    /// <summary>
    /// fp16 within a group of 32 along K, and fp32 over the groups, where the device has matrix units with such sums
    /// (<see cref="DeviceInfo.SumsHalves"/>); elsewhere, and with fp32 weights, fp32.
    /// <para>
    /// A row of activations is multiplied by the power of two that brings its largest magnitude into [2⁵, 2⁶) and rounded to fp16, and
    /// stored weights, which are below 2¹⁵, by 2⁻¹¹; so a group's sum is below 2¹⁵. It grows by K products at a time, K being a property
    /// of the device, and is rounded to fp16 after each of these steps: the CPU device takes 16 products, whose sum is exact but for
    /// fp32's rounding, and rounds to nearest.
    /// </para>
    /// </summary>
    Fp16,
}

/// <summary>
/// A device that runs the op set. The comment of each op is its contract.
/// <para>
/// Arithmetic: fp32 operands and fp32 accumulation or better, with one exception. A device with matrix units may round the operands of
/// <see cref="Linear"/> and <see cref="GatedLinear"/> to fp16 if the weights have another format than <see cref="WeightFormat.Fp32"/>, and
/// those of <see cref="Attention"/> (queries, keys, values, probabilities) if <see cref="AttentionShape.HalvesOperands"/> is set. It first
/// multiplies each row of activations (in attention each head of a row) by a power of two, which is exact, so that no value overflows fp16;
/// it accumulates in fp32, unless the caller allows <see cref="SumFormat.Fp16"/>. A caller who wants fp32 throughout uses Fp32 weights and
/// leaves HalvesOperands off.
/// <see cref="DeviceInfo.MatrixOperandBytes"/> is above 0 on a device that rounds. <see cref="Int8Linear"/> prescribes every rounding.
/// </para>
/// <para>
/// Order: ops take effect in call order. A device may run them later, but <see cref="Read"/> returns the final values. Tensors and lists
/// may be disposed right after the last call that names them.
/// </para>
/// <para>
/// Bitwise invariance: each output row is computed by a sequence of operations that depends on that row's inputs (for
/// <see cref="Attention"/>: its text's keys, values and position) and on the shapes of the weights alone, never on the number of rows,
/// on its neighbors, or on where its inputs lie in memory.
/// </para>
/// <para>
/// Aliasing: an output must not overlap an input or another output in memory, unless the op says that it may be an input; then it is the
/// same rows, not rows of which some are shared. Inputs may overlap each other.
/// </para>
/// <para>
/// Errors: <see cref="ArgumentException"/> for a wrong shape, element type, value or overlap and for an operand of another device,
/// <see cref="ObjectDisposedException"/> for a disposed operand or a closed device, and nothing is written then;
/// <see cref="DeviceException"/> for a failing machine. Not thread-safe.
/// </para>
/// </summary>
public interface IDevice : IDisposable
{
    /// <summary>Describes this device.</summary>
    DeviceInfo Info { get; }

    /// <summary>Bytes of device memory that this object holds now, for its tensors and weights; 0 when all are disposed.</summary>
    long AllocatedBytes { get; }

    /// <summary>
    /// The most bytes of device memory that this object has ever held. It takes memory in larger pieces than it is asked for, so this can
    /// be above the largest <see cref="AllocatedBytes"/>. It is never above the limit that the device was opened with. Each backend
    /// documents which memory counts.
    /// </summary>
    long PeakBytes { get; }

    /// <summary>
    /// Bytes of host memory that <see cref="Pin"/> and <see cref="Save"/> hold now. The other figures do not include them.
    /// </summary>
    long PinnedBytes { get; }

    /// <summary>Makes a tensor of zeros.</summary>
    ITensor CreateTensor(int rows, int columns);

    /// <summary>Makes a weight matrix whose values are undefined until <see cref="Fill"/> brings some.</summary>
    /// <param name="format">How its elements are stored.</param>
    /// <param name="outputFeatures">Rows.</param>
    /// <param name="inputFeatures">Columns.</param>
    /// <param name="name">Its name in error messages.</param>
    IWeight CreateWeight(WeightFormat format, int outputFeatures, int inputFeatures, string name = "weight");

    /// <summary>
    /// Replaces all values of a weight, and its scale, by those of a source: ops called before see the old values, ops called after the new
    /// ones. The rows are read before this returns; the device may bring them in while it still computes with other weights. Where this
    /// throws, the weight's values are undefined until the next Fill.
    /// </summary>
    /// <param name="weight">The weight to fill.</param>
    /// <param name="source">
    /// The source of the rows, with the weight's format and shape. A weight pinned by this device's <see cref="Pin"/> is fastest.
    /// </param>
    /// <param name="progress">Told the source bytes (values and scales) read since the last report.</param>
    /// <param name="cancellationToken">Ends it between chunks.</param>
    void Fill(IWeight weight, IWeightSource source, IProgress<long>? progress = null, CancellationToken cancellationToken = default);

    /// <summary>Copies a source's rows, as they are, into host memory from which this device fills weights fastest.</summary>
    /// <param name="source">The source of the rows.</param>
    /// <param name="progress">Told the source bytes (values and scales) read since the last report.</param>
    /// <param name="cancellationToken">Ends it between chunks; its memory is freed.</param>
    IHostWeight Pin(IWeightSource source, IProgress<long>? progress = null, CancellationToken cancellationToken = default);

    /// <summary>Uploads a list of integers.</summary>
    IIndexList CreateIndices(ReadOnlySpan<int> values);

    /// <summary>Uploads the segments of an attention call.</summary>
    ISegmentList CreateSegments(ReadOnlySpan<AttentionSegment> segments);

    /// <summary>Copies values.Length / Columns whole rows into the tensor from <paramref name="firstRow"/> on.</summary>
    void Write(ITensor destination, int firstRow, ReadOnlySpan<float> values);

    /// <summary>Waits for all ops so far and copies the whole tensor out, row-major without padding.</summary>
    void Read(ITensor source, Span<float> destination);

    /// <summary>
    /// Begins to copy the whole tensor out, as it is after all ops so far. The device may still be computing when this returns, so that
    /// the next batch can be prepared meanwhile; the tensor may be disposed at once.
    /// </summary>
    IReadback BeginRead(ITensor source);

    /// <summary>
    /// Copies the whole tensor, as it is after all ops so far, into host memory from which <see cref="Restore"/> is fastest. The device may
    /// still be computing when this returns; the tensor may be disposed at once.
    /// </summary>
    IHostTensor Save(ITensor source);

    /// <summary>
    /// Makes a tensor with a saved tensor's values, to the bit. The device may bring them in while it still computes; the saved tensor may
    /// be disposed at once.
    /// </summary>
    ITensor Restore(IHostTensor source);

    /// <summary>
    /// output[m,n] = activation(Σₖ input[m,k]·W[n,k] + bias[n]). Input [M,K], W [N,K], bias [1,N] or null, output [M,N].
    /// </summary>
    void Linear(
        ITensor output, ITensor input, IWeight weight, ITensor? bias = null, Activation activation = Activation.None,
        SumFormat sums = SumFormat.Fp32);

    /// <summary>
    /// output = activation(input·Wgᵀ) ⊙ (input·Wuᵀ). Input [M,K], gate and up [N,K], output [M,N]. The same bits as Linear, Linear
    /// and <see cref="GateMultiply"/>.
    /// </summary>
    /// <param name="output">[M,N].</param>
    /// <param name="scratch">[M,N]; its content is undefined afterwards. A device that multiplies both at once does not use it.</param>
    /// <param name="input">[M,K].</param>
    /// <param name="gate">Wg.</param>
    /// <param name="up">Wu.</param>
    /// <param name="activation">Of the gate.</param>
    /// <param name="sums">What products are summed in.</param>
    void GatedLinear(
        ITensor output, ITensor scratch, ITensor input, IWeight gate, IWeight up, GateActivation activation,
        SumFormat sums = SumFormat.Fp32);

    /// <summary>
    /// Linear in 8-bit integers (W8A8): output ≈ input·Wᵀ + bias. Input [M,K], W [N,K] with <see cref="WeightLayout.HasScales"/>,
    /// bias [1,N] or null, output [M,N].
    /// <para>
    /// Each group of 32 of an input row has one scale. With a its largest magnitude, s = fl(a·fl(1/127)) and
    /// q[k] = round(fl(input[k]·r)), ties to even, where r ≈ 127/a = ⌊127·2²⁵/⌊m/2⁸⌋⌋·2ᵗ is made of a's 24-bit mantissa
    /// m alone (2²³ ≤ m &lt; 2²⁴; t its exponent's part). A group whose a is below 2⁻⁶⁴ counts as zeros; one whose a is
    /// 2¹¹⁶ or above, or no number, makes its row NaN.
    /// </para>
    /// <para>
    /// output[m,n] = fl(W's Scale · total + bias[n]), where from 0 and for each group g in order
    /// total ← fl(total + fl(fl(s[m,g]·scale[n,g])·Σₖ q[m,k]·v[n,k])), v being the bytes of Int8, or the values of Int4's codes.
    /// fl rounds to fp32; a group's sum is a sum of integers, and exact in any order.
    /// </para>
    /// So all devices give the same bits, whatever units they multiply on.
    /// </summary>
    void Int8Linear(ITensor output, ITensor input, IWeight weight, ITensor? bias = null);

    /// <summary>
    /// output = x·rsqrt(mean(x²) + ε)·w for each row x. Input and output [M,N] (may be the same), w [1,N]. (Zhang and Sennrich 2019,
    /// "Root Mean Square Layer Normalization". Gemma-2 stores w − 1.)
    /// </summary>
    void RmsNorm(ITensor output, ITensor input, ITensor weight, float epsilon);

    /// <summary>residual += RmsNorm(y, w, ε). Residual and y [M,N] (may be the same), w [1,N].</summary>
    void NormAdd(ITensor residual, ITensor y, ITensor weight, float epsilon);

    /// <summary>residual += y. Both [M,N].</summary>
    void Add(ITensor residual, ITensor y);

    /// <summary>
    /// <see cref="NormAdd"/>, or residual += y without a weight for y, and then output = <see cref="RmsNorm"/>(residual, w, ε): the end
    /// of one half of a layer and the beginning of the next. The same bits as the two ops.
    /// </summary>
    /// <param name="output">[M,N]; may be y.</param>
    /// <param name="residual">[M,N].</param>
    /// <param name="y">[M,N].</param>
    /// <param name="yWeight">[1,N], or null to add y itself.</param>
    /// <param name="weight">w, [1,N].</param>
    /// <param name="epsilon">ε of both norms.</param>
    void AddNorm(ITensor output, ITensor residual, ITensor y, ITensor? yWeight, ITensor weight, float epsilon);

    /// <summary>
    /// <see cref="RmsNorm"/> of each head of each row in place: x ← x·rsqrt(mean(x²) + ε)·w for the head's elements x.
    /// </summary>
    /// <param name="x">[M, heads·head_dim].</param>
    /// <param name="heads">Number of heads.</param>
    /// <param name="weight">[1, head_dim], the same for all heads.</param>
    /// <param name="epsilon">ε.</param>
    void HeadNorm(ITensor x, int heads, ITensor weight, float epsilon);

    /// <summary>
    /// Rotates each head of each row in place, half-split: with h = head_dim/2 and the row's position p,
    /// (x[i], x[i+h]) ← (x[i]·cos − x[i+h]·sin, x[i+h]·cos + x[i]·sin), cos = table[p,i], sin = table[p,i+h].
    /// </summary>
    /// <param name="x">[M, heads·head_dim].</param>
    /// <param name="heads">Number of heads.</param>
    /// <param name="positions">M positions, each below the table's rows.</param>
    /// <param name="table">[positions, head_dim]: cosines in the first half of a row, sines in the second.</param>
    void Rope(ITensor x, int heads, IIndexList positions, ITensor table);

    /// <summary>
    /// Causal attention of each segment's queries over its text's keys: s = scale·q·k, s ← softcap·tanh(s/softcap), masked by
    /// causality and window, softmax, weighted sum of values. Queries and output [Q, heads·head_dim], keys and values [R,
    /// kv_heads·head_dim]. Each query row belongs to exactly one segment.
    /// </summary>
    void Attention(ITensor output, ITensor queries, ITensor keys, ITensor values, ISegmentList segments, in AttentionShape shape);

    /// <summary>output = activation(gate)·up. All [M,N]; output may be gate or up.</summary>
    void GateMultiply(ITensor output, ITensor gate, ITensor up, GateActivation activation);

    /// <summary>output[i] = input[rows[i]]. Output [rows.Count, N], input [R,N].</summary>
    void GatherRows(ITensor output, ITensor input, IIndexList rows);

    /// <summary>
    /// The LDL readout of each row: rewards = softmax of regression over each attribute's bins (bins are the fastest index);
    /// weights = gating, or softmax(gating/temperature) if <paramref name="gateTemperature"/> is above 0; distribution[b] = Σₐ
    /// weights[a]·rewards[a,b]; score = Σᵦ distribution[b]·b/(bins−1).
    /// </summary>
    /// <param name="output">[M, 1 + bins + attributes + attributes·bins]: score, distribution, weights, rewards.</param>
    /// <param name="regression">[M, attributes·bins].</param>
    /// <param name="gating">[M, attributes].</param>
    /// <param name="gateTemperature">0 for raw gates.</param>
    void LdlReadout(ITensor output, ITensor regression, ITensor gating, float gateTemperature);
}
