using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;
using LdlVk.DirectML.Interop;

namespace LdlVk.DirectML.Tests;

/// <summary>
/// The hand-written interop against Microsoft's headers, as Debian packages them (directx-headers-dev): a C++ compiler says the size and
/// the offsets of every structure, the enum values and the vtable slots. DXGI's headers are not among them.
/// </summary>
[Trait("Duration", "Long")]
public sealed class DirectMLAbiTests
{
    private const string Headers = "/usr/include/directx";

    /// <summary>C# structure, C++ structures that it stands for, and C++ fields in the order of the C# ones.</summary>
    private static readonly (Type Ours, string Native, string Fields)[] Structures =
    [
        (typeof(HeapProperties), "D3D12_HEAP_PROPERTIES", "Type CPUPageProperty MemoryPoolPreference CreationNodeMask VisibleNodeMask"),
        (typeof(ResourceDescription), "D3D12_RESOURCE_DESC", "Dimension Alignment Width Height DepthOrArraySize MipLevels Format SampleDesc.Count SampleDesc.Quality Layout Flags"),
        (typeof(ResourceBarrier), "D3D12_RESOURCE_BARRIER", "Type Flags Transition.pResource Transition.Subresource Transition.StateBefore Transition.StateAfter"),
        (typeof(ResourceBarrier), "D3D12_RESOURCE_BARRIER", "Type Flags UAV.pResource"),
        (typeof(CommandQueueDescription), "D3D12_COMMAND_QUEUE_DESC", "Type Priority Flags NodeMask"),
        (typeof(DescriptorHeapDescription), "D3D12_DESCRIPTOR_HEAP_DESC", "Type NumDescriptors Flags NodeMask"),
        (typeof(DescriptorHandle), "D3D12_CPU_DESCRIPTOR_HANDLE", "ptr"),
        (typeof(DescriptorHandle), "D3D12_GPU_DESCRIPTOR_HANDLE", "ptr"),
        (typeof(ArchitectureData), "D3D12_FEATURE_DATA_ARCHITECTURE", "NodeIndex TileBasedRenderer UMA CacheCoherentUMA"),
        (typeof(BufferTensorDesc), "DML_BUFFER_TENSOR_DESC", "DataType Flags DimensionCount Sizes Strides TotalTensorSizeInBytes GuaranteedBaseOffsetAlignment"),
        (typeof(TypedDesc), "DML_TENSOR_DESC", "Type Desc"),
        (typeof(TypedDesc), "DML_OPERATOR_DESC", "Type Desc"),
        (typeof(TypedDesc), "DML_BINDING_DESC", "Type Desc"),
        (typeof(TypedDesc), "DML_GRAPH_NODE_DESC", "Type Desc"),
        (typeof(TypedDesc), "DML_GRAPH_EDGE_DESC", "Type Desc"),
        (typeof(ScaleBias), "DML_SCALE_BIAS", "Scale Bias"),
        (typeof(UnaryDesc), "DML_ELEMENT_WISE_CLIP_OPERATOR_DESC", "InputTensor OutputTensor ScaleBias Min Max"),
        (typeof(UnaryDesc), "DML_ELEMENT_WISE_IDENTITY_OPERATOR_DESC", "InputTensor OutputTensor ScaleBias"),
        (typeof(UnaryDesc), "DML_ELEMENT_WISE_ABS_OPERATOR_DESC", "InputTensor OutputTensor ScaleBias"),
        (typeof(UnaryDesc), "DML_ELEMENT_WISE_TANH_OPERATOR_DESC", "InputTensor OutputTensor ScaleBias"),
        (typeof(UnaryDesc), "DML_ELEMENT_WISE_SQRT_OPERATOR_DESC", "InputTensor OutputTensor ScaleBias"),
        (typeof(UnaryDesc), "DML_ELEMENT_WISE_RECIP_OPERATOR_DESC", "InputTensor OutputTensor ScaleBias"),
        (typeof(UnaryDesc), "DML_CAST_OPERATOR_DESC", "InputTensor OutputTensor"),
        (typeof(UnaryNumberDesc), "DML_ACTIVATION_LEAKY_RELU_OPERATOR_DESC", "InputTensor OutputTensor Alpha"),
        (typeof(ScaledEluDesc), "DML_ACTIVATION_SCALED_ELU_OPERATOR_DESC", "InputTensor OutputTensor Alpha Gamma"),
        (typeof(UnaryNumberDesc), "DML_ELEMENT_WISE_ROUND_OPERATOR_DESC", "InputTensor OutputTensor RoundingMode"),
        (typeof(BinaryDesc), "DML_ELEMENT_WISE_ADD1_OPERATOR_DESC", "ATensor BTensor OutputTensor FusedActivation"),
        (typeof(BinaryDesc), "DML_ELEMENT_WISE_MULTIPLY_OPERATOR_DESC", "ATensor BTensor OutputTensor"),
        (typeof(BinaryDesc), "DML_ELEMENT_WISE_SUBTRACT_OPERATOR_DESC", "ATensor BTensor OutputTensor"),
        (typeof(BinaryDesc), "DML_ELEMENT_WISE_LOGICAL_LESS_THAN_OPERATOR_DESC", "ATensor BTensor OutputTensor"),
        (typeof(BinaryDesc), "DML_ELEMENT_WISE_DIVIDE_OPERATOR_DESC", "ATensor BTensor OutputTensor"),
        (typeof(BinaryDesc), "DML_ELEMENT_WISE_BIT_AND_OPERATOR_DESC", "ATensor BTensor OutputTensor"),
        (typeof(BinaryDesc), "DML_ELEMENT_WISE_BIT_OR_OPERATOR_DESC", "ATensor BTensor OutputTensor"),
        (typeof(BinaryDesc), "DML_ELEMENT_WISE_BIT_SHIFT_LEFT_OPERATOR_DESC", "ATensor BTensor OutputTensor"),
        (typeof(BinaryDesc), "DML_ELEMENT_WISE_BIT_SHIFT_RIGHT_OPERATOR_DESC", "ATensor BTensor OutputTensor"),
        (typeof(TernaryDesc), "DML_ELEMENT_WISE_IF_OPERATOR_DESC", "ConditionTensor ATensor BTensor OutputTensor"),
        (typeof(TernaryDesc), "DML_ELEMENT_WISE_DEQUANTIZE_LINEAR_OPERATOR_DESC", "InputTensor ScaleTensor ZeroPointTensor OutputTensor"),
        (typeof(GemmDesc), "DML_GEMM_OPERATOR_DESC", "ATensor BTensor CTensor OutputTensor TransA TransB Alpha Beta FusedActivation"),
        (typeof(GatherDesc), "DML_GATHER_OPERATOR_DESC", "InputTensor IndicesTensor OutputTensor Axis IndexDimensions"),
        (typeof(ReduceDesc), "DML_REDUCE_OPERATOR_DESC", "Function InputTensor OutputTensor AxisCount Axes"),
        (typeof(SoftmaxDesc), "DML_ACTIVATION_SOFTMAX1_OPERATOR_DESC", "InputTensor OutputTensor AxisCount Axes"),
        (typeof(SliceDesc), "DML_SLICE1_OPERATOR_DESC", "InputTensor OutputTensor DimensionCount InputWindowOffsets InputWindowSizes InputWindowStrides"),
        (typeof(JoinDesc), "DML_JOIN_OPERATOR_DESC", "InputCount InputTensors OutputTensor Axis"),
        (typeof(NormalizationDesc), "DML_MEAN_VARIANCE_NORMALIZATION2_OPERATOR_DESC", "InputTensor ScaleTensor BiasTensor OutputTensor AxisCount Axes UseMean UseVariance Epsilon FusedActivation"),
        (typeof(GraphDesc), "DML_GRAPH_DESC", "InputCount OutputCount NodeCount Nodes InputEdgeCount InputEdges OutputEdgeCount OutputEdges IntermediateEdgeCount IntermediateEdges"),
        (typeof(OperatorNodeDesc), "DML_OPERATOR_GRAPH_NODE_DESC", "Operator Name"),
        (typeof(OuterEdgeDesc), "DML_INPUT_GRAPH_EDGE_DESC", "GraphInputIndex ToNodeIndex ToNodeInputIndex Name"),
        (typeof(OuterEdgeDesc), "DML_OUTPUT_GRAPH_EDGE_DESC", "FromNodeIndex FromNodeOutputIndex GraphOutputIndex Name"),
        (typeof(InnerEdgeDesc), "DML_INTERMEDIATE_GRAPH_EDGE_DESC", "FromNodeIndex FromNodeOutputIndex ToNodeIndex ToNodeInputIndex Name"),
        (typeof(BindingTableDesc), "DML_BINDING_TABLE_DESC", "Dispatchable CPUDescriptorHandle GPUDescriptorHandle SizeInDescriptors"),
        (typeof(BindingProperties), "DML_BINDING_PROPERTIES", "RequiredDescriptorCount TemporaryResourceSize PersistentResourceSize"),
        (typeof(BufferBinding), "DML_BUFFER_BINDING", "Buffer Offset SizeInBytes"),
    ];

