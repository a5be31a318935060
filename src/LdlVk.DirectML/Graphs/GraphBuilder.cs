using System.Runtime.InteropServices;
using LdlVk.DirectML.Interop;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML.Graphs;

/// <summary>A tensor inside a graph: an input of the graph, or the output of a node, seen with a layout.</summary>
/// <param name="Node">The node; −1 − i is the graph's input i.</param>
/// <param name="Layout">How its reader sees it.</param>
internal readonly record struct GraphValue(int Node, TensorLayout Layout)
{
    /// <summary>The same memory seen otherwise.</summary>
    public GraphValue As(TensorLayout layout) => this with { Layout = layout };

    /// <summary>The same memory with other sizes and strides.</summary>
    public GraphValue As(uint[] sizes, uint[] strides) => As(Layout.Viewed(sizes, strides));
}

/// <summary>
/// Writes a DirectML graph, an operator a line. Without an output layout, the output is packed and has the input's sizes.
/// </summary>
/// <param name="device">The device of the operators.</param>
/// <param name="packedProducts">Whether MULTIPLY of packed fp32 tensors can be compiled; see <see cref="Multiply"/>.</param>
internal sealed unsafe class GraphBuilder(DmlDevice device, bool packedProducts) : IDisposable
{
    /// <summary>
    /// What an element that an operator writes costs: it moves about 12 bytes, during which a GPU does some 100 operations.
    /// </summary>
    private const double OperationsPerElement = 100;

    private readonly List<nint> _memory = [];
    private readonly List<DmlOperator> _operators = [];
    private readonly List<(uint Input, uint Node, uint Slot)> _inputEdges = [];
    private readonly List<(uint From, uint To, uint Slot)> _innerEdges = [];
    private readonly List<GraphValue> _outputs = [];
    private readonly List<TensorLayout> _inputs = [];
    private double _operations;

    /// <summary>The next input of the graph.</summary>
    public GraphValue Input(TensorLayout layout)
    {
        _inputs.Add(layout);
        return new GraphValue(-_inputs.Count, layout);
    }

    /// <summary>The next output of the graph.</summary>
    public void Output(GraphValue value) => _outputs.Add(value);

    /// <summary>x·scale + bias.</summary>
    public GraphValue Linear(GraphValue x, float scale, float bias, TensorLayout? output = null) =>
        Unary(OperatorType.Identity, x, scale, bias, output);

    /// <summary>f(x·scale + bias).</summary>
    public GraphValue Unary(OperatorType f, GraphValue x, float scale = 1, float bias = 0, TensorLayout? output = null, float min = 0,
        float max = 0)
    {
        output ??= x.Layout.AsPacked();
        UnaryDesc desc = new() { Input = Tensor(x), Output = Tensor(output), Min = min, Max = max };
        if (scale != 1 || bias != 0) desc.ScaleBias = Copy(new ScaleBias { Scale = scale, Bias = bias });
        return Add(f, &desc, output, x);
    }

    /// <summary>x in another element type.</summary>
    public GraphValue Cast(GraphValue x, DataType type, TensorLayout? output = null) =>
        Unary(OperatorType.Cast, x, output: output ?? x.Layout.As(type));

    /// <summary>x rounded to integers, ties to even.</summary>
    public GraphValue Round(GraphValue x, TensorLayout? output = null)
    {
        output ??= x.Layout.AsPacked();
        UnaryNumberDesc desc = new() { Input = Tensor(x), Output = Tensor(output) };
        return Add(OperatorType.Round, &desc, output, x);
    }

    /// <summary>f(a, b), element by element.</summary>
    public GraphValue Binary(OperatorType f, GraphValue a, GraphValue b, TensorLayout? output = null)
    {
        output ??= a.Layout.AsPacked();
        BinaryDesc desc = new() { A = Tensor(a), B = Tensor(b), Output = Tensor(output) };
        return Add(f, &desc, output, a, b);
    }

    /// <summary>a + b.</summary>
    public GraphValue Add(GraphValue a, GraphValue b, TensorLayout? output = null) => Binary(OperatorType.Add1, a, b, output);

    /// <summary>
    /// a·b. Where all three are packed fp32 of a multiple of four elements, DirectML takes a kernel that it has as DXIL only, which Wine's
    /// Direct3D 12 cannot compile; there a normalization that does not normalize multiplies by its scale, with the same single rounding.
    /// </summary>
    public GraphValue Multiply(GraphValue a, GraphValue b, TensorLayout? output = null)
    {
        output ??= a.Layout.AsPacked();
        if (packedProducts || !(a.Layout.IsPacked && b.Layout.IsPacked && output.IsPacked)
            || output.Elements % 4 != 0) return Binary(OperatorType.Multiply, a, b, output);
        NormalizationDesc desc = new() { Input = Tensor(a), Scale = Tensor(b), Output = Tensor(output), AxisCount = 1,
            Axes = Copy([(uint)output.Sizes.Length - 1]) };
        return Add(OperatorType.MeanVarianceNormalization2, &desc, output, a, b);
    }

