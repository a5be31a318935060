using LdlVk.Runtime.Devices;

namespace LdlVk.SelfTest;

/// <summary>Makes the operands of a check on a device, and disposes them with it.</summary>
/// <param name="device">The device.</param>
internal sealed class Operands(IDevice device) : IDisposable
{
    private readonly List<IDisposable> _owned = [];

    /// <summary>The device.</summary>
    public IDevice Device => device;

    /// <summary>A tensor of zeros.</summary>
    public ITensor Empty(int rows, int columns) => Own(device.CreateTensor(rows, columns));

    /// <summary>A tensor that holds a matrix, between rows of NaN: an op that reads beside it shows that.</summary>
    public ITensor Upload(Matrix matrix)
    {
        const int Before = 3, After = 2;
        ITensor whole = Empty(Before + matrix.Rows + After, matrix.Columns);
        device.Write(whole, 0, Matrix.Filled(whole.Rows, matrix.Columns, float.NaN).Data);
        device.Write(whole, Before, matrix.Data);
        return whole.View(Before, matrix.Rows);
    }

    /// <summary>A weight.</summary>
    public IWeight Upload(TestWeight weight)
    {
        IWeight made = Own(device.CreateWeight(weight.Format, weight.OutputFeatures, weight.InputFeatures, weight.Name));
        device.Fill(made, weight);
        return made;
    }

    /// <summary>A list of integers.</summary>
    public IIndexList Indices(params int[] values) => Own(device.CreateIndices(values));

    /// <summary>Segments of attention.</summary>
    public ISegmentList Segments(params AttentionSegment[] segments) => Own(device.CreateSegments(segments));

    /// <summary>The values of a tensor.</summary>
    public Matrix Read(ITensor tensor)
    {
        Matrix matrix = new(tensor.Rows, tensor.Columns);
        device.Read(tensor, matrix.Data);
        return matrix;
    }

    /// <summary>Disposes what was made, the last first.</summary>
    public void Dispose()
    {
        foreach (IDisposable owned in Enumerable.Reverse(_owned)) owned.Dispose();
    }

    private T Own<T>(T made)
        where T : IDisposable
    {
        _owned.Add(made);
        return made;
    }
}