    private static readonly (string Native, long Ours)[] Values =
    [
        ("D3D12_HEAP_TYPE_DEFAULT", (long)HeapType.Default), ("D3D12_HEAP_TYPE_UPLOAD", (long)HeapType.Upload), ("D3D12_HEAP_TYPE_READBACK", (long)HeapType.Readback), ("D3D12_HEAP_TYPE_CUSTOM", (long)HeapType.Custom),
        ("D3D12_CPU_PAGE_PROPERTY_WRITE_BACK", HeapProperties.WriteBack), ("D3D12_MEMORY_POOL_L0", HeapProperties.HostMemory),
        ("D3D12_RESOURCE_STATE_COMMON", (long)ResourceStates.Common), ("D3D12_RESOURCE_STATE_UNORDERED_ACCESS", (long)ResourceStates.UnorderedAccess),
        ("D3D12_RESOURCE_STATE_COPY_DEST", (long)ResourceStates.CopyDestination), ("D3D12_RESOURCE_STATE_COPY_SOURCE", (long)ResourceStates.CopySource),
        ("D3D12_RESOURCE_STATE_GENERIC_READ", (long)ResourceStates.GenericRead),
        ("D3D12_COMMAND_LIST_TYPE_DIRECT", (long)CommandListType.Direct), ("D3D12_COMMAND_LIST_TYPE_COMPUTE", (long)CommandListType.Compute), ("D3D12_COMMAND_LIST_TYPE_COPY", (long)CommandListType.Copy),
        ("D3D12_RESOURCE_DIMENSION_BUFFER", ResourceDescription.Buffer), ("D3D12_TEXTURE_LAYOUT_ROW_MAJOR", ResourceDescription.RowMajor),
        ("D3D12_RESOURCE_FLAG_ALLOW_UNORDERED_ACCESS", ResourceDescription.AllowUnorderedAccess),
        ("D3D12_RESOURCE_BARRIER_TYPE_TRANSITION", ResourceBarrier.Transition), ("D3D12_RESOURCE_BARRIER_TYPE_UAV", ResourceBarrier.UnorderedAccess),
        ("D3D12_RESOURCE_BARRIER_ALL_SUBRESOURCES", ResourceBarrier.AllSubresources), ("D3D12_DESCRIPTOR_HEAP_FLAG_SHADER_VISIBLE", DescriptorHeapDescription.ShaderVisible),
        ("D3D12_DESCRIPTOR_HEAP_TYPE_CBV_SRV_UAV", 0), ("D3D12_FEATURE_ARCHITECTURE", ArchitectureData.Feature), ("D3D_FEATURE_LEVEL_11_0", D3D12Device.FeatureLevel),
        ("DML_TENSOR_DATA_TYPE_FLOAT32", (long)DataType.Float32), ("DML_TENSOR_DATA_TYPE_FLOAT16", (long)DataType.Float16), ("DML_TENSOR_DATA_TYPE_UINT32", (long)DataType.UInt32),
        ("DML_TENSOR_DATA_TYPE_UINT8", (long)DataType.UInt8), ("DML_TENSOR_DATA_TYPE_INT8", (long)DataType.Int8),
        ("DML_OPERATOR_ELEMENT_WISE_IDENTITY", (long)OperatorType.Identity), ("DML_OPERATOR_ELEMENT_WISE_ABS", (long)OperatorType.Abs), ("DML_OPERATOR_ELEMENT_WISE_CLIP", (long)OperatorType.Clip),
        ("DML_OPERATOR_ELEMENT_WISE_DIVIDE", (long)OperatorType.Divide), ("DML_OPERATOR_ELEMENT_WISE_LOGICAL_LESS_THAN", (long)OperatorType.LessThan), ("DML_OPERATOR_ELEMENT_WISE_SUBTRACT", (long)OperatorType.Subtract), ("DML_OPERATOR_ELEMENT_WISE_MULTIPLY", (long)OperatorType.Multiply), ("DML_OPERATOR_ELEMENT_WISE_RECIP", (long)OperatorType.Recip),
        ("DML_OPERATOR_ELEMENT_WISE_SQRT", (long)OperatorType.Sqrt), ("DML_OPERATOR_ELEMENT_WISE_DEQUANTIZE_LINEAR", (long)OperatorType.DequantizeLinear),
        ("DML_OPERATOR_ACTIVATION_LEAKY_RELU", (long)OperatorType.LeakyRelu), ("DML_OPERATOR_ACTIVATION_SCALED_ELU", (long)OperatorType.ScaledElu), ("DML_OPERATOR_GEMM", (long)OperatorType.Gemm), ("DML_OPERATOR_REDUCE", (long)OperatorType.Reduce),
        ("DML_OPERATOR_CAST", (long)OperatorType.Cast), ("DML_OPERATOR_JOIN", (long)OperatorType.Join), ("DML_OPERATOR_GATHER", (long)OperatorType.Gather), ("DML_OPERATOR_ELEMENT_WISE_TANH", (long)OperatorType.Tanh),
        ("DML_OPERATOR_ELEMENT_WISE_IF", (long)OperatorType.If), ("DML_OPERATOR_ELEMENT_WISE_ADD1", (long)OperatorType.Add1), ("DML_OPERATOR_ELEMENT_WISE_BIT_SHIFT_LEFT", (long)OperatorType.BitShiftLeft),
        ("DML_OPERATOR_ELEMENT_WISE_BIT_SHIFT_RIGHT", (long)OperatorType.BitShiftRight), ("DML_OPERATOR_ELEMENT_WISE_ROUND", (long)OperatorType.Round), ("DML_OPERATOR_SLICE1", (long)OperatorType.Slice1),
        ("DML_OPERATOR_ELEMENT_WISE_BIT_AND", (long)OperatorType.BitAnd), ("DML_OPERATOR_ELEMENT_WISE_BIT_OR", (long)OperatorType.BitOr), ("DML_OPERATOR_ACTIVATION_SOFTMAX1", (long)OperatorType.Softmax1),
        ("DML_OPERATOR_MEAN_VARIANCE_NORMALIZATION2", (long)OperatorType.MeanVarianceNormalization2),
        ("DML_REDUCE_FUNCTION_MAX", (long)ReduceFunction.Max), ("DML_REDUCE_FUNCTION_SUM_SQUARE", (long)ReduceFunction.SumSquare),
        ("DML_TENSOR_TYPE_BUFFER", TypedDesc.BufferTensor), ("DML_BINDING_TYPE_BUFFER", TypedDesc.BufferBinding), ("DML_BINDING_TYPE_BUFFER_ARRAY", TypedDesc.BufferArrayBinding),
        ("DML_GRAPH_NODE_TYPE_OPERATOR", TypedDesc.OperatorNode), ("DML_GRAPH_EDGE_TYPE_INPUT", TypedDesc.InputEdge), ("DML_GRAPH_EDGE_TYPE_OUTPUT", TypedDesc.OutputEdge),
        ("DML_GRAPH_EDGE_TYPE_INTERMEDIATE", TypedDesc.IntermediateEdge), ("DML_MATRIX_TRANSFORM_TRANSPOSE", 1), ("DML_ROUNDING_MODE_HALVES_TO_NEAREST_EVEN", 0), ("DML_FEATURE_FEATURE_LEVELS", 1),
        ("DML_FEATURE_LEVEL_1_0", 0x1000), ("DML_FEATURE_LEVEL_5_1", DirectMLBackend.RequiredLevel), ("DML_FEATURE_LEVEL_6_4", 0x6400),
    ];