    /// <summary>condition ? a : b.</summary>
    public GraphValue If(GraphValue condition, GraphValue a, GraphValue b, TensorLayout? output = null)
    {
        output ??= a.Layout.AsPacked();
        TernaryDesc desc = new() { Input = Tensor(condition), A = Tensor(a), B = Tensor(b), Output = Tensor(output) };
        return Add(OperatorType.If, &desc, output, condition, a, b);
    }

    /// <summary>integers·scale in the scale's type.</summary>
    public GraphValue Dequantize(GraphValue integers, GraphValue scale, TensorLayout output)
    {
        TernaryDesc desc = new() { Input = Tensor(integers), A = Tensor(scale), Output = Tensor(output) };
        return Add(OperatorType.DequantizeLinear, &desc, output, integers, scale);
    }

    /// <summary>activation(alpha·a·b + c), or with a·bᵀ.</summary>
    public GraphValue Gemm(GraphValue a, GraphValue b, TensorLayout output, bool transposeB, float alpha = 1, GraphValue? c = null,
        Activation activation = Activation.None)
    {
        GemmDesc desc = new()
        {
            A = Tensor(a),
            B = Tensor(b),
            C = c is { } bias ? Tensor(bias) : null,
            Output = Tensor(output),
            TransB = transposeB ? 1 : 0,
            Alpha = alpha,
            Beta = c is null ? 0 : 1,
        };
        _operations += 2.0 * output.Elements * a.Layout.Sizes[^1];
        if (activation == Activation.Selu)
            desc.FusedActivation = Copy(new TypedDesc { Type = (int)OperatorType.ScaledElu, Desc = Copy(new ScaledEluDesc
                { Alpha = (float)Activations.SeluAlpha, Gamma = (float)Activations.SeluScale }) });
        else if (activation != Activation.None)
            desc.FusedActivation = Copy(new TypedDesc { Type = (int)OperatorType.LeakyRelu,
                Desc = Copy(new UnaryNumberDesc { Number = activation.NegativeSlope() }) });
        return c is { } added ? Add(OperatorType.Gemm, &desc, output, a, b, added) : Add(OperatorType.Gemm, &desc, output, a, b);
    }

    /// <summary>output[…, i, …] = x[…, indices[i], …] along an axis; indices are the last dimension of theirs.</summary>
    public GraphValue Gather(GraphValue x, GraphValue indices, uint axis, TensorLayout output)
    {
        GatherDesc desc = new() { Input = Tensor(x), Indices = Tensor(indices), Output = Tensor(output), Axis = axis, IndexDimensions = 1 };
        return Add(OperatorType.Gather, &desc, output, x, indices);
    }

    /// <summary>Reduces the last dimension to one element.</summary>
    public GraphValue Reduce(ReduceFunction function, GraphValue x)
    {
        uint[] sizes = [.. x.Layout.Sizes];
        sizes[^1] = 1;
        TensorLayout output = new(x.Layout.Type, sizes);
        ReduceDesc desc = new() { Function = function, Input = Tensor(x), Output = Tensor(output), AxisCount = 1,
            Axes = Copy([(uint)sizes.Length - 1]) };
        return Add(OperatorType.Reduce, &desc, output, x);
    }

    /// <summary>Softmax over the last dimension.</summary>
    public GraphValue Softmax(GraphValue x)
    {
        TensorLayout output = x.Layout.AsPacked();
        SoftmaxDesc desc = new() { Input = Tensor(x), Output = Tensor(output), AxisCount = 1,
            Axes = Copy([(uint)output.Sizes.Length - 1]) };
        return Add(OperatorType.Softmax1, &desc, output, x);
    }

    /// <summary>The elements [first, first + count) of the last dimension.</summary>
    public GraphValue Slice(GraphValue x, uint first, uint count)
    {
        uint[] sizes = [.. x.Layout.Sizes], offsets = new uint[sizes.Length];
        (sizes[^1], offsets[^1]) = (count, first);
        TensorLayout output = new(x.Layout.Type, sizes);
        int[] ones = [.. sizes.Select(_ => 1)];
        SliceDesc desc = new() { Input = Tensor(x), Output = Tensor(output), DimensionCount = (uint)sizes.Length, Offsets = Copy(offsets),
            Sizes = Copy(sizes), Strides = Copy(ones) };
        return Add(OperatorType.Slice1, &desc, output, x);
    }

