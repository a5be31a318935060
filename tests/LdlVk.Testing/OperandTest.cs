using LdlVk.Runtime.Devices;
using LdlVk.Testing;
using Xunit;

// The shared devices are not thread-safe.
[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace LdlVk.Conformance;

/// <summary>
/// What all conformance tests share: the devices as a theory's data, uploads, and the check after every test that nothing is left
/// on any device.
/// </summary>
public abstract class ConformanceTest : IDisposable
{
    private readonly List<IDisposable> owned = [];
    private readonly HashSet<IDevice> used = [];

    /// <summary>Ids of the devices present.</summary>
    public static TheoryData<string> Devices => [.. TestDevices.Ids];

    /// <summary>Every device with every weight format.</summary>
    public static TheoryData<string, WeightFormat> DevicesAndFormats
    {
        get
        {
            TheoryData<string, WeightFormat> data = [];
            foreach (string id in TestDevices.Ids)
                foreach (WeightFormat format in Enum.GetValues<WeightFormat>())
                    data.Add(id, format);
            return data;
        }
    }

    /// <summary>The shared device of that name, empty.</summary>
    protected IDevice Open(string id)
    {
        IDevice device = TestDevices.Shared(id);
        if (used.Add(device)) Assert.Equal(0, device.AllocatedBytes);
        return device;
    }

    /// <summary>Disposes with the test.</summary>
    protected T Own<T>(T disposable)
        where T : IDisposable
    {
        owned.Add(disposable);
        return disposable;
    }

    /// <summary>A tensor of zeros.</summary>
    protected ITensor Empty(IDevice device, int rows, int columns) => Own(device.CreateTensor(rows, columns));

    /// <summary>A tensor that holds the matrix.</summary>
    protected ITensor Upload(IDevice device, Matrix matrix)
    {
        ITensor tensor = Empty(device, matrix.Rows, matrix.Columns);
        device.Write(tensor, 0, matrix.Data);
        return tensor;
    }

    /// <summary>
    /// The matrix as a view into the middle of a larger tensor whose other rows are NaN: whoever reads a neighbour shows it.
    /// </summary>
    protected ITensor UploadAmongNaN(IDevice device, Matrix matrix, int rowsBefore = 3, int rowsAfter = 2)
    {
        Matrix around = Matrix.Filled(rowsBefore + matrix.Rows + rowsAfter, matrix.Columns, float.NaN);
        ITensor whole = Upload(device, around);
        device.Write(whole, rowsBefore, matrix.Data);
        return whole.View(rowsBefore, matrix.Rows);
    }

    protected IIndexList Indices(IDevice device, params int[] values) => Own(device.CreateIndices(values));

    protected static Matrix Read(IDevice device, ITensor tensor)
    {
        Matrix matrix = new(tensor.Rows, tensor.Columns);
        device.Read(tensor, matrix.Data);
        return matrix;
    }

    public void Dispose()
    {
        foreach (IDisposable disposable in Enumerable.Reverse(owned)) disposable.Dispose();
        foreach (IDevice device in used) Assert.Equal((0L, 0L), (device.AllocatedBytes, device.PinnedBytes));
        GC.SuppressFinalize(this);
    }
}