    private static readonly (string Native, Guid Ours)[] Interfaces =
    [
        ("ID3D12Device", D3D12Device.Iid), ("ID3D12CommandQueue", D3D12Queue.Iid), ("ID3D12CommandAllocator", D3D12CommandAllocator.Iid), ("ID3D12GraphicsCommandList", D3D12CommandList.Iid),
        ("ID3D12Fence", D3D12Fence.Iid), ("ID3D12Resource", D3D12Resource.Iid), ("ID3D12DescriptorHeap", D3D12DescriptorHeap.Iid), ("IDMLDevice1", DmlDevice.Iid), ("IDMLOperator", DmlOperator.Iid),
        ("IDMLCompiledOperator", DmlDispatchable.CompiledOperatorIid), ("IDMLOperatorInitializer", DmlDispatchable.InitializerIid), ("IDMLBindingTable", DmlBindingTable.Iid), ("IDMLCommandRecorder", DmlCommandRecorder.Iid),
    ];

    [Fact]
    public void Interface_ids_are_those_of_the_headers()
    {
        SkipWithoutHeaders();
        string text = File.ReadAllText($"{Headers}/d3d12.h") + File.ReadAllText($"{Headers}/DirectML.h");
        foreach ((string native, Guid ours) in Interfaces)
        {
            Match match = Regex.Match(text, $"(?:MIDL_INTERFACE|DML_DECLARE_INTERFACE)\\(\"([-0-9a-f]+)\"\\)\\s+(?:interface )?{native} :");
            Assert.True(match.Success, $"{native} is not in the headers");
            Assert.True(Guid.Parse(match.Groups[1].Value) == ours, $"{native} is {match.Groups[1].Value}, here {ours}");
        }
    }

