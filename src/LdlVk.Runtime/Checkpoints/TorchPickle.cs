namespace LdlVk.Runtime.Checkpoints;

/// <summary>
/// A tensor as described by a PyTorch pickle: a view of a storage, in elements. It is not yet verified against the storage.
/// </summary>
internal sealed record TorchTensor(string StorageKey, long StorageBytes, ElementType Type, long Offset, int[] Shape, long[] Strides);

/// <summary>
/// The names in a state dict of float tensors and their values; see torch/_utils.py and torch/serialization.py. All other names are
/// refused.
/// </summary>
internal sealed class TorchPickle(string path, byte[] pickle) : PickleReader(path, pickle)
{
    private const int MaxRank = 8;

    private enum Function { OrderedDict, RebuildTensor, RebuildTensorOfType, RebuildParameter, UntypedStorage }

    /// <summary>A storage; the type is null for an untyped storage, whose tensors have the type.</summary>
    private sealed record Storage(string Key, long Bytes, ElementType? Type);

    /// <inheritdoc/>
    protected override object Global(string module, string name) => (module, name) switch
    {
        ("collections", "OrderedDict") => Function.OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2") => Function.RebuildTensor,
        ("torch._utils", "_rebuild_tensor_v3") => Function.RebuildTensorOfType,
        ("torch._utils", "_rebuild_parameter") => Function.RebuildParameter,
        ("torch" or "torch.storage", "UntypedStorage") => Function.UntypedStorage,
        ("torch", "FloatStorage" or "float32") => ElementType.Fp32,
        ("torch", "HalfStorage" or "float16") => ElementType.Fp16,
        ("torch", "BFloat16Storage" or "bfloat16") => ElementType.Bf16,
        ("torch", "DoubleStorage" or "float64") => ElementType.Fp64,
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
        (Function.RebuildTensorOfType, [Storage storage, long offset, object?[] size, object?[] stride, _, _, ElementType type, ..]) =>
            Tensor(storage, type, offset, size, stride),
        // data, requires_grad, backward_hooks
        (Function.RebuildParameter, [TorchTensor tensor, ..]) => tensor,
        _ => throw Refused("makes a call that no state dict of float tensors needs"),
    };

    /// <inheritdoc/>
    protected override object PersistentLoad(object? id)
    {
        // 'storage', type, key, device, number of elements (of bytes if untyped)
        if (id as object?[] is not ["storage", { } type, string key, string, long count] || count < 0 || count > long.MaxValue / 8)
            throw Refused("has a persistent id that is no storage of floats");
        return type switch
        {
            ElementType known => new Storage(key, count * known.Bytes(), known),
            Function.UntypedStorage => new Storage(key, count, null),
            _ => throw Refused("has a persistent id that is no storage of floats"),
        };
    }

    private TorchTensor Tensor(Storage storage, ElementType type, long offset, object?[] size, object?[] stride)
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