    /// <summary>Tensors side by side along the last dimension.</summary>
    public GraphValue Join(TensorLayout output, params GraphValue[] parts)
    {
        JoinDesc desc = new() { InputCount = (uint)parts.Length, Output = Tensor(output), Axis = (uint)output.Sizes.Length - 1 };
        desc.Inputs = Copy(parts.Select(part => *Tensor(part)).ToArray());
        return Add(OperatorType.Join, &desc, output, parts);
    }

    /// <summary>Compiles what was written.</summary>
    /// <exception cref="DeviceException">DirectML refuses the graph.</exception>
    public CompiledGraph Compile(string name)
    {
        TypedDesc[] nodes = [.. _operators.Select(o => new TypedDesc { Type = TypedDesc.OperatorNode,
            Desc = Copy(new OperatorNodeDesc { Operator = o.Pointer }) })];
        TypedDesc[] inputs = [.. _inputEdges.Select(e =>
            new TypedDesc { Type = TypedDesc.InputEdge, Desc = Copy(
            new OuterEdgeDesc { First = e.Input, Second = e.Node, Third = e.Slot }) })];
        TypedDesc[] inner = [.. _innerEdges.Select(e => new TypedDesc { Type = TypedDesc.IntermediateEdge,
            Desc = Copy(new InnerEdgeDesc { FromNode = e.From, ToNode = e.To, ToInput = e.Slot }) })];
        TypedDesc[] outputs = [.. _outputs.Select((value, i) =>
            new TypedDesc { Type = TypedDesc.OutputEdge, Desc = Copy(new OuterEdgeDesc { First = (uint)value.Node, Third = (uint)i }) })];
        GraphDesc graph = new()
        {
            InputCount = (uint)_inputs.Count,
            OutputCount = (uint)outputs.Length,
            NodeCount = (uint)nodes.Length,
            Nodes = Copy(nodes),
            InputEdgeCount = (uint)inputs.Length,
            InputEdges = Copy(inputs),
            OutputEdgeCount = (uint)outputs.Length,
            OutputEdges = Copy(outputs),
            IntermediateEdgeCount = (uint)inner.Length,
            IntermediateEdges = Copy(inner),
        };
        return new CompiledGraph(device.CompileGraph(&graph, name), [.. _inputs.Select(i => i.Bytes)],
            [.. _outputs.Select(o => o.Layout.Bytes)], _operations);
    }

    public void Dispose()
    {
        foreach (DmlOperator one in _operators) one.Dispose();
        foreach (nint block in _memory) NativeMemory.Free((void*)block);
        _memory.Clear();
    }

    private GraphValue Add(OperatorType type, void* desc, TensorLayout output, params ReadOnlySpan<GraphValue> inputs)
    {
        _operators.Add(device.CreateOperator(type, desc));
        _operations += OperationsPerElement * output.Elements;
        uint node = (uint)_operators.Count - 1;
        for (int slot = 0; slot < inputs.Length; slot++)
        {
            if (inputs[slot].Node < 0) _inputEdges.Add(((uint)(-1 - inputs[slot].Node), node, (uint)slot));
            else _innerEdges.Add(((uint)inputs[slot].Node, node, (uint)slot));
        }
        return new GraphValue((int)node, output);
    }

    private TypedDesc* Tensor(GraphValue value) => Tensor(value.Layout);

    private TypedDesc* Tensor(TensorLayout layout)
    {
        BufferTensorDesc desc = new()
        {
            DataType = layout.Type,
            DimensionCount = (uint)layout.Sizes.Length,
            Sizes = Copy(layout.Sizes),
            // Drivers' own kernels look for packed tensors as such.
            Strides = layout.IsPacked ? null : Copy(layout.Strides),
            TotalTensorSizeInBytes = layout.Bytes,
        };
        return Copy(new TypedDesc { Type = TypedDesc.BufferTensor, Desc = Copy(desc) });
    }

    private T* Copy<T>(T value)
        where T : unmanaged => Copy([value]);

    /// <summary>Native memory that lives as long as the builder.</summary>
    private T* Copy<T>(T[] values)
        where T : unmanaged
    {
        void* block = NativeMemory.Alloc((nuint)Math.Max(1, values.Length * sizeof(T)));
        _memory.Add((nint)block);
        values.CopyTo(new Span<T>(block, values.Length));
        return (T*)block;
    }
}
