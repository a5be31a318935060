using System.Diagnostics;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;

namespace LdlVk.Runtime.Execution;

/// <summary>
/// Layers that do not all fit on the device. Some are resident. The matrices of the others are streamed: they share a few slots of device
/// memory, into which they are uploaded from host memory or files one or two layers ahead, while the device computes other layers.
/// Streamed layers are spread evenly among resident ones, so that each upload is hidden behind about the same amount of computing.
/// </summary>
/// <param name="device">The device.</param>
/// <param name="first">The first layer, counted in the model.</param>
/// <param name="vectors">The norms and biases of every layer; they are small and always resident.</param>
/// <param name="resident">The matrices of the resident layers; null for the streamed ones.</param>
/// <param name="sources">
/// Sources of the streamed layers' matrices, in the order of <see cref="LayerMatrices.All"/>; null for the resident layers.
/// </param>
/// <param name="slots">The device memory that streamed layers share.</param>
/// <param name="timeline">Gets a span for each upload of a layer.</param>
internal sealed class StreamedLayers(
    IDevice device, int first, LayerVectors[] vectors, LayerMatrices?[] resident, IReadOnlyList<IWeightSource>?[] sources,
    LayerMatrices[] slots, ITimeline? timeline)
    : ILayerWeights
{
    private const int Nothing = -1;

    /// <summary>The layer whose matrices each slot has.</summary>
    private readonly int[] _held = [.. slots.Select(_ => Nothing)];

    public int First => first;

    public int End => first + vectors.Length;

    public LayerVectors VectorsOf(int layer) => vectors[layer - first];

    /// <summary>
    /// Returns whether layer <paramref name="index"/> of <paramref name="layers"/> is one of the <paramref name="streamed"/> ones.
    /// </summary>
    public static bool IsStreamed(int index, int layers, int streamed) =>
        (long)(index + 1) * streamed / layers > (long)index * streamed / layers;

    public IEnumerable<DecoderLayer> InOrder()
    {
        for (int i = 0; i < vectors.Length; i++)
        {
            yield return new DecoderLayer(first + i, Matrices(i), vectors[i]);
            if (resident[i] is null) Reuse(i);
        }
    }

    /// <summary>Returns the matrices of a layer. They are on the device already, unless the previous wave was cut short.</summary>
    private LayerMatrices Matrices(int index)
    {
        if (resident[index] is { } stays) return stays;
        int slot = Array.IndexOf(_held, index);
        if (slot < 0)
        {
            // The first wave, or the one after a wave that was cut short.
            Array.Fill(_held, Nothing);
            Fill(slot = 0, index);
        }

        return slots[slot];
    }

    /// <summary>Uploads the next layers into the empty slots and into the slot of a layer whose ops have all been queued.</summary>
    private void Reuse(int index)
    {
        int done = Array.IndexOf(_held, index);
        // Empty slots first: they are free before the device has finished this layer.
        for (int slot = 0; slot < slots.Length; slot++)
            if (_held[slot] == Nothing) FillNext(slot, index);
        FillNext(done, index);
    }

    /// <summary>Uploads the next layer that is not on the device. After the last comes the first: the next wave begins there.</summary>
    private void FillNext(int slot, int after)
    {
        for (int i = 1; i < vectors.Length; i++)
        {
            int next = (after + i) % vectors.Length;
            if (resident[next] is not null || _held.Contains(next)) continue;
            Fill(slot, next);
            return;
        }
    }

    private void Fill(int slot, int index)
    {
        long begin = Stopwatch.GetTimestamp();
        _held[slot] = Nothing;
        for (int i = 0; i < slots[slot].All.Count; i++) device.Fill(slots[slot].All[i], sources[index]![i]);
        _held[slot] = index;
        timeline?.Add(new TimelineSpan($"{device.Info.Id} ({device.Info.Name}; weights of layers {first} to {End - 1})",
            $"layer {first + index}", begin, Stopwatch.GetTimestamp()));
    }
}
