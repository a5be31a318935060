using System.Runtime.InteropServices;

namespace LdlVk.DirectML.Interop;

/// <summary>DML_TENSOR_DATA_TYPE.</summary>
internal enum DataType
{
    Float32 = 1,
    Float16 = 2,
    UInt32 = 3,
    UInt8 = 5,
    Int8 = 8,
}

/// <summary>DML_OPERATOR_TYPE, those that are used.</summary>
internal enum OperatorType
{
    Identity = 1,
    Abs = 2,
    Clip = 8,
    Divide = 10,
    LessThan = 17,
    Multiply = 24,
    Recip = 27,
    Sqrt = 29,
    Subtract = 30,
    DequantizeLinear = 34,
    LeakyRelu = 39,
    ScaledElu = 45,
    Gemm = 54,
    Reduce = 55,
    Cast = 61,
    Join = 63,
    Gather = 67,
    Tanh = 84,
    If = 88,
    Add1 = 89,
    BitShiftLeft = 97,
    BitShiftRight = 98,
    Round = 99,
    Slice1 = 111,
    BitAnd = 121,
    BitOr = 122,
    Softmax1 = 158,
    MeanVarianceNormalization2 = 171,
}

/// <summary>DML_REDUCE_FUNCTION.</summary>
internal enum ReduceFunction
{
    Max = 7,
    SumSquare = 11,
}

/// <summary>DML_BUFFER_TENSOR_DESC.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct BufferTensorDesc
{
    public DataType DataType;
    public int Flags;
    public uint DimensionCount;
    public uint* Sizes;
    public uint* Strides;
    public ulong TotalTensorSizeInBytes;
    public uint GuaranteedBaseOffsetAlignment;
}

/// <summary>
/// A type and a pointer to what the type says: DML_TENSOR_DESC (type 1: a buffer), DML_OPERATOR_DESC, DML_BINDING_DESC,
/// DML_GRAPH_NODE_DESC and DML_GRAPH_EDGE_DESC.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct TypedDesc
{
    public int Type;
    public void* Desc;

    public const int BufferTensor = 1;
    public const int BufferBinding = 1;
    public const int BufferArrayBinding = 2;
    public const int OperatorNode = 1;
    public const int InputEdge = 1;
    public const int OutputEdge = 2;
    public const int IntermediateEdge = 3;
}

/// <summary>DML_SCALE_BIAS: x·Scale + Bias, applied before the operator's function.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ScaleBias
{
    public float Scale, Bias;
}

/// <summary>
/// Operators with one input and a scale: IDENTITY, ABS, TANH, SQRT, RECIP, CLIP (which alone has Min and Max), and CAST, which ends before
/// ScaleBias.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct UnaryDesc
{
    public TypedDesc* Input;
    public TypedDesc* Output;
    public ScaleBias* ScaleBias;
    public float Min, Max;
}

/// <summary>ROUND and ACTIVATION_LEAKY_RELU: one input and one number, an integer of the former, a float of the latter.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct UnaryNumberDesc
{
    public TypedDesc* Input;
    public TypedDesc* Output;
    public float Number;
}

/// <summary>ACTIVATION_SCALED_ELU.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct ScaledEluDesc
{
    public TypedDesc* Input;
    public TypedDesc* Output;
    public float Alpha;
    public float Gamma;
}

/// <summary>
/// Operators with two inputs: MULTIPLY, DIVIDE, SUBTRACT, LOGICAL_LESS_THAN, BIT_*; ADD1, which alone has FusedActivation.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct BinaryDesc
{
    public TypedDesc* A;
    public TypedDesc* B;
    public TypedDesc* Output;
    public TypedDesc* FusedActivation;
}

/// <summary>ELEMENT_WISE_IF, and ELEMENT_WISE_DEQUANTIZE_LINEAR with scale and zero point as A and B.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct TernaryDesc
{
    public TypedDesc* Input;
    public TypedDesc* A;
    public TypedDesc* B;
    public TypedDesc* Output;
}

/// <summary>DML_GEMM_OPERATOR_DESC.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct GemmDesc
{
    public TypedDesc* A;
    public TypedDesc* B;
    public TypedDesc* C;
    public TypedDesc* Output;
    public int TransA, TransB;
    public float Alpha, Beta;
    public TypedDesc* FusedActivation;
}

/// <summary>DML_GATHER_OPERATOR_DESC.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct GatherDesc
{
    public TypedDesc* Input;
    public TypedDesc* Indices;
    public TypedDesc* Output;
    public uint Axis, IndexDimensions;
}

/// <summary>DML_REDUCE_OPERATOR_DESC.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct ReduceDesc
{
    public ReduceFunction Function;
    public TypedDesc* Input;
    public TypedDesc* Output;
    public uint AxisCount;
    public uint* Axes;
}

/// <summary>DML_ACTIVATION_SOFTMAX1_OPERATOR_DESC.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct SoftmaxDesc
{
    public TypedDesc* Input;
    public TypedDesc* Output;
    public uint AxisCount;
    public uint* Axes;
}

/// <summary>DML_SLICE1_OPERATOR_DESC.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct SliceDesc
{
    public TypedDesc* Input;
    public TypedDesc* Output;
    public uint DimensionCount;
    public uint* Offsets;
    public uint* Sizes;
    public int* Strides;
}

/// <summary>DML_JOIN_OPERATOR_DESC.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct JoinDesc
{
    public uint InputCount;
    public TypedDesc* Inputs;
    public TypedDesc* Output;
    public uint Axis;
}

/// <summary>DML_MEAN_VARIANCE_NORMALIZATION2_OPERATOR_DESC.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NormalizationDesc
{
    public TypedDesc* Input;
    public TypedDesc* Scale;
    public TypedDesc* Bias;
    public TypedDesc* Output;
    public uint AxisCount;
    public uint* Axes;
    public int UseMean, UseVariance;
    public float Epsilon;
    public TypedDesc* FusedActivation;
}

/// <summary>DML_GRAPH_DESC.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct GraphDesc
{
    public uint InputCount, OutputCount, NodeCount;
    public TypedDesc* Nodes;
    public uint InputEdgeCount;
    public TypedDesc* InputEdges;
    public uint OutputEdgeCount;
    public TypedDesc* OutputEdges;
    public uint IntermediateEdgeCount;
    public TypedDesc* IntermediateEdges;
}

/// <summary>DML_OPERATOR_GRAPH_NODE_DESC.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct OperatorNodeDesc
{
    public void* Operator;
    public byte* Name;
}

/// <summary>
/// DML_INPUT_GRAPH_EDGE_DESC (graph input, node, node's input) and DML_OUTPUT_GRAPH_EDGE_DESC (node, node's output, graph output).
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct OuterEdgeDesc
{
    public uint First, Second, Third;
    public byte* Name;
}

/// <summary>DML_INTERMEDIATE_GRAPH_EDGE_DESC.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct InnerEdgeDesc
{
    public uint FromNode, FromOutput, ToNode, ToInput;
    public byte* Name;
}

/// <summary>DML_BINDING_TABLE_DESC.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct BindingTableDesc
{
    public void* Dispatchable;
    public DescriptorHandle Cpu, Gpu;
    public uint SizeInDescriptors;
}

/// <summary>DML_BINDING_PROPERTIES.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct BindingProperties
{
    public uint RequiredDescriptorCount;
    public ulong TemporaryResourceSize, PersistentResourceSize;
}

/// <summary>DML_BUFFER_BINDING.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct BufferBinding
{
    public void* Buffer;
    public ulong Offset, SizeInBytes;
}
