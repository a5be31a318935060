namespace LdlVk.Runtime.Checkpoints;

/// <summary>
/// A state dict saved by <c>torch.save</c> (PyTorch 1.6 or later): a zip file with a pickle <c>data.pkl</c> that describes the tensors and
/// one entry <c>data/KEY</c> per storage. The pickle is read with an allow list and never executed. Tensors may be strided and may
/// share storages; each is verified to lie inside its storage. Device tags are ignored. Values are read from the file. A tensor of
/// integers or fp8, such as a counter of batches, is an error only when it is requested.
/// </summary>
internal sealed class TorchFile : ITensorFile
{
    /// <summary>
    /// Limits of the total inflated size of compressed entries: so many bytes, or so many times the file. PyTorch itself never compresses,
    /// and weights deflate by less than a half.
    /// </summary>
    private const long MaxInflatedBytes = 1 << 26, MaxInflation = 4;

    private readonly FileBytes _file;
    private readonly ZipDirectory _zip;
    private readonly string _root;
    private readonly Dictionary<ZipDirectory.Entry, FileBytes> _inflated = [], _gathered = [];
    private readonly Dictionary<string, CheckpointTensor> _tensors = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (string Type, int[] Shape)> _others = new(StringComparer.Ordinal);

    private TorchFile(FileBytes file)
    {
        _file = file;
        if (file.Length < 4 || !file.Copy(0, 4).AsSpan().SequenceEqual("PK\u0003\u0004"u8))
            throw new CheckpointException(
                $"{file.Path} is not a zip file, which torch.save writes since PyTorch 1.6. "
                + $"Load it in PyTorch and save it again: torch.save(torch.load(file, weights_only=True), new_file).");
        _zip = new ZipDirectory(file);
        _root = FindRoot();
        if (_zip.Find(_root + "byteorder") is { } order && _zip.Read(order, 16) is var bytes && !bytes.AsSpan().SequenceEqual("little"u8))
            throw new CheckpointException(
                $"{file.Path} was saved with byte order '{Shown.Short(System.Text.Encoding.ASCII.GetString(bytes))}'; "
                + $"only 'little' is read. Save it again on a little-endian machine.");
    }

    /// <inheritdoc/>
    public string Path => _file.Path;

    /// <inheritdoc/>
    public IReadOnlyCollection<string> Names => [.. _tensors.Keys, .. _others.Keys];

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, string> Metadata { get; } = new Dictionary<string, string>();

    /// <summary>The tensors of supported types by their keys in the state dict.</summary>
    public IReadOnlyDictionary<string, CheckpointTensor> Tensors => _tensors;

