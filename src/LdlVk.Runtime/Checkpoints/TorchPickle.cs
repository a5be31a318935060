namespace LdlVk.Runtime.Checkpoints;

/// <summary>
/// A tensor as described by a PyTorch pickle: a view of a storage, in elements. It is not yet verified against the storage.
/// </summary>
internal sealed record TorchTensor(string StorageKey, long StorageBytes, TorchType Type, long Offset, int[] Shape, long[] Strides);

/// <summary>An element type of PyTorch.</summary>
/// <param name="Name">Its name, such as <c>bfloat16</c>.</param>
/// <param name="Bytes">Bytes of an element.</param>
/// <param name="Type">The type as it is read; null if it is not.</param>
internal sealed record TorchType(string Name, int Bytes, ElementType? Type = null)
{
    private static readonly TorchType[] All =
    [
        new("float32", 4, ElementType.Fp32), new("float16", 2, ElementType.Fp16), new("bfloat16", 2, ElementType.Bf16),
        new("float64", 8, ElementType.Fp64), new("int64", 8), new("int32", 4), new("int16", 2), new("int8", 1), new("uint8", 1),
        new("bool", 1), new("float8_e4m3fn", 1, ElementType.Fp8E4M3), new("float8_e5m2", 1),
    ];

    /// <summary>Finds a type by its name as a dtype, or by that of its storage class; null if there is none.</summary>
    public static TorchType? Find(string name) => name switch
    {
        "FloatStorage" => Find("float32"),
        "HalfStorage" => Find("float16"),
        "BFloat16Storage" => Find("bfloat16"),
        "DoubleStorage" => Find("float64"),
        "LongStorage" => Find("int64"),
        "IntStorage" => Find("int32"),
        "ShortStorage" => Find("int16"),
        "CharStorage" => Find("int8"),
        "ByteStorage" => Find("uint8"),
        "BoolStorage" => Find("bool"),
        _ => Array.Find(All, type => type.Name == name),
    };
}

/// <summary>
/// The names in a state dict of tensors and their values; see torch/_utils.py and torch/serialization.py. All other names are refused.
/// </summary>
internal sealed class TorchPickle(string path, byte[] pickle) : PickleReader(path, pickle)
{
    private const int MaxRank = 8;

    private enum Function { OrderedDict, RebuildTensor, RebuildTensorOfType, RebuildParameter, UntypedStorage }

    /// <summary>A storage; the type is null for an untyped storage, whose tensors have the type.</summary>
    private sealed record Storage(string Key, long Bytes, TorchType? Type);

    /// <inheritdoc/>
    protected override object Global(string module, string name) => (module, name) switch
    {
        ("collections", "OrderedDict") => Function.OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2") => Function.RebuildTensor,
        ("torch._utils", "_rebuild_tensor_v3") => Function.RebuildTensorOfType,
        ("torch._utils", "_rebuild_parameter") => Function.RebuildParameter,
        ("torch" or "torch.storage", "UntypedStorage") => Function.UntypedStorage,
        ("torch", _) when TorchType.Find(name) is { } type => type,
        _ => throw Forbidden(module, name),
    };

    /// <inheritdoc/>
    protected override object? Call(object? function, object?[] arguments) => (function, arguments) switch
    {
        (Function.OrderedDict, []) => new Dictionary<string, object?>(StringComparer.Ordinal),
        // storage, offset, size, stride, requires_grad, backward_hooks[, metadata]
        (Function.RebuildTensor, [Storage { Type: { } type } storage, long offset, object?[] size, object?[] stride, ..]) =>
            Tensor(storage, type, offset, size, stride),
        // storage, offset, size, stride, requires_grad, backward_hooks, dtype[, metadata]
        (Function.RebuildTensorOfType, [Storage storage, long offset, object?[] size, object?[] stride, _, _, TorchType type, ..]) =>
            Tensor(storage, type, offset, size, stride),
        // data, requires_grad, backward_hooks
        (Function.RebuildParameter, [TorchTensor tensor, ..]) => tensor,
        _ => throw Refused("makes a call that no state dict needs"),
    };

    /// <inheritdoc/>
    protected override object PersistentLoad(object? id)
    {
        // 'storage', type, key, device, number of elements (of bytes if untyped)
        if (id as object?[] is not ["storage", { } type, string key, string, long count] || count < 0 || count > long.MaxValue / 8)
            throw Refused("has a persistent id that is no storage of numbers");
        return type switch
        {
            TorchType known => new Storage(key, count * known.Bytes, known),
            Function.UntypedStorage => new Storage(key, count, null),
            _ => throw Refused("has a persistent id that is no storage of numbers"),
        };
    }

    private TorchTensor Tensor(Storage storage, TorchType type, long offset, object?[] size, object?[] stride)
    {
        if (size.Length > MaxRank || stride.Length != size.Length || offset < 0) throw Damaged("describes a tensor of impossible shape");
        int[] shape = new int[size.Length];
        long[] strides = new long[size.Length];
        for (int i = 0; i < shape.Length; i++)
        {
            if (size[i] is not (long dimension and >= 0 and <= int.MaxValue) || stride[i] is not (long step and >= 0))
                throw Damaged("describes a tensor of impossible shape");
            (shape[i], strides[i]) = ((int)dimension, step);
        }
        return new TorchTensor(storage.Key, storage.Bytes, type, offset, shape, strides);
    }
}
