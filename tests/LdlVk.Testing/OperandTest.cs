using LdlVk.Runtime.Devices;
using LdlVk.SelfTest;
using Xunit;

namespace LdlVk.Testing;

/// <summary>
/// The base of tests that make operands on the shared devices: uploads, and the check after every test that nothing is left on any
/// device. The devices are not thread-safe, so an assembly of such tests turns parallel tests off.
/// </summary>
public abstract class OperandTest : IDisposable
{
    private readonly List<IDisposable> _owned = [];
    private readonly HashSet<IDevice> _used = [];

    /// <summary>The shared device of that name, empty.</summary>
    protected IDevice Open(string id)
    {
        IDevice device = TestDevices.Shared(id);
        if (_used.Add(device)) Assert.Equal(0, device.AllocatedBytes);
        return device;
    }

    /// <summary>Disposes with the test.</summary>
    protected T Own<T>(T disposable)
        where T : IDisposable
    {
        _owned.Add(disposable);
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
    /// The matrix as a view into the middle of a larger tensor whose other rows are NaN: whoever reads a neighbor shows it.
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
        foreach (IDisposable disposable in Enumerable.Reverse(_owned)) disposable.Dispose();
        foreach (IDevice device in _used) Assert.Equal((0L, 0L), (device.AllocatedBytes, device.PinnedBytes));
        GC.SuppressFinalize(this);
    }
}
