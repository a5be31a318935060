using CsCheck;
using LdlVk.Runtime.Devices;
using LdlVk.SelfTest;
using LdlVk.Testing;
using Xunit;
using Check = LdlVk.Testing.Check;

namespace LdlVk.Conformance;

/// <summary>Tensors in host memory: <see cref="IDevice.Save"/> and <see cref="IDevice.Restore"/>.</summary>
public sealed class SavedTensorTests : ConformanceTest
{
    /// <summary>Every device present, and drivers that copy on the queue that computes and on one of its own.</summary>
    public static TheoryData<string> AndCopying => [.. TestDevices.Ids, .. TestDevices.Copying.Select(device => device.Id)];

    [Theory]
    [MemberData(nameof(AndCopying))]
    public void A_saved_tensor_comes_back_to_the_bit(string id)
    {
        IDevice device = Open(id);
        foreach ((int rows, int columns) in new[] { (1, 1), (2, 31), (5, 64), (129, 77), (3, 5000), (0, 8) })
        {
            Matrix x = Matrix.Random(new Random(rows), rows, columns);
            if (rows > 0) (x[0, 0], x[rows - 1, columns - 1]) = (float.NaN, -0f);
            ITensor tensor = device.CreateTensor(rows, columns);
            if (rows > 0) device.Write(tensor, 0, x.Data);
            IHostTensor saved = device.Save(tensor);
            Assert.Equal((rows, columns), (saved.Rows, saved.Columns));
            Assert.InRange(device.PinnedBytes, sizeof(float) * (long)rows * columns, (sizeof(float) * (long)rows * WeightLayout.PaddedRow(columns)) + 256);
            tensor.Dispose();
            // The memory is somebody else's now.
            ITensor other = Upload(device, Matrix.Filled(rows + 1, columns, 5));
            ITensor restored = Own(device.Restore(saved)), again = Own(device.Restore(saved));
            saved.Dispose();
            saved.Dispose();
            Assert.Equal((rows, columns), (restored.Rows, restored.Columns));
            Check.SameBits($"Save and Restore on {id}, [{rows}, {columns}]", Read(device, restored), x);
            Check.SameBits($"the second Restore on {id}, [{rows}, {columns}]", Read(device, again), x);
            Check.SameBits($"a tensor beside them on {id}", Read(device, other), Matrix.Filled(rows + 1, columns, 5));
        }
    }

    [Theory]
    [MemberData(nameof(AndCopying))]
    public void Views_are_saved_and_what_comes_back_is_padded_with_zeros(string id)
    {
        IDevice device = Open(id);
        Matrix x = Matrix.Random(new Random(1), 5, 33);
        using IHostTensor saved = device.Save(UploadAmongNaN(device, x));
        ITensor restored = Own(device.Restore(saved)), ones = Upload(device, Matrix.Filled(1, 33, 1)), normed = Empty(device, 5, 33);
        Check.SameBits($"a view on {id}", Read(device, restored), x);
        // Ops read whole groups of a row.
        ITensor want = Empty(device, 5, 33);
        device.RmsNorm(normed, restored, ones, 1e-6f);
        device.RmsNorm(want, Upload(device, x), ones, 1e-6f);
        Check.SameBits($"RmsNorm of what came back on {id}", Read(device, normed), Read(device, want));
    }

    /// <summary>Any order of ops, copies and disposals: each sees what was done before it, and nothing of what comes after.</summary>
    [Theory]
    [MemberData(nameof(AndCopying))]
    public void Saves_and_restores_are_in_the_order_of_the_ops(string id)
    {
        IDevice device = Open(id);
        const int Rows = 40, Columns = 96;
        Gen.Select(Gen.Int[0, 5], Gen.Int[0, 99], Gen.Int[0, 99]).Array[20, 120].Sample(
            steps =>
            {
                List<(ITensor Tensor, Matrix Values)> tensors = [];
                List<(IHostTensor Tensor, Matrix Values)> saved = [];
                foreach ((int step, int first, int second) in steps)
                {
                    if (step == 0 || tensors.Count == 0)
                    {
                        Matrix x = Matrix.Random(new Random((100 * first) + second), Rows, Columns);
                        ITensor made = device.CreateTensor(Rows, Columns);
                        device.Write(made, 0, x.Data);
                        tensors.Add((made, x));
                        continue;
                    }

                    (ITensor tensor, Matrix values) = tensors[first % tensors.Count];
                    (ITensor more, Matrix added) = tensors[second % tensors.Count];
                    switch (step)
                    {
                        case 1 when tensor != more:
                            device.Add(tensor, more);
                            for (int i = 0; i < values.Data.Length; i++) values.Data[i] += added.Data[i];
                            break;
                        case 2:
                            saved.Add((device.Save(tensor), Copy(values)));
                            break;
                        case 3 when saved.Count > 0:
                            (IHostTensor source, Matrix kept) = saved[second % saved.Count];
                            tensors.Add((device.Restore(source), Copy(kept)));
                            break;
                        case 4:
                            tensors.RemoveAt(first % tensors.Count);
                            tensor.Dispose();
                            break;
                        case 5 when saved.Count > 0:
                            saved[second % saved.Count].Tensor.Dispose();
                            saved.RemoveAt(second % saved.Count);
                            break;
                    }
                }

                foreach ((ITensor tensor, Matrix values) in tensors) Check.SameBits($"after {steps.Length} steps on {id}", Read(device, tensor), values);
                foreach ((IHostTensor source, Matrix values) in saved)
                {
                    using ITensor restored = device.Restore(source);
                    Check.SameBits($"saved in {steps.Length} steps on {id}", Read(device, restored), values);
                }

                foreach ((ITensor tensor, _) in tensors) tensor.Dispose();
                foreach ((IHostTensor source, _) in saved) source.Dispose();
                Assert.Equal((0L, 0L), (device.AllocatedBytes, device.PinnedBytes));
            },
            iter: 30, threads: 1, seed: "0000KOIKg5O3");
    }

    [Theory]
    [MemberData(nameof(AndCopying))]
    public void Wrong_operands_are_refused(string id)
    {
        IDevice device = Open(id);
        IDevice other = TestDevices.Get(id).Open();
        ITensor foreign = other.CreateTensor(2, 8), tensor = Empty(device, 2, 8), gone = device.CreateTensor(2, 8);
        IHostTensor theirs = other.Save(foreign), disposed = device.Save(tensor);
        gone.Dispose();
        disposed.Dispose();
        Assert.Contains("another device", Assert.Throws<ArgumentException>(() => device.Save(foreign)).Message);
        Assert.Contains("another device", Assert.Throws<ArgumentException>(() => device.Restore(theirs)).Message);
        Assert.Throws<ObjectDisposedException>(() => device.Save(gone));
        Assert.Throws<ObjectDisposedException>(() => device.Restore(disposed));
        other.Dispose();
        Assert.Throws<ObjectDisposedException>(() => other.Save(foreign));
        Assert.Throws<ObjectDisposedException>(() => other.Restore(theirs));
        theirs.Dispose();
        foreign.Dispose();
        Assert.Equal(0, other.PinnedBytes);
    }

    private static Matrix Copy(Matrix matrix)
    {
        Matrix copy = new(matrix.Rows, matrix.Columns);
        matrix.Data.CopyTo(copy.Data, 0);
        return copy;
    }
}
