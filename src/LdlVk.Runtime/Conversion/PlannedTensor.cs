using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Conversion;

/// <summary>A tensor that a conversion will write: its header entry, and the function that writes its bytes.</summary>
/// <param name="Name">Its name in the file.</param>
/// <param name="Type">Element type, as safetensors names it.</param>
/// <param name="Shape">Dimensions, outermost first.</param>
/// <param name="Bytes">Size in bytes.</param>
/// <param name="Write">Appends the bytes.</param>
internal sealed record PlannedTensor(string Name, string Type, int[] Shape, long Bytes, Action<WriteQueue> Write)
{
    /// <summary>Plans an unchanged copy of a tensor.</summary>
    public static PlannedTensor Copy(string name, CheckpointTensor tensor) =>
        new(name, TypeName(tensor.ElementType), [.. tensor.Shape], tensor.Bytes, queue =>
    {
        for (long done = 0; done < tensor.Bytes;)
        {
            byte[] chunk = queue.Rent();
            int count = (int)Math.Min(chunk.Length, tensor.Bytes - done);
            tensor.CopyBytes(done, chunk.AsSpan(0, count));
            queue.Add(chunk, count);
            done += count;
        }
    });

    /// <summary>Plans a tensor in fp32, the type in which it is loaded.</summary>
    public static PlannedTensor Floats(string name, CheckpointTensor tensor) =>
        new(name, "F32", [.. tensor.Shape], tensor.Count * sizeof(float), queue =>
    {
        for (long done = 0; done < tensor.Count;)
        {
            byte[] chunk = queue.Rent();
            int count = (int)Math.Min(chunk.Length / sizeof(float), tensor.Count - done);
            tensor.Read(done, MemoryMarshal.Cast<byte, float>(chunk.AsSpan())[..count]);
            queue.Add(chunk, count * sizeof(float));
            done += count;
        }
    });

    /// <summary>Plans a norm or a bias of the backbone in fp32, the type in which it is loaded.</summary>
    public static PlannedTensor Vector(string name, int count, Func<float[]> read) =>
        new(name, "F32", [count], (long)count * sizeof(float), queue => queue.Write(MemoryMarshal.AsBytes(read().AsSpan())));

    private static string TypeName(ElementType type) => type switch
    {
        ElementType.Fp32 => "F32",
        ElementType.Fp16 => "F16",
        ElementType.Bf16 => "BF16",
        ElementType.Fp8E4M3 => "F8_E4M3",
        _ => "F64",
    };
}

/// <summary>
/// A matrix in a format, as two or three tensors. The values are written first. The contents of the other tensors are computed with them
/// and kept in memory; they need at most a sixteenth of the values' size.
/// </summary>
internal sealed class PlannedWeight(string name, int rows, int columns, WeightFormat format, Func<IWeightSource> open)
{
    private readonly int _rowBytes = checked((int)WeightLayout.RowBytes(format, columns));
    private readonly int _rowScales = WeightLayout.ScalesPerRow(format, columns);
    private Half[] _scales = [];
    private float _factor;

    /// <summary>The tensors of the matrix.</summary>
    public IEnumerable<PlannedTensor> Tensors()
    {
        (string type, int[] shape) = ConvertedFormat.Values(format, rows, columns);
        yield return new PlannedTensor(name, type, shape, (long)rows * _rowBytes, WriteValues);
        if (_rowScales > 0)
            yield return new PlannedTensor(
                name + ConvertedFormat.ScalesSuffix, "F16", [rows, _rowScales], (long)rows * _rowScales * 2, WriteScales);
        yield return new PlannedTensor(
            name + ConvertedFormat.FactorSuffix,
            "F32",
            [1],
            sizeof(float),
            queue => queue.Write(MemoryMarshal.AsBytes(new Span<float>(ref _factor))));
    }

    private void WriteValues(WriteQueue queue)
    {
        IWeightSource source = open();
        _factor = source.Scale;
        _scales = GC.AllocateUninitializedArray<Half>(checked(rows * _rowScales));
        for (int row = 0; row < rows;)
        {
            byte[] chunk = queue.Rent();
            int count = Math.Min(chunk.Length / _rowBytes, rows - row);
            Convert(source, row, count, chunk);
            queue.Add(chunk, count * _rowBytes);
            row += count;
        }
    }

    private void WriteScales(WriteQueue queue)
    {
        queue.Write(MemoryMarshal.AsBytes(_scales.AsSpan()));
        _scales = [];
    }

    /// <summary>Converts rows on all cores, in more parts than cores to balance the load.</summary>
    private void Convert(IWeightSource source, int first, int count, byte[] chunk)
    {
        int parts = Math.Min(count, 4 * Environment.ProcessorCount);
        try
        {
            Parallel.For(0, parts, part =>
            {
                int from = (int)((long)count * part / parts), to = (int)((long)count * (part + 1) / parts);
                source.ReadRows(
                    first + from,
                    to - from,
                    chunk.AsSpan(from * _rowBytes, (to - from) * _rowBytes),
                    _scales.AsSpan((first + from) * _rowScales, (to - from) * _rowScales));
            });
        }
        catch (AggregateException e)
        {
            ExceptionDispatchInfo.Throw(e.Flatten().InnerExceptions[0]);
        }
    }
}