    [Fact]
    public void Sizes_offsets_values_and_slots_are_those_of_the_headers()
    {
        SkipWithoutHeaders();
        Dictionary<string, long> ours = Ours();
        Assert.True(ours.Count > 250, $"{ours.Count} facts");
        string folder = Directory.CreateTempSubdirectory("ldlvk-abi").FullName;
        try
        {
            File.WriteAllText($"{folder}/abi.cpp", Listing(ours.Keys));
            (int status, string messages) = Run("g++", "-w", "-fpermissive", "-I/usr/include/wsl/stubs", $"-I{Headers}", "-o", $"{folder}/abi", $"{folder}/abi.cpp");
            Assert.SkipWhen(status == -1, "there is no C++ compiler (package g++)");
            Assert.True(status == 0, messages);
            (status, string listing) = Run($"{folder}/abi");
            Assert.Equal(0, status);
            Dictionary<string, long> native = listing.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split('=')).ToDictionary(p => p[0], p => long.Parse(p[1], CultureInfo.InvariantCulture));
            Assert.Equal(ours.Count, native.Count);
            Assert.All(ours, fact => Assert.True(native[fact.Key] == fact.Value, $"{fact.Key} is {native[fact.Key]}, here {fact.Value}"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>
    /// Every operator came with the feature level that is asked for at the latest, so that no weight format needs a higher one; but for the
    /// one that takes the place of MULTIPLY in Wine.
    /// </summary>
    [Fact]
    public void Operators_are_of_the_feature_level_that_is_needed()
    {
        SkipWithoutHeaders();
        Dictionary<string, int> levels = [];
        Stack<int> conditions = new([0x1000]);
        foreach (string line in File.ReadLines($"{Headers}/DirectML.h"))
        {
            Match since = Regex.Match(line, "^#if DML_TARGET_VERSION >= 0x([0-9A-Fa-f]+)"), value = Regex.Match(line, @"^\s+(DML_OPERATOR_\w+)");
            if (since.Success) conditions.Push(int.Parse(since.Groups[1].Value, NumberStyles.HexNumber, CultureInfo.InvariantCulture));
            else if (line.StartsWith("#if", StringComparison.Ordinal)) conditions.Push(conditions.Peek());
            else if (line.StartsWith("#endif", StringComparison.Ordinal)) conditions.Pop();
            else if (value.Success) levels.TryAdd(value.Groups[1].Value, conditions.Peek());
        }

        string[] ours = [.. Values.Select(v => v.Native).Where(name => name.StartsWith("DML_OPERATOR_", StringComparison.Ordinal))];
        Assert.Equal(Enum.GetValues<OperatorType>().Length, ours.Length);
        Assert.Equal((0x1000, 0x5100, 0x6300), (levels["DML_OPERATOR_GEMM"], levels["DML_OPERATOR_ACTIVATION_SOFTMAX1"], levels["DML_OPERATOR_DEQUANTIZE"]));
        Assert.Equal(["DML_OPERATOR_MEAN_VARIANCE_NORMALIZATION2"], ours.Where(name => levels[name] > DirectMLBackend.RequiredLevel));
    }

    private static void SkipWithoutHeaders()
    {
        string file = $"{Headers}/DirectML.h";
        Assert.SkipUnless(OperatingSystem.IsLinux() && File.Exists(file), "Microsoft's headers are not installed (package directx-headers-dev)");
        Assert.SkipUnless(File.ReadAllText(file).Contains("DML_FEATURE_LEVEL_6_4", StringComparison.Ordinal), $"{file} is older than version 1.614");
    }

    /// <summary>Every fact as a C++ expression, and its value here.</summary>
    private static Dictionary<string, long> Ours()
    {
        Dictionary<string, long> facts = [];
        foreach ((Type type, string native, string names) in Structures)
        {
            FieldInfo[] fields = [.. type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic).OrderBy(f => Marshal.OffsetOf(type, f.Name))];
            string[] nativeNames = names.Split(' ');
            if (nativeNames.Length == fields.Length) facts[$"sizeof({native})"] = Marshal.SizeOf(type);
            for (int i = 0; i < nativeNames.Length; i++) facts[$"offsetof({native}, {nativeNames[i]})"] = Marshal.OffsetOf(type, fields[i].Name);
        }
        foreach ((string native, long value) in Values) facts[$"(long long){native}"] = value;
        foreach (Type type in typeof(Slots).GetNestedTypes(BindingFlags.NonPublic).Where(type => !type.Name.StartsWith("IDXGI", StringComparison.Ordinal)))
            foreach (FieldInfo slot in type.GetFields())
                facts[$"slot(&{type.Name}::{slot.Name})"] = (int)slot.GetRawConstantValue()!;
        return facts;
    }

    private static string Listing(IEnumerable<string> expressions)
    {
        // In the Itanium ABI a pointer to a virtual method is its offset in the vtable, plus one.
        StringBuilder text = new("""
            #include <wsl/winadapter.h>
            #include <directx/d3d12.h>
            #define DML_TARGET_VERSION_USE_LATEST
            #include <directx/DirectML.h>
            #include <cstdio>
            #include <cstddef>
            template <class M> static long long slot(M m) { union { M method; long words[2]; } u; u.method = m; return (u.words[0] - 1) / 8; }
            int main() {

            """);
        foreach (string expression in expressions) text.Append(CultureInfo.InvariantCulture, $"printf(\"%s=%lld\\n\", \"{expression}\", (long long)({expression}));\n");
        return text.Append("}\n").ToString();
    }

    /// <summary>Runs a program to its end; status −1 if there is none of that name.</summary>
    private static (int Status, string Output) Run(string program, params string[] arguments)
    {
        ProcessStartInfo start = new(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        try
        {
            using Process process = Process.Start(start)!;
            Task<string> errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            string output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return (process.ExitCode, output + errors.Result);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return (-1, "");
        }
    }
}