    /// <summary>Opens the file and reads its state dict.</summary>
    /// <exception cref="CheckpointException">The file is damaged, hostile, or holds something else than a dictionary of float
    /// tensors.</exception>
    public static TorchFile Open(string path)
    {
        FileBytes file = FileBytes.Open(path);
        TorchFile? torch = null;
        try
        {
            torch = new TorchFile(file);
            torch.ReadTensors();
            return torch;
        }
        catch
        {
            torch?.Dispose();
            file.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public bool Contains(string name) => _tensors.ContainsKey(name) || _others.ContainsKey(name);

    /// <inheritdoc/>
    public IReadOnlyList<int> Shape(string name) =>
        _tensors.TryGetValue(name, out CheckpointTensor? found) ? found.Shape : _others[name].Shape;

    /// <inheritdoc/>
    public CheckpointTensor Tensor(string name, string? shownAs = null)
    {
        if (_others.TryGetValue(name, out var other))
            throw new CheckpointException(
                $"Tensor {Shown.Short(name)} of {Path} has elements of type {other.Type}; LdlVk reads float32, float16, bfloat16 and "
                + $"float64. Use the checkpoint as published, not one quantized by another tool.");
        if (!_tensors.TryGetValue(name, out CheckpointTensor? tensor))
            throw new CheckpointException($"{Path} has no tensor {Shown.Short(name)}.");
        return shownAs is null ? tensor : tensor.Named(shownAs);
    }

    /// <inheritdoc/>
    public FileRange Range(string name, string type, int[] shape) => throw new CheckpointException(
        $"Tensor {Shown.Short(name)} is in {Path}, a file of PyTorch, but {type} [{string.Join(", ", shape)}] in a safetensors file is "
        + $"needed. The folder is mixed from two models: convert the original again.");

    /// <inheritdoc/>
    public void Forget()
    {
        foreach (FileBytes storage in _gathered.Values) storage.Forget();
    }

    /// <inheritdoc/>
    public void CheckUnchanged() => _file.CheckUnchanged();

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (FileBytes storage in _inflated.Values.Concat(_gathered.Values)) storage.Dispose();
        _file.Dispose();
    }

    private string FindRoot()
    {
        const string pickle = "data.pkl";
        string[] found = [.. _zip.Names.Where(name => name == pickle || name.EndsWith("/" + pickle, StringComparison.Ordinal))];
        if (found.Length != 1)
            throw new CheckpointException(
                $"{Path} holds {found.Length} entries {pickle} where a file of torch.save holds one. Download it again.");
        return found[0][..^pickle.Length];
    }

    private void ReadTensors()
    {
        byte[] pickle = _zip.Read(_zip.Find(_root + "data.pkl")!, PickleReader.MaxBytes);
        object? value = new TorchPickle(Path, pickle).Read();
        if (value is not Dictionary<string, object?> dictionary)
            throw new CheckpointException(
                $"{Path} holds no state dict. Save the module's state_dict(), not the module or a single tensor.");
        foreach ((string key, object? item) in dictionary)
        {
            if (item is not TorchTensor tensor)
                throw new CheckpointException(
                    $"{Path}: the entry {Shown.Short(key)} is not a tensor. Save the module's state_dict() alone.");
            Locate(key, tensor);
        }
    }

    private void Locate(string key, TorchTensor tensor)
    {
        string name = $"{System.IO.Path.GetFileName(Path)}:{Shown.Short(key)}";
        ZipDirectory.Entry entry = _zip.Find(_root + "data/" + tensor.StorageKey)
            ?? throw Damaged(name, $"is in storage {Shown.Short(tensor.StorageKey)}, which the file lacks");
        if (entry.Bytes != tensor.StorageBytes)
            throw Damaged(name, $"is in a storage of {tensor.StorageBytes:N0} bytes, but {entry.Name} has {entry.Bytes:N0}");
        CheckInside(name, tensor);
        long first = tensor.Offset * tensor.Type.Bytes, data = entry.Compressed ? 0 : _zip.DataOffset(entry);
        if (tensor.Type.Type is not { } type) _others.Add(key, (tensor.Type.Name, tensor.Shape));
        else if (entry.Compressed) _tensors.Add(key, new(name, type, tensor.Shape, Inflated(entry), first, tensor.Strides));
        else if (IsGathered(tensor) && !_file.IsInMemory)
            _tensors.Add(key, new(name, type, tensor.Shape, Gathered(entry), first, tensor.Strides));
        else _tensors.Add(key, new(name, type, tensor.Shape, _file, data + first, tensor.Strides));
    }

    private static void CheckInside(string name, TorchTensor tensor)
    {
        long elements = tensor.StorageBytes / tensor.Type.Bytes, count = 1, last = tensor.Offset;
        if (tensor.Offset > elements) throw Damaged(name, "reaches beyond its storage");
        if (tensor.Shape.Contains(0)) return;
        for (int d = 0; d < tensor.Shape.Length; d++)
        {
            int steps = tensor.Shape[d] - 1;
            // A tensor with more elements than its storage repeats some (expand). Weights never do that; a decompression bomb would.
            if (count > elements / (steps + 1L)) throw Damaged(name, $"has more elements than the {elements:N0} of its storage");
            count *= steps + 1L;
            if (steps > 0 && tensor.Strides[d] > (elements - last) / steps) throw Damaged(name, "reaches beyond its storage");
            last += steps * tensor.Strides[d];
        }
        if (last >= elements) throw Damaged(name, "reaches beyond its storage");
    }

    private FileBytes Inflated(ZipDirectory.Entry entry)
    {
        if (_inflated.TryGetValue(entry, out FileBytes? known)) return known;
        long most = Math.Max(MaxInflatedBytes, MaxInflation * _file.Length);
        if (_inflated.Values.Sum(file => file.Length) + entry.Bytes > most)
            throw new CheckpointException(
                $"{Path}: the compressed entries inflate to more than {most:N0} bytes. "
                + $"Save the state dict again with torch.save, which does not compress.");
        return _inflated[entry] = FileBytes.InMemory(Path, Math.Max(1, entry.Bytes), to => _zip.Inflate(entry, to));
    }

    /// <summary>Whether neighbors in a row are apart in the file, as in a transposed matrix.</summary>
    private static bool IsGathered(TorchTensor tensor) => tensor.Shape.Length > 0 && tensor.Shape[^1] > 1 && tensor.Strides[^1] != 1;

    /// <summary>Returns a storage in memory: a read of the file for each element takes 20 times as long.</summary>
    private FileBytes Gathered(ZipDirectory.Entry entry) => _gathered.TryGetValue(entry, out FileBytes? known) ? known
        : _gathered[entry] = FileBytes.InMemory(Path, Math.Max(1, entry.Bytes), to => _zip.Inflate(entry, to));

    private static CheckpointException Damaged(string name, string what) =>
        new($"Tensor {name} {what}: the file is damaged. Download it again.");
}
